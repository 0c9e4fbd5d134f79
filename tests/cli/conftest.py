from pathlib import Path

import pytest

from tests.support.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A folder with a settings file: an embedded CRM, and a ledger beside it."""
    return Home(tmp_path)
