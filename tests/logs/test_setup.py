"""Configuration of the log, and the lines of libraries."""

import io
import json
import logging
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Literal

import pytest

from relay.logs import configure, get_logger, hide, mask_text
from relay.logs.setup import LibraryHandler
from tests.support.log_lines import Lines


def test_lines_below_the_level_are_not_written(lines: Lines) -> None:
    log = get_logger("x")
    log.debug("call.folded")
    log.warning("ingest.disconnected")
    assert [line["level"] for line in lines()] == ["warning"]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_a_line_names_its_level(level: str, stream: io.StringIO) -> None:
    configure("json", "debug", "masked", stream)
    getattr(get_logger("x"), level)("push")
    assert json.loads(stream.getvalue())["level"] == level


def test_a_new_stream_is_used_by_existing_loggers(stream: io.StringIO) -> None:
    first, log = io.StringIO(), get_logger("x")
    configure("json", "info", "masked", first)
    log.info("push")
    configure("json", "info", "masked", stream)
    log.info("server.ready")
    assert (first.getvalue().count("\n"), stream.getvalue().count("\n")) == (1, 1)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("format_", "stream_class", "is_json"),
    [
        ("auto", io.StringIO, True),
        ("auto", Terminal, False),
        ("json", Terminal, True),
        ("console", io.StringIO, False),
    ],
)
def test_auto_is_console_on_a_terminal_and_json_elsewhere(
    format_: Literal["auto", "json", "console"], stream_class: type[io.StringIO], *, is_json: bool
) -> None:
    stream = stream_class()
    configure(format_, "info", "masked", stream)
    get_logger("x").info("push", destination="crm")
    assert stream.getvalue().startswith("{") is is_json
    assert "push" in stream.getvalue()


def test_personal_data_is_shown_if_configured(stream: io.StringIO) -> None:
    configure("json", "info", "plain", stream)
    get_logger("x").info("push", contact_name="Ana", message="at +34612345678, a@b.es")
    line = json.loads(stream.getvalue())
    assert (line["contact_name"], line["message"]) == ("Ana", "at +34612345678, a@b.es")
    assert mask_text("Ana", ["Ana"]) == "Ana"


def test_the_log_does_not_import_rich() -> None:
    script = "import sys, relay.logs; print('rich.console' in sys.modules); import rich.console"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter
    assert result.stdout == "False\n"


def test_a_process_without_standard_output_logs_nothing() -> None:
    script = (
        "from relay import logs; logs.configure('json', 'info', 'plain'); logs.get_logger('x').info('push')"
    )
    command = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-c", script]
    assert subprocess.run(command, capture_output=True, check=True).stderr == b""  # noqa: S603 - fixed command


# --- libraries ---------------------------------------------------------------------------------


def test_lines_of_libraries_are_redacted_and_written_like_others(lines: Lines) -> None:
    hide("geheim-2")
    logging.getLogger("sqlalchemy.pool").warning("lost %s of %s", "geheim-2", "+34612345678")
    [line] = lines()
    assert list(line) == ["timestamp", "level", "event", "logger"]
    assert line["event"] == "lost [secret] of +34*****678"
    assert (line["level"], line["logger"]) == ("warning", "sqlalchemy.pool")


def test_an_exception_of_a_library_is_one_redacted_text(lines: Lines) -> None:
    logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=ValueError("a@b.es"))
    assert lines()[0]["exception"] == "ValueError: ***@***"


def test_other_levels_of_libraries_are_mapped_to_known_ones(lines: Lines) -> None:
    logging.getLogger("x").log(35, "between")
    logging.getLogger("x").log(90, "beyond")
    assert [line["level"] for line in lines()] == ["warning", "critical"]


def test_wrong_arguments_of_a_library_raise_nothing(lines: Lines) -> None:
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "%d of %s", ("one",), None)
    LibraryHandler().emit(record)  # called directly: pytest's own handler would raise
    assert lines()[0]["event"] == "%d of %s"


@pytest.mark.parametrize("level", ["debug", "info"])
def test_libraries_log_nothing_below_warning(level: str, stream: io.StringIO) -> None:
    logging.getLogger("httpx").setLevel(logging.DEBUG)
    configure("json", level, "masked", stream)
    for name in ("httpx", "httpcore.http11", "uvicorn.error", "sqlalchemy.engine", "asyncio"):
        logging.getLogger(name).info("chatter")
    assert stream.getvalue() == ""


def test_libraries_log_nothing_below_the_level(stream: io.StringIO) -> None:
    configure("json", "error", "masked", stream)
    logging.getLogger("asyncio").warning("slow")
    logging.getLogger("asyncio").error("broken")
    assert stream.getvalue().count("\n") == 1


def test_the_access_log_of_the_server_is_off(stream: io.StringIO) -> None:
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate = [logging.StreamHandler(stream)], True
    configure("json", "info", "masked", stream)
    assert not access.hasHandlers()
    access.error("GET / 200")
    assert stream.getvalue() == ""


def test_python_warnings_are_log_lines(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old way", UserWarning, stacklevel=1)
    [line] = lines()
    assert line["logger"] == "py.warnings"
    assert "UserWarning: old way" in line["event"]


def test_each_logger_has_the_name_of_its_room() -> None:
    root = Path(__file__).parents[2]
    others = {"relay/app.py": "relay.app", "relay/cli/serve.py": "relay.server"}
    names = {
        file.relative_to(root).as_posix(): name
        for file in (root / "relay").rglob("*.py")
        for name in re.findall(r'get_logger\("([^"]*)"\)', file.read_text())
    }
    assert len(names) > 20
    assert names == {file: others.get(file, ".".join(file.split("/")[:2])) for file in names}
