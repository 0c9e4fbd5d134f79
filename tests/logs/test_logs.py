import io
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
import structlog

from relay import logs
from relay.call import Kind
from relay.logs import configure, get_logger, hide, mask_text, redaction
from relay.logs.redaction import Mask

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging is of the whole process: each test gets its own mask, and leaves nothing behind."""
    root = logging.getLogger()
    level = root.level
    monkeypatch.setattr(redaction, "mask", Mask())
    yield
    logging.captureWarnings(capture=False)
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, logs._Libraries)]
    root.setLevel(level)
    logs._output.stream = sys.stdout
    structlog.reset_defaults()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def lines(stream: io.StringIO) -> Lines:
    configure("json", "info", "masked", stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


# --- a line -----------------------------------------------------------------------------------


def test_a_line_is_one_json_object_with_its_fields_in_order(stream: io.StringIO, lines: Lines) -> None:
    get_logger("relay.ingest.endpoint").bind(lease="fold").info("push", zeta=1, alpha=[True, None, 1.5])
    assert stream.getvalue().count("\n") == 1
    [line] = lines()
    assert list(line) == ["timestamp", "level", "event", "logger", "lease", "zeta", "alpha"]
    assert line["event"] == "push"
    assert line["logger"] == "relay.ingest.endpoint"
    assert line["alpha"] == [True, None, 1.5]


def test_a_timestamp_is_utc_with_milliseconds(lines: Lines) -> None:
    before = datetime.now(UTC)
    get_logger("x").info("push")
    [line] = lines()
    said = line["timestamp"]
    assert len(said) == len("2026-09-26T15:04:05.123Z")
    assert said.endswith("Z")
    assert -0.001 <= (datetime.fromisoformat(said) - before).total_seconds() < 5


def test_lines_below_the_level_are_not_written(lines: Lines) -> None:
    log = get_logger("x")
    log.debug("call.folded")
    log.warning("ingest.disconnected")
    assert [line["level"] for line in lines()] == ["warning"]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_every_level_has_its_name(level: str, stream: io.StringIO) -> None:
    configure("json", "debug", "masked", stream)
    getattr(get_logger("x"), level)("push")
    assert json.loads(stream.getvalue())["level"] == level


def test_an_enum_is_its_word_and_a_time_is_iso(lines: Lines) -> None:
    get_logger("x").info("push", kind=Kind.ENDED, until=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    [line] = lines()
    assert line["kind"] == "ended"
    assert line["until"] == "2026-01-02T03:04:05.000Z"


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError


def test_a_value_never_breaks_its_line(lines: Lines) -> None:
    endless: list[Any] = []
    endless.append(endless)
    values = [
        Unshowable(),
        endless,
        b"\xff",
        {1: {2}},
        float("nan"),
        10**30,
        "\ud800",
        ValueError("v"),
        Path("p"),
    ]
    for value in values:
        get_logger("x").info("push", value=value)
    shown = [line["value"] for line in lines()]
    assert shown[0] == "<Unshowable that cannot be shown>"
    assert shown[2:] == ["\\xff", {"1": [2]}, None, 10**30, "\\ud800", "ValueError: v", "p"]


def test_a_long_text_keeps_its_beginning_and_its_end(lines: Lines) -> None:
    get_logger("x").error("push", message="first " + "x" * 50_000 + " last")
    message = lines()[0]["message"]
    assert len(message) < redaction.LONGEST + 50
    assert message.startswith("first ")
    assert message.endswith(" last")


class Full(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_drops_the_line_and_raises_nothing() -> None:
    configure("json", "info", "masked", Full())
    get_logger("x").info("push")


def test_a_closed_stream_drops_the_line_and_raises_nothing(stream: io.StringIO) -> None:
    configure("json", "info", "masked", stream)
    stream.close()
    get_logger("x").info("push")


def test_another_stream_reaches_loggers_that_were_used_before(stream: io.StringIO) -> None:
    first, log = io.StringIO(), get_logger("x")
    configure("json", "info", "masked", first)
    log.info("push")
    configure("json", "info", "masked", stream)
    log.info("server.ready")
    assert (first.getvalue().count("\n"), stream.getvalue().count("\n")) == (1, 1)


def test_lines_of_many_threads_do_not_mix(lines: Lines) -> None:
    log = get_logger("x")
    threads = [
        threading.Thread(target=lambda n=n: [log.info("push", owner=f"{n}" * 200) for _ in range(50)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines()) == 200
    assert all(len(set(line["owner"])) == 1 for line in lines())


# --- formats ----------------------------------------------------------------------------------


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


def test_console_lines_are_masked_and_show_their_fields(stream: io.StringIO) -> None:
    configure("console", "info", "masked", stream)
    get_logger("relay.delivery").warning("push", contact_name="Ana", message="at +34612345678", calls=2)
    text = stream.getvalue()
    assert "[warning" in text
    assert "[relay.delivery]" in text
    assert "calls=2" in text
    assert "Ana" not in text
    assert "+34*****678" in text


def test_console_lines_obey_no_control_characters_of_others(stream: io.StringIO) -> None:
    configure("console", "info", "masked", stream)
    get_logger("x").info("ingest.ignored", type="\x1b]0;owned\x07", reason="\ud800")
    assert "\x1b" not in stream.getvalue()
    assert "\\u001b" in stream.getvalue()
    assert "\\ud800" in stream.getvalue()


def test_console_shows_a_traceback_on_lines_of_its_own(stream: io.StringIO) -> None:
    configure("console", "info", "masked", stream)
    get_logger("x").error("fold.failed", exc_info=ValueError("no"))
    assert stream.getvalue().endswith("\nValueError: no\n")


def test_bytes_are_utf8_whatever_the_locale() -> None:
    raw = io.BytesIO()
    configure("json", "info", "plain", io.TextIOWrapper(raw, encoding="ascii"))
    get_logger("x").info("push", contact_name="José Ñíguez")
    assert "José Ñíguez" in raw.getvalue().decode()


def test_rich_is_not_imported_for_the_logs() -> None:
    script = "import sys, relay.logs; print('rich.console' in sys.modules); import rich.console"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter
    assert result.stdout == "False\n"


# --- people -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ({"from": "+34612345678"}, "+34*****678"),
        ({"external_number": 34612345678}, "*****678"),
        ({"internal_number": "902202"}, "*****"),
        ({"to": "0002"}, "0002"),
        ({"to": 2}, 2),
        ({"phone": None}, None),
        ({"contact_name": "Ana"}, "***"),
        ({"contact_name": ""}, ""),
        ({"Agent_Email": "a@b.es"}, "***"),
        ({"notes": ["call me"]}, "***"),
        ({"call": "cloudtalk-34612345678"}, "cloudtalk-34612345678"),
        ({"call_id": "+34612345678"}, "+34612345678"),
        ({"calls": ["34612345678"]}, ["34612345678"]),
        ({"event_seq": 12345678901}, 12345678901),
        ({"duration_ms": 1234567.89}, 1234567.89),
        (
            {"data": {"from": "+34612345678", "deep": [{"contact_name": "Ana"}]}},
            {"from": "+34*****678", "deep": [{"contact_name": "***"}]},
        ),
        ({"message": "value +34612345678"}, "value +34*****678"),
        ({"anything_else": "ana@b.es"}, "***@***"),
    ],
)
def test_fields_are_masked_by_their_key_and_ids_stay_readable(
    field: dict[str, Any], shown: object, lines: Lines
) -> None:
    get_logger("x").info("push", **field)
    [key] = field
    assert lines()[0][key] == shown


class Contact(msgspec.Struct):
    contact_name: str
    call_id: str


def test_a_record_is_masked_field_by_field(lines: Lines) -> None:
    get_logger("x").info("push", call=Contact("Ana", "7"))
    assert lines()[0]["call"] == {"contact_name": "***", "call_id": "7"}


def test_personal_data_is_plain_on_request(stream: io.StringIO) -> None:
    configure("json", "info", "plain", stream)
    get_logger("x").info("push", contact_name="Ana", message="at +34612345678, a@b.es")
    line = json.loads(stream.getvalue())
    assert (line["contact_name"], line["message"]) == ("Ana", "at +34612345678, a@b.es")
    assert mask_text("Ana", ["Ana"]) == "Ana"


def test_an_exception_is_one_masked_text(lines: Lines) -> None:
    try:
        raise ValueError("no row for +34612345678")  # noqa: TRY301 - its traceback is what is looked at
    except ValueError:
        get_logger("x").exception("fold.failed")
    [line] = lines()
    assert line["level"] == "error"
    assert "exc_info" not in line
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("ValueError: no row for +34*****678")


# --- secrets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("personal_data", ["masked", "plain"])
def test_hidden_secrets_are_in_no_value(
    personal_data: Literal["masked", "plain"], stream: io.StringIO
) -> None:
    configure("json", "info", personal_data, stream)
    hide("geheim-ñ/1")
    hide("geheim-ñ/1-longer")
    hide("")
    log = get_logger("x")
    log.info(
        "push geheim-ñ/1", call="geheim-ñ/1", url="http://x/geheim-%C3%B1%2F1", calls=["geheim-ñ/1-longer"]
    )
    log.info(
        "push", message=json.dumps({"geheim-ñ/1": "geheim-ñ/1"}), deep={"geheim-ñ/1": {"a": "-geheim-ñ/1-"}}
    )
    log.error("push", exc_info=ValueError("geheim-ñ/1"))
    text = stream.getvalue()
    assert "geheim" not in text
    assert text.count("[secret]") == 9
    assert "[secret]-longer" not in text


def test_credentials_are_cut_by_their_key_and_a_fencing_token_stays(lines: Lines) -> None:
    get_logger("x").info("lease.acquired", headers={"Authorization": "x", "ApiKey": b"y"}, token=7)
    [line] = lines()
    assert line["headers"] == {"Authorization": "[secret]", "ApiKey": "[secret]"}
    assert line["token"] == 7


# --- libraries --------------------------------------------------------------------------------


def test_lines_of_libraries_take_the_same_way(lines: Lines) -> None:
    hide("geheim-2")
    logging.getLogger("sqlalchemy.pool").warning("lost %s of %s", "geheim-2", "+34612345678")
    [line] = lines()
    assert list(line) == ["timestamp", "level", "event", "logger"]
    assert line["event"] == "lost [secret] of +34*****678"
    assert (line["level"], line["logger"]) == ("warning", "sqlalchemy.pool")


def test_a_library_s_exception_is_one_masked_text(lines: Lines) -> None:
    logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=ValueError("a@b.es"))
    assert lines()[0]["exception"] == "ValueError: ***@***"


def test_a_library_s_levels_fall_on_known_ones(lines: Lines) -> None:
    logging.getLogger("x").log(35, "between")
    logging.getLogger("x").log(90, "beyond")
    assert [line["level"] for line in lines()] == ["warning", "critical"]


def test_a_library_s_wrong_arguments_break_nothing(lines: Lines) -> None:
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "%d of %s", ("one",), None)
    logs._Libraries().emit(record)  # alone: pytest's own handler insists on arguments that fit
    assert lines()[0]["event"] == "%d of %s"


@pytest.mark.parametrize("level", ["debug", "info"])
def test_libraries_are_silent_below_warning(level: str, stream: io.StringIO) -> None:
    logging.getLogger("httpx").setLevel(logging.DEBUG)
    configure("json", level, "masked", stream)
    for name in ("httpx", "httpcore.http11", "uvicorn.error", "sqlalchemy.engine", "asyncio"):
        logging.getLogger(name).info("chatter")
    assert stream.getvalue() == ""


def test_libraries_are_silent_below_the_level(stream: io.StringIO) -> None:
    configure("json", "error", "masked", stream)
    logging.getLogger("asyncio").warning("slow")
    logging.getLogger("asyncio").error("broken")
    assert stream.getvalue().count("\n") == 1


def test_the_server_s_access_log_is_off(stream: io.StringIO) -> None:
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate = [logging.StreamHandler(stream)], True
    configure("json", "info", "masked", stream)
    assert not access.hasHandlers()
    access.error("GET / 200")
    assert stream.getvalue() == ""


def test_warnings_are_lines(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old way", UserWarning, stacklevel=1)
    [line] = lines()
    assert line["logger"] == "py.warnings"
    assert "UserWarning: old way" in line["event"]
