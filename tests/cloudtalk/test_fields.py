"""The facts of an event: which field gives which fact."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from relay.call import Kind
from relay.cloudtalk.dialects import _SIGNED_KEYS, SIGNED
from relay.cloudtalk.errors import InvalidPayload, InvalidValue
from relay.cloudtalk.fields import FIRST_STEPS, FieldParser, add_warning, keys_of, pop_occurred_at
from relay.cloudtalk.flatten import flatten
from relay.cloudtalk.request import RawRequest


@pytest.fixture
def field_parser() -> FieldParser:
    return FieldParser(ZoneInfo("Europe/Madrid"), "ES", ["910000001"])


def parse_facts(field_parser: FieldParser, body: dict[str, Any]) -> dict[str, Any]:
    return field_parser.parse(flatten(body).fields, [])


def test_the_fast_way_to_flatten_a_signed_body_gives_the_same_facts(field_parser: FieldParser) -> None:
    for value in (
        "1",
        1,
        None,
        True,
        "incoming",
        "2024-11-28T10:30:00Z",
        {"number_e164": "+34612345678"},
        [1],
        "x",
    ):
        body = {
            "type": "call.ended",
            "event_id": "e",
            "occurred_at": 1732789800,
            "data": dict.fromkeys(_SIGNED_KEYS, value),
        }
        fast_warnings: list[str] = []
        warnings: list[str] = []
        fast_facts = field_parser.parse(SIGNED.flatten(body, "").fields, fast_warnings)
        assert fast_facts == field_parser.parse(flatten(body).fields, warnings)
        assert fast_warnings == warnings
    assert SIGNED.recognises(body, RawRequest(b""))


@pytest.mark.parametrize(
    ("body", "direction"),
    [
        ({"from": "+34910000001"}, "outbound"),
        ({"to": "910000001"}, "inbound"),
        ({"from": "910000001", "to": "910000001"}, "internal"),
        ({"external_number": "910000001", "internal_number": "910000002"}, "internal"),
        ({"from": "612345678", "internal_number": "612345678"}, "outbound"),
        ({"to": "612345678", "internal_number": "612345678"}, "inbound"),
        ({"internal_number": "910000001"}, None),
        ({"external_number": "910000001"}, None),
        ({"external_number": "612345678", "internal_number": "910000001"}, None),
        ({"from": "612345678"}, None),
        ({"direction": "incoming", "from": "910000001"}, "inbound"),
        ({"type": "outgoing", "to": "910000001"}, "outbound"),
        ({"direction": "incoming", "type": "outgoing"}, "inbound"),
        ({"type": "incoming", "call_type": "outgoing"}, "inbound"),
        ({"type": "phone"}, None),
        ({}, None),
    ],
)
def test_own_numbers_give_the_direction(
    field_parser: FieldParser, body: dict[str, Any], direction: str | None
) -> None:
    assert parse_facts(field_parser, body).get("direction") == direction


@pytest.mark.parametrize(
    ("own_number", "sent"),
    [
        ("+49 30 23456789", 493023456789),
        ("493023456789", "+493023456789"),
        ("030 23456789", 493023456789),
        ("0049 30 23456789", "493023456789"),
        ("34910000001", 34910000001),
        ("+34910000001 / +34910000002", 34910000002),
        ("101", 101),
    ],
)
def test_an_own_number_is_recognised_in_each_spelling(own_number: str, sent: object) -> None:
    field_parser = FieldParser(ZoneInfo("Europe/Berlin"), "DE", [own_number])
    assert parse_facts(field_parser, {"to": sent, "from": 34600111222})["direction"] == "inbound"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"agent_first_name": "Ana", "agent_last_name": "X"}, "Ana X"),
        ({"agent_first_name": "Ana"}, "Ana"),
        ({"agent_name": "Eva", "agent_first_name": "Ana"}, "Eva"),
        ({"agent": "Eva"}, "Eva"),
        ({"agent": {"name": "Eva"}}, "Eva"),
        ({"agent": {"id": 1}}, None),
        ({}, None),
    ],
)
def test_the_agents_name_may_be_in_several_fields(
    field_parser: FieldParser, body: dict[str, Any], name: str | None
) -> None:
    facts = parse_facts(field_parser, body)
    assert facts.get("agent_name") == name
    assert "agent_first_name" not in facts


@pytest.mark.parametrize(
    ("body", "fact", "value"),
    [
        ({"summary": {"summary": "one", "language": "es"}}, "summary", "one"),
        ({"summary": {"content": "one"}}, "summary", "one"),
        ({"summary": {"data": {"summary": "one"}}}, "summary", "one"),
        ({"transcript": {"results": [{"transcript": "one"}]}}, "transcript", "one"),
        ({"ai_summary": '{"summary": {"text": "one"}}'}, "summary", "one"),
        ({"transcript": {"text": "one"}}, "transcript", "one"),
        ({"transcription": {"transcript": {"Text": "one"}}}, "transcript", "one"),
        ({"transcript": [{"speaker": "a", "text": "one"}, {"text": "two"}]}, "transcript", "one\ntwo"),
        ({"transcript": '[{"text": "one"}, {"text": "two"}]'}, "transcript", "one\ntwo"),
        ({"notes": {"note": "one"}}, "notes", "one"),
        ({"notes": "[call back]"}, "notes", "[call back]"),
        ({"notes": '[1e400, "x"]'}, "notes", '[1e400, "x"]'),
        ({"tags": '["vip", "new"]'}, "tags", ["vip", "new"]),
        ({"tags": '[{"id": 1, "name": "vip"}]'}, "tags", ["vip"]),
        ({"tags": {"tags": "vip, new"}}, "tags", ["vip", "new"]),
        ({"tags": "[vip]"}, "tags", ["[vip]"]),
        ({"contact_name": {"value": "Ana"}}, "contact_name", "Ana"),
        ({"contact_name": {"content": "Ana", "value": "Eva"}}, "contact_name", "Ana"),
        ({"contact_name": {"agent_name": "Eva", "value": "Ana"}}, "contact_name", "Ana"),
        ({"contact_name": {"text": "Ana", "content": "Eva"}}, "contact_name", "Ana"),
        ({"contact_name": {"contact_name": "Ana", "text": "Eva"}}, "contact_name", "Ana"),
        ({"contact_name": "true"}, "contact_name", "true"),
        ({"contact_name": '["Ana"]', "client_name": "Eva"}, "contact_name", "Eva"),
        ({"notes": "1e5"}, "notes", "1e5"),
        ({"talking_time": {"value": "21"}}, "talking", 21),
        ({"external_number": {"value": 34600111222}}, "external_number", "+34600111222"),
        ({"external_number": '{"number_e164": "+34600111222"}'}, "external_number", "+34600111222"),
    ],
)
def test_a_value_is_found_inside_objects_and_json(
    field_parser: FieldParser, body: dict[str, Any], fact: str, value: object
) -> None:
    assert parse_facts(field_parser, body)[fact] == value


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        ({"call_type": "incoming"}, {"direction": "inbound"}),
        ({"Call Type": "Outgoing"}, {"direction": "outbound"}),
        ({"call_type": "power_dialer"}, {}),
        ({"type": "null", "call_type": None}, {}),
        ({"agent": {"extension": 1}, "recording": {"format": "mp3"}}, {}),
        ({"call_type": "regular", "type": "outgoing"}, {"direction": "outbound"}),
        ({"call_start_time": 60, "callEndTime": 120}, {"started_at": 60_000_000, "ended_at": 120_000_000}),
        ({"call_started_at": 60, "call_ended_at": 120}, {"started_at": 60_000_000, "ended_at": 120_000_000}),
        (
            {"call_talking_time": 5, "call_notes": "x", "call_tags": "a"},
            {"talking": 5, "notes": "x", "tags": ["a"]},
        ),
        ({"customer_name": "Ana", "customer_id": 7}, {"contact_name": "Ana", "contact_id": "7"}),
        (
            {"client": {"name": "Ana", "phone": 34600111222}},
            {"contact_name": "Ana", "external_number": "+34600111222"},
        ),
        (
            {"phone_number_from": 34600111222, "phone_number_to": 34910000002},
            {"from": "+34600111222", "to": "+34910000002"},
        ),
        ({"caller": {"name": "Ana", "number": "600111222"}, "callee": "Ana"}, {"from": "+34600111222"}),
        (
            {"call_agent_name": "Ana", "call_external_number": 34600111222},
            {"agent_name": "Ana", "external_number": "+34600111222"},
        ),
    ],
)
def test_more_words_for_the_same_facts(
    field_parser: FieldParser, body: dict[str, Any], facts: dict[str, Any]
) -> None:
    warnings: list[str] = []
    assert field_parser.parse(flatten(body).fields, warnings) == facts
    assert not warnings


def test_an_invalid_field_leaves_the_fact_to_the_next_key(field_parser: FieldParser) -> None:
    warnings: list[str] = []
    fields = flatten({"started_at": "soon", "start_time": 1732789800}).fields
    assert field_parser.parse(fields, warnings) == {"started_at": 1_732_789_800_000_000}
    assert warnings == ["started_at: expected a time such as 2024-11-28T10:30:00Z"]


def test_each_fact_has_its_keys_and_these_their_first_steps() -> None:
    assert keys_of({"voicemail"}) == {"isvoicemail", "voicemail", "callisvoicemail", "callvoicemail"}
    assert {"contact", "customer", "agent", "calluuid"} <= FIRST_STEPS
    assert FIRST_STEPS.isdisjoint({"", ".", "contact.name", "name"})


def test_a_body_has_at_most_20_warnings_with_60_characters_of_each_key() -> None:
    warnings: list[str] = []
    for _ in range(21):
        add_warning(warnings, " " + "k" * 61, InvalidValue("expected text"))
    assert warnings == ["k" * 60 + ": expected text"] * 20


def test_parsed_facts_are_limited_corrected_and_completed(field_parser: FieldParser) -> None:
    body = {
        "contact_name": "x" * 201,
        "started_at": "2026-10-25 02:30",
        "ended_at": "2026-10-25T00:31:15Z",
        "talking_time": 75_000,
        "to": "910000001",
    }
    warnings: list[str] = []
    assert field_parser.parse(flatten(body).fields, warnings) == {
        "contact_name": "x" * 199 + "…",
        "started_at": 1_792_888_200_000_000,
        "started_at_repeated": 1_792_891_800_000_000,
        "ended_at": 1_792_888_275_000_000,
        "talking": 75,
        "to": "+34910000001",
        "direction": "inbound",
    }
    assert warnings == ["contact_name: cut to 200 characters"]


def test_an_id_that_is_too_long_is_refused_with_its_pointer(field_parser: FieldParser) -> None:
    with pytest.raises(InvalidPayload) as caught:
        field_parser.parse(flatten({"contact": {"id": "x" * 201}}, "/1").fields, [])
    assert caught.value.pointer == "/1/contact/id"


@pytest.mark.parametrize(
    ("kind", "facts", "occurred_at"),
    [
        (Kind.STARTED, {"started_at": 1, "ended_at": 2, "occurred_at": 3}, 1),
        (Kind.ANSWERED, {"started_at": 1, "answered_at": 2, "occurred_at": 3}, 2),
        (Kind.MISSED, {"started_at": 1, "ended_at": 2, "occurred_at": 3}, 2),
        (Kind.VOICEMAIL, {"started_at": 1, "occurred_at": 3}, 1),
        (Kind.ENDED, {"started_at": 1, "ended_at": 2, "occurred_at": 3}, 2),
        (Kind.MISSED, {"started_at": 1}, 1),
        (Kind.VOICEMAIL, {"started_at": 1, "ended_at": 2}, 2),
        (Kind.ANSWERED, {"started_at": 1}, None),
        (Kind.MODIFIED, {"started_at": 1, "occurred_at": 3}, 3),
        (Kind.UPDATE, {"started_at": 1}, None),
    ],
)
def test_the_time_of_an_event_is_its_own_fact_else_the_envelopes_time(
    kind: Kind, facts: dict[str, Any], occurred_at: int | None
) -> None:
    assert pop_occurred_at(kind, facts) == occurred_at
    assert "occurred_at" not in facts


@pytest.mark.parametrize(
    ("fact", "value", "expected"),
    [
        ("tags", '"a,b"', ["a", "b"]),
        ("tags", '"vip"', ["vip"]),
        ("tags", '"\\u00e9t\\u00e9, b"', ["\u00e9t\u00e9", "b"]),
        ("tags", '["a,b", "c"]', ["a,b", "c"]),
        ("notes", '"Call back\\nat 5"', "Call back\nat 5"),
        ("notes", '"Yes", she said', '"Yes", she said'),
        ("call_id", '"123"', "123"),
    ],
)
def test_a_text_that_is_json_of_a_text_is_decoded(
    field_parser: FieldParser, fact: str, value: str, expected: Any
) -> None:
    assert parse_facts(field_parser, {fact: value})[fact] == expected


@pytest.mark.parametrize(
    "number", ["3.4600111222e10", "3.4600111222E+10", "34600111222.0", 3.4600111222e10, "600.111.222"]
)
def test_a_phone_number_that_a_program_made_a_float_is_read(field_parser: FieldParser, number: Any) -> None:
    assert parse_facts(field_parser, {"from": number})["from"] == "+34600111222"


@pytest.mark.parametrize("text", ["+34", "*67", "#31#"])
def test_a_code_is_no_phone_number(field_parser: FieldParser, text: str) -> None:
    assert "from" not in parse_facts(field_parser, {"from": text})
