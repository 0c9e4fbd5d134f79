import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from relay.logs import configure, redaction
from relay.logs.output import output
from relay.logs.redaction import Redactor
from relay.logs.setup import LibraryHandler
from tests.support.log_lines import Lines


@pytest.fixture(autouse=True)
def isolated_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give each test a redactor of its own and undo its configuration: both belong to the process."""
    root = logging.getLogger()
    level = root.level
    monkeypatch.setattr(redaction, "redactor", Redactor())
    yield
    logging.captureWarnings(capture=False)
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, LibraryHandler)]
    root.setLevel(level)
    output.stream, output.writer = sys.stdout, None
    structlog.reset_defaults()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def lines(stream: io.StringIO) -> Lines:
    configure("json", "info", "masked", stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
