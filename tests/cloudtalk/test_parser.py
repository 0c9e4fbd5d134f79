"""From a body to call events: the mission's payload, exactly, and what is left aside."""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from relay.call import CallEvent, Kind
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.parser import Ignored, Parser, RawRequest, parse_body
from relay.instants import Instant

DATA = {
    "id": "call-id",
    "direction": "inbound",
    "from": "+34612345678",
    "to": "+34987654321",
    "contact_id": "contact-id",
    "contact_name": "Nombre del Contacto",
    "duration": 120,
    "started_at": "2024-11-28T10:30:00Z",
    "ended_at": "2024-11-28T10:32:00Z",
    "status": "completed",
}
STARTED, ENDED = Instant(1_732_789_800_000_000), Instant(1_732_789_920_000_000)


@pytest.fixture
def reader() -> Parser:
    return Parser(ZoneInfo("Europe/Madrid"), "ES")


def payload(event: Any, **changes: Any) -> bytes:
    return msgspec.json.encode({"event": event, "data": DATA | changes})


def read_one(reader: Parser, raw: bytes) -> CallEvent:
    found = reader.read(RawRequest(raw))
    assert isinstance(found, list)
    (event,) = found
    return event


@pytest.mark.parametrize(
    ("name", "kind", "occurred_at"),
    [
        ("call.started", Kind.STARTED, STARTED),
        ("call.answered", Kind.ANSWERED, None),
        ("call.ended", Kind.ENDED, ENDED),
        ("call.missed", Kind.MISSED, ENDED),
    ],
)
def test_the_missions_payload_is_read_exactly(
    reader: Parser, name: str, kind: Kind, occurred_at: Instant | None
) -> None:
    assert read_one(reader, payload(name)) == CallEvent(
        kind=kind,
        dialect="mission",
        name="call-id",
        aliases=("other:call-id",),
        occurred_at=occurred_at,
        facts={
            "call_id": "call-id",
            "direction": "inbound",
            "from": "+34612345678",
            "to": "+34987654321",
            "contact_id": "contact-id",
            "contact_name": "Nombre del Contacto",
            "duration": 120,
            "started_at": STARTED,
            "ended_at": ENDED,
            "status": "answered",
        },
        data=DATA,
        source_rank=1,
        single_id=True,
    )


@pytest.mark.parametrize(
    ("id_", "name", "alias"),
    [
        (123, "123", "id:123"),
        ("123", "123", "id:123"),
        ("0B5C4CDE-5268-4670-993E-0129AABBCCDD",) * 2 + ("uuid:0b5c4cde-5268-4670-993e-0129aabbccdd",),
        ("a b/ñ", "a b/ñ", "other:a b/ñ"),
    ],
)
def test_an_id_is_kept_verbatim_and_known_by_its_namespace(
    reader: Parser, id_: Any, name: str, alias: str
) -> None:
    event = read_one(reader, payload("call.started", id=id_))
    assert (event.name, event.aliases) == (name, (alias,))


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (payload("call.started", id=None), "/data/id"),
        (payload("call.started", id=""), "/data/id"),
        (payload("call.started", id="x" * 201), "/data/id"),
        (payload("call.started", id={"a": 1}), "/data/id"),
        (payload("call.started", direction="sideways"), "/data/direction"),
        (payload("call.started", **{"from": ["+34"]}), "/data/from"),
        (payload("call.started", contact_name={"first": "Ana"}), "/data/contact_name"),
        (payload("call.ended", duration="long"), "/data/duration"),
        (payload("call.ended", duration=True), "/data/duration"),
        (payload("call.ended", ended_at="soon"), "/data/ended_at"),
        (payload("call.ended", status=[1]), "/data/status"),
        (payload(17), "/event"),
        (b'{"event":"call.started","data":[]}', "/data"),
        (b'{"event":"call.started","data":"x"}', "/data"),
        (b'{"event":"call.started"}', ""),
        (b'[{"event":"call.started","data":{"id":1}},{"event":"call.ended","data":{}}]', "/1/data/id"),
        (b"42", ""),
        (b'"call.started"', ""),
        (b"[[]]", "/0"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_pointer(reader: Parser, raw: bytes, pointer: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        reader.read(RawRequest(raw))
    assert (caught.value.status, caught.value.pointer) == (422, pointer)


def test_an_array_is_read_whole(reader: Parser) -> None:
    raw = (
        b"["
        + payload("call.started")
        + b","
        + payload("contact.updated")
        + b","
        + payload("call.ended")
        + b"]"
    )
    found = reader.read(RawRequest(raw))
    assert isinstance(found, list)
    assert [event.kind for event in found] == [Kind.STARTED, Kind.ENDED]


@pytest.mark.parametrize(
    ("raw", "ignored"),
    [
        (b"", Ignored("empty", quarantine_unknown=False)),
        (b" \n", Ignored("empty", quarantine_unknown=False)),
        (b"[]", Ignored("empty", quarantine_unknown=False)),
        (b"{}", Ignored("unnamed", quarantine_unknown=False)),
        (b'{"test":true}', Ignored("unnamed", quarantine_unknown=False)),
        (b'{"event":"ping"}', Ignored("ping", quarantine_unknown=False)),
        (b"null", Ignored("empty", quarantine_unknown=False)),
        (payload("contact.updated"), Ignored("contact.updated", quarantine_unknown=False)),
        (payload("call.teleported"), Ignored("call.teleported", quarantine_unknown=True)),
        (b'{"id":5,"name":"Ana"}', Ignored("unnamed", quarantine_unknown=True)),
        (b'{"external_number":39351340000}', Ignored("unnamed", quarantine_unknown=True)),
    ],
)
def test_pings_and_unknown_events_are_ignored_and_kept_if_like_a_call(
    reader: Parser, raw: bytes, ignored: Ignored
) -> None:
    assert reader.read(RawRequest(raw)) == ignored


def test_a_value_that_is_parsed_already_reads_like_its_body(reader: Parser) -> None:
    received = RawRequest(payload("call.ended"))
    (part,) = reader.parts(parse_body(received), received)
    assert [part.reading] == reader.read(received)


def test_each_event_of_an_array_is_known_by_a_key_of_its_own(reader: Parser) -> None:
    found = reader.read(
        RawRequest(b"[" + payload("call.started") + b"," + payload("call.ended") + b"]", message_id="m")
    )
    assert isinstance(found, list)
    assert [event.keys for event in found] == [("msg:m/0",), ("msg:m/1",)]


@pytest.mark.parametrize(
    ("raw", "message_id", "path", "always_ack"),
    [
        (b'{"event":"call.ended"}', None, "/cloudtalk/webhook", False),
        (b'{"event":"call.ended"}', "m", "/cloudtalk/webhook", True),
        (b'{"event":"call.ended"}', None, "/cloudtalk/webhook/flow", True),
        (b'{"event":"call.ended","call.uuid":null}', None, "/cloudtalk/webhook", True),
        (b'{"event_id":"e","type":"call.ended","data":{}}', None, "/cloudtalk/webhook", True),
        (b"42", "m", "/cloudtalk/webhook", True),
        (payload("call.ended", id=None), "m", "/cloudtalk/webhook", False),
    ],
)
def test_senders_who_must_not_hear_of_a_refusal_are_told(
    reader: Parser, raw: bytes, message_id: str | None, path: str, always_ack: bool
) -> None:
    with pytest.raises(InvalidPayload) as caught:
        reader.read(RawRequest(raw, path=path, message_id=message_id))
    assert caught.value.always_ack is always_ack
