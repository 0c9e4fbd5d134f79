"""Settings of a relay with a console."""

from pathlib import Path

import pytest

from relay.settings import Settings
from tests.support.browsing import TOKEN
from tests.support.in_process import settings_in


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a token for the console."""
    return settings_in(tmp_path, console={"tokens": [TOKEN]})
