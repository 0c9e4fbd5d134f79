"""Every example and every quirk of CloudTalk, each with the record that it must end as.

A file in `examples/` says why it is there, the requests in their order, and what comes of them:
`record` (fields that are not named are empty), `ignored` or `refused`. The expectations were written
by hand from what CloudTalk sends and what the CRM must show.
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
from relay.cloudtalk.parser import Ignored, Parser, RawRequest
from relay.instants import SECOND, Instant

HOOK: Final = "/cloudtalk/webhook"
ARRIVAL: Final = "2030-01-01T00:00:00Z"
FILES: Final = sorted((Path(__file__).parent / "examples").glob("*.json"))


class Request(msgspec.Struct, forbid_unknown_fields=True):
    body: msgspec.Raw = msgspec.Raw(b"")
    raw: str | None = None
    base64: str = ""
    content_type: str = ""
    path: str = HOOK
    query: str = ""
    encoding: str = ""
    message_id: str | None = None
    received_at: str = ARRIVAL

    def received(self) -> RawRequest:
        raw = bytes(self.body) or (base64.b64decode(self.base64) if self.raw is None else self.raw.encode())
        return RawRequest(raw, self.content_type, self.path, self.query, self.encoding, self.message_id)


class Example(msgspec.Struct, forbid_unknown_fields=True):
    why: str
    requests: list[Request]
    own_numbers: list[str] = []
    paths: dict[str, str] = {}
    record: dict[str, Any] | None = None
    ignored: dict[str, Any] | None = None
    refused: dict[str, Any] | None = None
    id: str | None = None
    dialects: list[str] | None = None
    kinds: list[str] | None = None
    aliases: list[str] | None = None
    keys: list[str] | None = None
    warnings: list[str] = []


def example_of(file: Path) -> Example:
    return msgspec.json.decode(file.read_bytes(), type=Example)


def reader_of(example: Example) -> Parser:
    return Parser(ZoneInfo("Europe/Madrid"), "ES", example.own_numbers, example.paths, HOOK)


def named(key: str) -> list[Any]:
    """The examples that end so."""
    found = [
        pytest.param(example, id=file.stem) for file in FILES if getattr(example := example_of(file), key)
    ]
    assert found
    return found


def arrival(request: Request) -> Instant:
    return Instant(int(datetime.fromisoformat(request.received_at).timestamp()) * SECOND)


def events_of(example: Example) -> list[tuple[CallEvent, Instant]]:
    reader = reader_of(example)
    said: list[tuple[CallEvent, Instant]] = []
    for request in example.requests:
        found = reader.read(request.received())
        assert isinstance(found, list)
        said += [(event, Instant(arrival(request) + index)) for index, event in enumerate(found)]
    return said


EMPTY: Final[dict[str, Any]] = {"tags": [], "follow_up": False}
NOT_COMPARED: Final = {"id", "version"}


@pytest.mark.parametrize("example", named("record"))
def test_an_example_ends_as_the_record_that_was_foretold(example: Example) -> None:
    assert example.record is not None
    states = [
        state_from_event(event, seq=seq, received_at=received_at)
        for seq, (event, received_at) in enumerate(events_of(example), 1)
    ]
    record = msgspec.to_builtins(build_record(reduce(join, states), id="", version=1))
    expected = dict.fromkeys(record) | EMPTY | example.record
    if "cloudtalk_data" not in example.record:
        expected["cloudtalk_data"] = record["cloudtalk_data"]
    assert {f: v for f, v in record.items() if f not in NOT_COMPARED} == {
        f: v for f, v in expected.items() if f not in NOT_COMPARED
    }


@pytest.mark.parametrize("example", named("record"))
def test_an_example_is_read_as_it_says(example: Example) -> None:
    events = [event for event, _ in events_of(example)]
    first = events[0]
    assert [warning for event in events for warning in event.warnings] == example.warnings
    told = {
        "id": f"cloudtalk-{first.name}",
        "dialects": [event.dialect for event in events],
        "kinds": [str(event.kind) for event in events],
        "aliases": list(first.aliases),
        "keys": list(first.keys),
    }
    expected = {key: getattr(example, key) for key in told if getattr(example, key) is not None}
    assert {key: told[key] for key in expected} == expected


@pytest.mark.parametrize("example", named("ignored"))
def test_an_example_is_ignored(example: Example) -> None:
    (request,) = example.requests
    assert reader_of(example).read(request.received()) == Ignored(**(example.ignored or {}))


@pytest.mark.parametrize("example", named("refused"))
def test_an_example_is_refused(example: Example) -> None:
    (request,) = example.requests
    with pytest.raises(InvalidPayload) as caught:
        reader_of(example).read(request.received())
    assert {key: getattr(caught.value, key) for key in example.refused or {}} == example.refused


def test_every_file_says_one_outcome() -> None:
    for file in FILES:
        example = example_of(file)
        assert sum(map(bool, (example.record, example.ignored, example.refused))) == 1, file.name
