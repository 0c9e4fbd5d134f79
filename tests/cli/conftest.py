from pathlib import Path

import pytest

from tests.support.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A folder with a settings file, a ledger and an embedded CRM."""
    return Home(tmp_path)
