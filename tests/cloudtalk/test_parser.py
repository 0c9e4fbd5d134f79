"""Parse requests: the mission's payload strictly, and what is refused or ignored."""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from relay.call import CallEvent, Kind
from relay.cloudtalk.decoding import parse_body
from relay.cloudtalk.dialects import Dialect
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.event_names import EventNameResolver
from relay.cloudtalk.fields import FieldParser
from relay.cloudtalk.parser import Ignored, LenientParser, Parser
from relay.cloudtalk.request import RawRequest
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
def parser() -> Parser:
    return Parser(ZoneInfo("Europe/Madrid"), "ES")


def payload(event: Any, **changes: Any) -> bytes:
    return msgspec.json.encode({"event": event, "data": DATA | changes})


def parse_one(parser: Parser, raw: bytes) -> CallEvent:
    events = parser.parse(RawRequest(raw))
    assert isinstance(events, list)
    (event,) = events
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
def test_the_missions_payload_is_parsed_exactly(
    parser: Parser, name: str, kind: Kind, occurred_at: Instant | None
) -> None:
    assert parse_one(parser, payload(name)) == CallEvent(
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
def test_an_id_stays_verbatim_and_its_alias_has_a_namespace(
    parser: Parser, id_: Any, name: str, alias: str
) -> None:
    event = parse_one(parser, payload("call.started", id=id_))
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
        (payload("call.started", to=["+34"]), "/data/to"),
        (payload("call.started", contact_id={"id": 1}), "/data/contact_id"),
        (payload("call.started", contact_name={"first": "Ana"}), "/data/contact_name"),
        (payload("call.started", started_at="soon"), "/data/started_at"),
        (payload("call.answered", answered_at="soon"), "/data/answered_at"),
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
def test_an_invalid_body_is_refused_with_a_pointer(parser: Parser, raw: bytes, pointer: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        parser.parse(RawRequest(raw))
    assert (caught.value.status, caught.value.pointer) == (422, pointer)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"event": "call.ended", "data": {"id": "7"}}, ("mission", 1, True)),
        ({"type": "call.ended", "event_id": "e", "call_id": 7}, ("signed", 3, False)),
        ({"call.uuid": "u", "event": "ended"}, ("flow", 2, False)),
        ({"call_id": 7, "event": "ended"}, ("workflow", 2, False)),
    ],
)
def test_an_event_has_the_properties_of_its_dialect(
    parser: Parser, body: dict[str, Any], expected: tuple[str, int, bool]
) -> None:
    event = parse_one(parser, msgspec.json.encode(body))
    assert (event.dialect, event.source_rank, event.single_id) == expected


@pytest.mark.parametrize(
    ("body", "aliases"),
    [
        ({"event": "ended", "id": 5}, ("id:5",)),
        ({"id": 5, "external_number": "+34612345678"}, ("id:5",)),
        ({"event": "ended", "id": 5, "call_uuid": "u"}, ("other:u",)),
        ({"event": "ended", "id": 5, "call_id": 7}, ("id:7",)),
    ],
)
def test_a_plain_id_counts_only_if_there_is_no_other(
    parser: Parser, body: dict[str, Any], aliases: tuple[str, ...]
) -> None:
    event = parse_one(parser, msgspec.json.encode(body))
    assert event.aliases == aliases
    assert event.name == aliases[0].partition(":")[2]


def test_a_new_dialect_needs_only_its_declaration() -> None:
    dialect = Dialect("new", lambda *_: True, source_rank=7, single_id=True)
    lenient = LenientParser(FieldParser(ZoneInfo("Europe/Madrid"), "ES"), EventNameResolver("/", {}))
    event = lenient.parse(dialect, {"event": "ended", "call_id": 7}, RawRequest(b""))
    assert isinstance(event, CallEvent)
    assert (event.dialect, event.source_rank, event.single_id) == ("new", 7, True)


def test_a_key_of_the_mission_counts_before_other_keys_of_the_same_fact(parser: Parser) -> None:
    event = parse_one(parser, payload("call.ended", contactName="Otro", duration_seconds=7, agent_name="Ana"))
    facts = event.facts
    assert (facts["contact_name"], facts["duration"]) == ("Nombre del Contacto", 120)
    assert facts["agent_name"] == "Ana"


UUID = "44fe27cd-5268-4670-993e-0129aabbccdd"
LINK = "https://my.cloudtalk.io/pub/r/MTAwMjQwMjQ4Nw%3D%3D/M2Q1.wav"


