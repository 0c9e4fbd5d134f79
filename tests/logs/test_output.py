"""How a log line is built, rendered and written."""

import io
import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from relay.call import Kind
from relay.logs import configure, get_logger, hide, redaction
from relay.logs.output import format_timestamp
from tests.support.log_lines import Lines


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
    timestamp = line["timestamp"]
    assert len(timestamp) == len("2026-09-26T15:04:05.123Z")
    assert timestamp.endswith("Z")
    assert -0.001 <= (datetime.fromisoformat(timestamp) - before).total_seconds() < 5


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [
        (1_732_789_800_000_000_000, "2024-11-28T10:30:00.000Z"),
        (1_732_789_800_007_999_999, "2024-11-28T10:30:00.007Z"),
        (1_732_789_801_123_456_789, "2024-11-28T10:30:01.123Z"),
        (1_732_789_799_999_999_999, "2024-11-28T10:29:59.999Z"),
    ],
)
def test_a_time_is_cut_to_its_millisecond(nanoseconds: int, shown: str) -> None:
    assert format_timestamp(nanoseconds) == shown


def test_an_enum_is_shown_by_its_value_and_a_time_as_iso(lines: Lines) -> None:
    get_logger("x").info("push", kind=Kind.ENDED, until=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    [line] = lines()
    assert line["kind"] == "ended"
    assert line["until"] == "2026-01-02T03:04:05.000Z"


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError


def test_a_value_of_any_class_can_be_logged(lines: Lines) -> None:
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


def test_a_long_text_loses_its_middle(lines: Lines) -> None:
    get_logger("x").error("push", message="first " + "x" * 50_000 + " last")
    message = lines()[0]["message"]
    assert len(message) < redaction.LONGEST_TEXT + 50
    assert message.startswith("first ")
    assert message.endswith(" last")


# --- write -------------------------------------------------------------------------------------


class FullDisk(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_drops_the_line_and_raises_nothing() -> None:
    configure("json", "info", "masked", FullDisk())
    get_logger("x").info("push")


def test_a_closed_stream_drops_the_line_and_raises_nothing(stream: io.StringIO) -> None:
    configure("json", "info", "masked", stream)
    stream.close()
    get_logger("x").info("push")


def test_lines_of_several_threads_do_not_mix(lines: Lines) -> None:
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


def test_lines_are_utf8_in_every_locale() -> None:
    raw = io.BytesIO()
    configure("json", "info", "plain", io.TextIOWrapper(raw, encoding="ascii"))
    get_logger("x").info("push", contact_name="José Ñíguez")
    assert "José Ñíguez" in raw.getvalue().decode()


# --- console -----------------------------------------------------------------------------------


def test_console_lines_are_redacted_and_show_their_fields(stream: io.StringIO) -> None:
    configure("console", "info", "masked", stream)
    get_logger("relay.delivery").warning("push", contact_name="Ana", message="at +34612345678", calls=2)
    text = stream.getvalue()
    assert "[warning" in text
    assert "[relay.delivery]" in text
    assert "calls=2" in text
    assert "Ana" not in text
    assert "+34*****678" in text


def test_console_lines_escape_control_characters(stream: io.StringIO) -> None:
    configure("console", "info", "masked", stream)
    get_logger("x").info(
        "ingest.ignored",
        type="\x1b]0;owned\x07",
        reason="\ud800",
        message="a\u202eb\x9bc\u2066d\u200fe\u2028f",
    )
    line = stream.getvalue()
    assert line.isprintable() or line.rstrip("\n").isprintable()
    assert all(escape in line for escape in ("\\x1b", "\\x07", "\\ud800", "a\\u202eb", "b\\x9bc"))
    assert "c\\u2066d\\u200fe\\u2028f" in line


def test_the_console_shows_a_traceback_on_separate_lines(stream: io.StringIO) -> None:
    configure("console", "info", "masked", stream)
    get_logger("x").error("fold.failed", exc_info=ValueError("no"))
    assert stream.getvalue().endswith("\nValueError: no\n")


# --- redaction of fields -----------------------------------------------------------------------


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
        ({"call_id": "+34612345678"}, "+34*****678"),
        ({"call": "cloudtalk-+34612345678"}, "cloudtalk-+34*****678"),
        ({"call_uuid": "(612) 345 678"}, "*****678"),
        ({"remote_id": "tel:+34-612-345-678"}, "tel:+34*****678"),
        ({"calls": ["612 34 56 78", "1002402487"]}, ["*****678", "1002402487"]),
        ({"call_id": "%2B34612345678"}, "+34*****678"),
        ({"call_uuid": "44fe27cd-5268-4670-9931-012900112233"}, "44fe27cd-5268-4670-9931-012900112233"),
        ({"call_id": "sim-00000001-000002"}, "sim-00000001-000002"),
        ({"until": "2026-11-24 08:00:00.123+01:00"}, "2026-11-24 08:00:00.123+01:00"),
        ({"url": "http://127.0.0.1:8080/a%20b"}, "http://127.0.0.1:8080/a%20b"),
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
def test_fields_are_masked_by_their_key_and_ids_only_if_written_like_a_number(
    field: dict[str, Any], shown: object, lines: Lines
) -> None:
    get_logger("x").info("push", **field)
    [key] = field
    assert lines()[0][key] == shown


class Contact(msgspec.Struct):
    contact_name: str
    call_id: str


def test_a_struct_is_masked_field_by_field(lines: Lines) -> None:
    get_logger("x").info("push", call=Contact("Ana", "7"))
    assert lines()[0]["call"] == {"contact_name": "***", "call_id": "7"}


def test_an_exception_is_one_redacted_text(lines: Lines) -> None:
    try:
        raise ValueError("no row for +34612345678")  # noqa: TRY301 - the test reads its traceback
    except ValueError:
        get_logger("x").exception("fold.failed")
    [line] = lines()
    assert line["level"] == "error"
    assert "exc_info" not in line
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("ValueError: no row for +34*****678")


@pytest.mark.parametrize("personal_data", ["masked", "plain"])
def test_hidden_secrets_are_removed_from_every_value(
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


def test_credentials_are_removed_by_their_key_and_a_fencing_token_is_kept(lines: Lines) -> None:
    get_logger("x").info("lease.acquired", headers={"Authorization": "x", "ApiKey": b"y"}, token=7)
    [line] = lines()
    assert line["headers"] == {"Authorization": "[secret]", "ApiKey": "[secret]"}
    assert line["token"] == 7
