"""Examples of CloudTalk's requests, each with the record or the error that it must give.

A file in `examples/` has the reason for the example, its requests in order of arrival, and one result:
`record` (fields that are not listed are empty), `ignored` or `error`. The results were written by hand from
what CloudTalk sends and what the CRM must show.
"""

import base64
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import pytest

from relay.call import CallEvent, build_record, join, state_from_event
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.parser import Ignored, Parser
from relay.cloudtalk.request import RawRequest
from relay.ingest.refusals import should_refuse
from relay.instants import SECOND, Instant

WEBHOOK_PATH: Final = "/cloudtalk/webhook"
ARRIVAL: Final = "2030-01-01T00:00:00Z"
FILES: Final = sorted((Path(__file__).parent / "examples").glob("*.json"))


class Request(msgspec.Struct, forbid_unknown_fields=True):
    body: msgspec.Raw = msgspec.Raw(b"")
    raw: str | None = None
    base64: str = ""
    content_type: str = ""
    path: str = WEBHOOK_PATH
    query: str = ""
    encoding: str = ""
    message_id: str | None = None
    received_at: str = ARRIVAL

    def build(self) -> RawRequest:
        raw = bytes(self.body) or (base64.b64decode(self.base64) if self.raw is None else self.raw.encode())
        return RawRequest(raw, self.content_type, self.path, self.query, self.encoding, self.message_id)


class Example(msgspec.Struct, forbid_unknown_fields=True):
    why: str
    requests: list[Request]
    own_numbers: list[str] = []
    paths: dict[str, str] = {}
    record: dict[str, Any] | None = None
    ignored: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    id: str | None = None
    dialects: list[str] | None = None
    kinds: list[str] | None = None
    aliases: list[str] | None = None
    message_ids: list[str] | None = None
    warnings: list[str] = []


def load_example(file: Path) -> Example:
    return msgspec.json.decode(file.read_bytes(), type=Example)


def examples_with(result: str) -> list[Any]:
    """The examples that have this result, as parameters of a test."""
    examples = [
        pytest.param(example, id=file.stem)
        for file in FILES
        if getattr(example := load_example(file), result)
    ]
    assert examples
    return examples


def build_parser(example: Example) -> Parser:
    return Parser(ZoneInfo("Europe/Madrid"), "ES", example.own_numbers, example.paths, WEBHOOK_PATH)


def parse_events(example: Example) -> list[tuple[CallEvent, Instant]]:
    """The events of the example, each with its time of arrival."""
    parser = build_parser(example)
    events: list[tuple[CallEvent, Instant]] = []
    for request in example.requests:
        parsed = parser.parse(request.build())
        assert isinstance(parsed, list)
        arrival = int(datetime.fromisoformat(request.received_at).timestamp()) * SECOND
        events += [(event, Instant(arrival + index)) for index, event in enumerate(parsed)]
    return events


EMPTY: Final[dict[str, Any]] = {"tags": [], "follow_up": False}
NOT_COMPARED: Final = {"id", "version"}


@pytest.mark.parametrize("example", examples_with("record"))
def test_the_requests_of_an_example_give_its_record(example: Example) -> None:
    assert example.record is not None
    states = [
        state_from_event(event, seq=seq, received_at=received_at)
        for seq, (event, received_at) in enumerate(parse_events(example), 1)
    ]
    record = msgspec.to_builtins(build_record(reduce(join, states), id="", version=1))
    expected = dict.fromkeys(record) | EMPTY | example.record
    for derived in {"cloudtalk_data", "legs"} - example.record.keys():
        expected[derived] = record[derived]
    assert {f: v for f, v in record.items() if f not in NOT_COMPARED} == {
        f: v for f, v in expected.items() if f not in NOT_COMPARED
    }


@pytest.mark.parametrize("example", examples_with("record"))
def test_the_requests_of_an_example_give_its_ids_kinds_and_warnings(example: Example) -> None:
    events = [event for event, _ in parse_events(example)]
    first = events[0]
    assert [warning for event in events for warning in event.warnings] == example.warnings
    actual = {
        "id": f"cloudtalk-{first.name}",
        "dialects": [event.dialect for event in events],
        "kinds": [str(event.kind) for event in events],
        "aliases": list(first.aliases),
        "message_ids": list(first.message_ids),
    }
    expected = {key: getattr(example, key) for key in actual if getattr(example, key) is not None}
    assert {key: actual[key] for key in expected} == expected


@pytest.mark.parametrize("example", examples_with("ignored"))
def test_the_request_of_an_example_is_ignored(example: Example) -> None:
    (request,) = example.requests
    assert build_parser(example).parse(request.build()) == Ignored(**(example.ignored or {}))


@pytest.mark.parametrize("example", examples_with("error"))
def test_the_request_of_an_example_gives_its_error(example: Example) -> None:
    (request,) = example.requests
    with pytest.raises(InvalidPayload) as caught:
        build_parser(example).parse(request.build())
    error = caught.value
    actual = {
        "status": error.status,
        "reason": error.reason,
        "pointer": error.pointer,
        "acknowledged": not should_refuse(request.build(), error),
    }
    assert actual == example.error


def test_every_example_has_one_result() -> None:
    for file in FILES:
        example = load_example(file)
        assert sum(map(bool, (example.record, example.ignored, example.error))) == 1, file.name