@pytest.mark.parametrize(
    ("ids", "aliases", "call_uuid"),
    [
        ({"id": "a", "recording_url": LINK}, ("other:a", "id:1002402487"), None),
        ({"id": "7", "recording_url": LINK}, ("id:7",), None),
        ({"id": UUID.upper()}, (f"uuid:{UUID}",), UUID),
        ({"id": UUID, "call_id": 7}, (f"uuid:{UUID}", "id:7"), UUID),
        ({"id": "7", "call_uuid": UUID}, ("id:7", f"uuid:{UUID}"), UUID),
        ({"id": "7", "call_id": 8}, ("id:7", "id:8"), None),
    ],
)
def test_the_missions_id_may_be_any_of_the_two_ids_of_a_call(
    parser: Parser, ids: dict[str, Any], aliases: tuple[str, ...], call_uuid: str | None
) -> None:
    event = parse_one(parser, payload("call.ended", **ids))
    assert (event.name, event.aliases) == (ids["id"], aliases)
    assert (event.facts["call_id"], event.facts.get("call_uuid")) == (ids["id"], call_uuid)


def test_an_unrendered_key_of_the_mission_is_warned_of_once(parser: Parser) -> None:
    event = parse_one(parser, payload("call.ended", contact_name="{{name}}", agent_name="Ana"))
    assert len(event.warnings) == 1
    assert "contact_name" not in event.facts


def test_an_array_gives_its_call_events(parser: Parser) -> None:
    raw = (
        b"["
        + payload("call.started")
        + b","
        + payload("contact.updated")
        + b","
        + payload("call.ended")
        + b"]"
    )
    events = parser.parse(RawRequest(raw))
    assert isinstance(events, list)
    assert [event.kind for event in events] == [Kind.STARTED, Kind.ENDED]


@pytest.mark.parametrize(
    ("raw", "ignored"),
    [
        (b"", Ignored("empty", quarantine=False)),
        (b" \n", Ignored("empty", quarantine=False)),
        (b"[]", Ignored("empty", quarantine=False)),
        (b"{}", Ignored("unnamed", quarantine=False)),
        (b'{"test":true}', Ignored("unnamed", quarantine=False)),
        (b'{"event":"ping"}', Ignored("ping", quarantine=False)),
        (b"null", Ignored("empty", quarantine=False)),
        (payload("contact.updated"), Ignored("contact.updated", quarantine=False)),
        (payload("call.teleported"), Ignored("call.teleported", quarantine=True)),
        (b'{"event":"ping","id":5}', Ignored("ping", quarantine=True)),
        (b'{"event":"ping","external_number":"+34612345678"}', Ignored("ping", quarantine=True)),
        (b'{"id":5,"name":"Ana"}', Ignored("unnamed", quarantine=True)),
        (b'{"external_number":39351340000}', Ignored("unnamed", quarantine=True)),
    ],
)
def test_pings_and_unknown_events_are_ignored_and_quarantined_if_they_look_like_a_call(
    parser: Parser, raw: bytes, ignored: Ignored
) -> None:
    assert parser.parse(RawRequest(raw)) == ignored


@pytest.mark.parametrize(
    ("body", "path", "quarantine"),
    [
        ({"test": True}, "/call.ended", False),
        ({}, "/call.ended", False),
        ({"ping": 1, "test": "x"}, "", False),
        ({"hello": "world"}, "", True),
        ({"call_uuid": None}, "", True),
        ({"contact": {"id": 5}}, "", True),
        ({"a": {"call_uuid": "x"}, "b": {"call_uuid": "y"}}, "", True),
        ({"event": "call.parked", "call_uuid": None}, "", True),
        ({"event": "agent.changed", "agent_id": 5}, "", False),
        ({"call.uuid": None, "call.external_number": "+34612345678"}, "/flow", False),
    ],
)
def test_only_pings_empty_bodies_and_other_events_are_ignored_without_a_copy(
    parser: Parser, body: dict[str, Any], path: str, quarantine: bool
) -> None:
    parsed = parser.parse(RawRequest(msgspec.json.encode(body), path="/cloudtalk/webhook" + path))
    assert isinstance(parsed, Ignored)
    assert parsed.quarantine is quarantine


