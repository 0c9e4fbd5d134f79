import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from relay import logs
from relay.cli.program import program
from relay.logs import redaction
from relay.logs.output import output
from relay.logs.redaction import Redactor
from tests.support.home import Home


@pytest.fixture(autouse=True)
def isolated_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo the configuration of the log by a command. A cached logger of the process would keep it, and the
    redactor its secrets.
    """
    monkeypatch.setattr(redaction, "redactor", Redactor())
    original = logs.configure

    def configure(*arguments: Any) -> None:
        original(*arguments)
        structlog.configure(cache_logger_on_first_use=False)

    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    monkeypatch.setattr(logs, "configure", configure)
    yield
    logging.captureWarnings(capture=False)
    root.handlers = handlers
    root.setLevel(level)
    output.stream, output.writer = sys.stdout, None
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def name_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what `main` sets, so that messages name the command `relay`."""
    monkeypatch.setattr(program, "_name", None)
    monkeypatch.setattr(program, "_settings", None)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A folder with a settings file, a ledger and an embedded CRM."""
    return Home(tmp_path)