@pytest.mark.parametrize(
    "body", [{"hello": "world"}, {"call_uuid": None}, {"a": [1, 2]}, {"customer_reference": "x"}]
)
@pytest.mark.parametrize("path", ["/call.ended", "/recording.uploaded"])
def test_a_body_without_an_id_whose_url_names_an_event_is_refused(
    parser: Parser, body: dict[str, Any], path: str
) -> None:
    with pytest.raises(InvalidPayload) as caught:
        parser.parse(RawRequest(msgspec.json.encode(body), path="/cloudtalk/webhook" + path))
    assert (caught.value.status, caught.value.reason) == (422, "missing_id")


ENVELOPE: dict[str, Any] = {"event_id": "evt_1", "type": "call.ended", "data": {"call_uuid": "u-1"}}


@pytest.mark.parametrize(
    "company",
    [
        *(
            {"company_id": company}
            for company in ("12345", 12345, " 67 ", None, "", " ", "null", "Undefined")
        ),
        {},
    ],
)
def test_a_signed_event_of_a_listed_company_or_of_none_is_parsed(company: dict[str, Any]) -> None:
    parser = Parser(ZoneInfo("Europe/Madrid"), "ES", company_ids=["12345", "67"])
    raw = msgspec.json.encode(ENVELOPE | {"occurred_at": "2026-09-26T15:04:05Z"} | company)
    assert parse_one(parser, raw).kind is Kind.ENDED


@pytest.mark.parametrize("company", ["9", 9, 123456, "12345x", [12345], "9" * 500])
def test_a_signed_event_of_another_company_is_refused_and_acknowledged(company: Any) -> None:
    parser = Parser(ZoneInfo("Europe/Madrid"), "ES", company_ids=["12345"])
    with pytest.raises(InvalidPayload) as caught:
        parser.parse(RawRequest(msgspec.json.encode([ENVELOPE | {"company_id": company}])))
    assert (caught.value.reason, caught.value.pointer) == ("foreign_company", "/0/company_id")
    assert caught.value.always_ack
    shown = str(company)[:40]
    assert caught.value.message == f"company_id {shown} is none of cloudtalk.company_ids"


def test_a_company_id_in_a_body_of_another_dialect_is_a_field_of_the_customer() -> None:
    parser = Parser(ZoneInfo("Europe/Madrid"), "ES", company_ids=["12345"])
    raw = msgspec.json.encode({"event": "call.ended", "call_uuid": "u-1", "company_id": "acme"})
    assert parse_one(parser, raw).dialect == "workflow"


def test_a_decoded_value_is_parsed_like_its_body(parser: Parser) -> None:
    request = RawRequest(payload("call.ended"))
    (item,) = parser.parse_items(parse_body(request), request)
    assert [item.parsed] == parser.parse(request)


def test_a_body_has_at_most_1000_events(parser: Parser) -> None:
    events = parser.parse(RawRequest(b"[" + b",".join([payload("call.started")] * 1_000) + b"]"))
    assert isinstance(events, list)
    assert len(events) == 1_000
    with pytest.raises(InvalidPayload, match="more than 1000 events") as caught:
        parser.parse(RawRequest(b"[" + b",".join([payload("call.started")] * 1_001) + b"]"))
    assert (caught.value.status, caught.value.reason) == (422, "too_many")


def test_an_item_shows_whether_it_is_the_whole_body(parser: Parser) -> None:
    value = {"event": "call.ended", "data": DATA}
    request = RawRequest(b"", message_id="m")
    (item,) = parser.parse_items(value, request)
    assert (item.value, item.whole, item.parsed.message_ids) == (value, True, ("msg:m",))  # type: ignore[union-attr]
    assert [(item.value, item.whole) for item in parser.parse_items([value, value], request)] == [
        (value, False)
    ] * 2
    assert parser.parse_items(None, request) == []


def test_the_first_body_that_is_no_event_names_the_result(parser: Parser) -> None:
    parsed = parser.parse(RawRequest(b'[{"event":"ping"},{"event":"pong"}]'))
    assert parsed == Ignored("ping", quarantine=False)


def test_each_event_of_an_array_has_a_dedup_key_of_its_own(parser: Parser) -> None:
    events = parser.parse(
        RawRequest(b"[" + payload("call.started") + b"," + payload("call.ended") + b"]", message_id="m")
    )
    assert isinstance(events, list)
    assert [event.message_ids for event in events] == [("msg:m/0",), ("msg:m/1",)]


# --- times --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        RawRequest(b"", query="event=call.ended&call_id=7&started_at=2026-11-24T09:00:00+05:30"),
        RawRequest(b"event=call.ended&call_id=7&started_at=2026-11-24T09:00:00+05:30"),
        RawRequest(b"event=call.ended&data[id]=7&data[started_at]=2026-11-24 09:00:00+0530"),
    ],
)
def test_an_offset_keeps_its_plus_in_a_query_and_a_form(parser: Parser, request_: RawRequest) -> None:
    events = parser.parse(request_)
    assert isinstance(events, list)
    (event,) = events
    assert (event.facts["started_at"], event.warnings) == (Instant(1_795_491_000_000_000), ())


@pytest.mark.parametrize(
    "body",
    [
        {
            "event": "call.ended",
            "data": {"id": "7", "started_at": "2026-10-25 02:50", "ended_at": "2026-10-25 02:10"},
        },
        {
            "event": "call.ended",
            "call_id": 7,
            "started_at": "2026-10-25 02:50",
            "ended_at": "2026-10-25 02:10",
        },
    ],
)
def test_a_call_in_the_repeated_hour_ends_after_it_started(parser: Parser, body: dict[str, Any]) -> None:
    event = parse_one(parser, msgspec.json.encode(body))
    assert event.facts["ended_at"] - event.facts["started_at"] == 20 * 60 * 1_000_000
    assert event.occurred_at == event.facts["ended_at"]


# --- an Ended that does not state whether anybody talked ------------------------------------------------


def outcome_missing(parser: Parser, body: dict[str, Any], path: str = "/cloudtalk/webhook") -> str | None:
    """The variable that the event in this body lacks."""
    events = parser.parse(RawRequest(msgspec.json.encode(body), "application/json", path))
    assert isinstance(events, list)
    (event,) = events
    return event.missing


@pytest.mark.parametrize(
    "value", ["", None, "null", "undefined", "{{talking_time}}", "[object Object]", -1, "-"]
)
def test_an_ended_whose_talking_time_is_empty_names_the_variable(parser: Parser, value: Any) -> None:
    body = {
        "event": "call.ended",
        "call_uuid": "u",
        "talking_time": value,
        "ended_at": "2026-01-02T10:00:00Z",
    }
    assert outcome_missing(parser, body) == "talking_time"


@pytest.mark.parametrize(
    "body",
    [
        {"event": "hangup", "call_id": 7, "waiting_time": 20, "agent_id": 3},
        {"call_uuid": "u", "call_id": 7, "wrapup_time": 4},
        {"event": "call.finished", "call": {"uuid": "u"}, "call.waiting_time": 3},
        {
            "event_id": "e",
            "type": "call.ended",
            "occurred_at": None,
            "data": {"call_uuid": "u", "duration": 9},
        },
        {"event": "call.ended", "call_id": 7, "status": "transferred"},
        {"event": "call.ended", "call_id": 7, "is_voicemail": False},
    ],
)
def test_an_ended_without_talking_time_names_the_variable(parser: Parser, body: dict[str, Any]) -> None:
    assert outcome_missing(parser, body) == "talking_time"


@pytest.mark.parametrize("status", ["transferred", "Line dropped"])
@pytest.mark.parametrize("dialect", ["mission", "workflow"])
def test_an_unknown_status_is_named_in_a_warning(parser: Parser, dialect: str, status: str) -> None:
    data = {"id": "7", "status": status}
    body = {"event": "call.ended"} | ({"data": data} if dialect == "mission" else data)
    events = parser.parse(RawRequest(msgspec.json.encode(body)))
    assert isinstance(events, list)
    assert events[0].dialect == dialect
    assert events[0].warnings == (f"status: unknown status {status!r}",)
    assert events[0].missing is not None


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"answered": False}, "missed"),
        ({"Answered": "true"}, "answered"),
        ({"call_answered": "false"}, "missed"),
        ({"answered": True, "status": "user_busy"}, "missed"),
    ],
)
def test_the_field_answered_states_the_outcome(parser: Parser, fields: dict[str, Any], status: str) -> None:
    body = {"event": "call.ended", "call_id": 7} | fields
    events = parser.parse(RawRequest(msgspec.json.encode(body)))
    assert isinstance(events, list)
    assert (events[0].fact("status"), events[0].warnings) == (status, ())


def test_in_the_mission_the_missing_variable_is_the_status(parser: Parser) -> None:
    for status in ({}, {"status": None}, {"status": ""}, {"status": "{{status}}"}):
        assert outcome_missing(parser, {"event": "call.ended", "data": {"id": "a"} | status}) == "status"


@pytest.mark.parametrize(
    "facts",
    [
        {"talking_time": 0},
        {"talking_time": "0:00"},
        {"talk_time": 3},
        {"status": "declined"},
        {"call_status": "completed"},
        {"is_voicemail": True},
        {"answered_at": "2026-01-02T10:00:00Z"},
    ],
)
def test_an_ended_that_states_its_outcome_lacks_nothing(parser: Parser, facts: dict[str, Any]) -> None:
    assert outcome_missing(parser, {"event": "call.ended", "call_uuid": "u"} | facts) is None


@pytest.mark.parametrize("kind", ["started", "ringing", "answered", "missed", "voicemail", "modified"])
def test_only_an_ended_needs_an_outcome(parser: Parser, kind: str) -> None:
    assert outcome_missing(parser, {"event": f"call.{kind}", "call_uuid": "u"}) is None


@pytest.mark.parametrize(
    ("body", "message_id", "expected"),
    [
        ({"type": "call.ended", "event_id": "e1", "call_uuid": "u"}, "m1", ("msg:m1", "evt:e1")),
        ({"type": "call.ended", "event_id": "e1", "call_uuid": "u"}, None, ("evt:e1",)),
        ({"type": "call.ended", "event_id": None, "call_uuid": "u"}, "m1", ("msg:m1",)),
        ({"type": "call.ended", "event_id": [], "call_uuid": "u"}, "m1", ("msg:m1",)),
        ({"event": "ended", "event_id": "e1", "call_uuid": "u"}, None, ()),
    ],
)
def test_a_redelivery_is_recognised_by_the_ids_of_the_message_and_of_the_event(
    parser: Parser, body: dict[str, Any], message_id: str | None, expected: tuple[str, ...]
) -> None:
    events = parser.parse(RawRequest(msgspec.json.encode(body), message_id=message_id))
    assert isinstance(events, list)
    assert [event.message_ids for event in events] == [expected]


def test_an_unnamed_body_whose_ids_are_unrendered_variables_is_refused(parser: Parser) -> None:
    body = {"call_uuid": "{{call.uuid}}", "agent_id": 7}
    with pytest.raises(InvalidPayload) as caught:
        parser.parse(RawRequest(msgspec.json.encode(body)))
    assert caught.value.reason == "missing_id"
    assert "{{call.uuid}}" in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "dialect"),
    [
        ('{"event":"call.ended","data":{"id":"1","notes":"one\ntwo\t\x00"}}', "mission"),
        ('{"call_id":1,"talking_time":5,"notes":"one\ntwo\t\x00"}', "workflow"),
        (
            (
                '{"event_id":"e","type":"call.ended","version":"v1","occurred_at":"2026-09-26T15:04:05.000Z",\n'
                '"company_id":"1","data":{"call_id":"1","notes":"one\ntwo\t\x00"}}'
            ),
            "signed",
        ),
        (r'{"event":"call.ended","data":"{\"id\":\"1\",\"notes\":\"one\ntwo\t\u0000\"}"}', "workflow"),
    ],
)
def test_control_characters_in_a_typed_template_do_not_lose_the_call(
    parser: Parser, raw: str, dialect: str
) -> None:
    event = parse_one(parser, raw.encode())
    assert (event.kind, event.dialect) == ("ended", dialect)
    assert (event.aliases, event.facts["notes"]) == (("id:1",), "one\ntwo\t\ufffd")


@pytest.mark.parametrize(
    "data",
    [
        {"call": DATA},
        {"data": DATA},
        {"json": DATA},
        {"result": [DATA]},
        {"payload": {"call": DATA}},
        {"record": {"item": DATA}},
    ],
)
def test_the_data_of_an_event_may_have_a_wrapper(parser: Parser, data: dict[str, Any]) -> None:
    wrapped = parse_one(parser, msgspec.json.encode({"event": "call.ended", "data": data}))
    plain = parse_one(parser, msgspec.json.encode({"event": "call.ended", "data": DATA}))
    assert (wrapped.kind, wrapped.name, wrapped.aliases) == (plain.kind, plain.name, plain.aliases)
    assert wrapped.facts == plain.facts
