"""The facts in what was said: in the quick way of a dialect or the long one, and never a crash."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from relay.call import Kind
from relay.cloudtalk.dialects import _SIGNED_KEYS, SIGNED
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.fields import FieldParser, take_occurred_at
from relay.cloudtalk.flatten import flatten
from relay.cloudtalk.inference import kind_in
from relay.cloudtalk.request import RawRequest


@pytest.fixture
def facts() -> FieldParser:
    return FieldParser(ZoneInfo("Europe/Madrid"), "ES", ["910000001"])


def read(facts: FieldParser, body: dict[str, Any]) -> dict[str, Any]:
    return facts.read(flatten(body).found, [])


def test_every_known_key_of_a_signed_body_reads_alike_in_both_ways(facts: FieldParser) -> None:
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
        quick: list[str] = []
        long: list[str] = []
        assert facts.read(SIGNED.flatten(body, "").found, quick) == facts.read(flatten(body).found, long)
        assert quick == long
    assert SIGNED.recognises(body, RawRequest(b""))


@pytest.mark.parametrize(
    ("said", "direction"),
    [
        ({"from": "+34910000001"}, "outbound"),
        ({"to": "910000001"}, "inbound"),
        ({"from": "910000001", "to": "910000001"}, "internal"),
        ({"external_number": "910000001", "internal_number": "910000002"}, "internal"),
        ({"from": "612345678", "internal_number": "612345678"}, "outbound"),
        ({"to": "612345678", "internal_number": "612345678"}, "inbound"),
        ({"internal_number": "910000001"}, None),
        ({"external_number": "612345678", "internal_number": "910000001"}, None),
        ({"from": "612345678"}, None),
        ({"direction": "incoming", "from": "910000001"}, "inbound"),
        ({"type": "outgoing", "to": "910000001"}, "outbound"),
        ({"type": "phone"}, None),
        ({}, None),
    ],
)
def test_the_direction_is_told_by_whose_the_numbers_are(
    facts: FieldParser, said: dict[str, Any], direction: str | None
) -> None:
    assert read(facts, said).get("direction") == direction


@pytest.mark.parametrize(
    ("said", "name"),
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
def test_an_agent_is_named_in_several_ways(
    facts: FieldParser, said: dict[str, Any], name: str | None
) -> None:
    read_ = read(facts, said)
    assert read_.get("agent_name") == name
    assert "agent_first_name" not in read_


def test_an_unreadable_word_leaves_its_place_to_the_next(facts: FieldParser) -> None:
    warnings: list[str] = []
    found = flatten({"started_at": "soon", "start_time": 1732789800}).found
    assert facts.read(found, warnings) == {"started_at": 1_732_789_800_000_000}
    assert warnings == ["started_at: expected a time such as 2024-11-28T10:30:00Z"]


def test_any_id_that_is_too_long_is_refused_with_its_place(facts: FieldParser) -> None:
    with pytest.raises(InvalidPayload) as caught:
        facts.read(flatten({"contact": {"id": "x" * 201}}, "/1").found, [])
    assert caught.value.pointer == "/1/contact/id"


@pytest.mark.parametrize(
    ("kind", "facts_", "occurred_at"),
    [
        (Kind.STARTED, {"started_at": 1, "ended_at": 2, "occurred_at": 3}, 1),
        (Kind.ENDED, {"started_at": 1, "ended_at": 2, "occurred_at": 3}, 2),
        (Kind.MISSED, {"started_at": 1}, 1),
        (Kind.VOICEMAIL, {"started_at": 1, "ended_at": 2}, 2),
        (Kind.ANSWERED, {"started_at": 1}, None),
        (Kind.MODIFIED, {"started_at": 1, "occurred_at": 3}, 3),
        (Kind.UPDATE, {"started_at": 1}, None),
    ],
)
def test_an_event_happened_when_its_own_fact_says(
    kind: Kind, facts_: dict[str, Any], occurred_at: int | None
) -> None:
    assert take_occurred_at(kind, facts_) == occurred_at
    assert "occurred_at" not in facts_


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"call_id": 1, "transcript": "x", "talking_time": 2}, Kind.TRANSCRIPT),
        ({"call_id": 1, "transcript": "[object Object]"}, Kind.TRANSCRIPT),
        ({"call_id": 1, "transcript": None, "talking_time": 2}, Kind.ENDED),
        ({"call_id": 1, "transcript": ""}, Kind.UPDATE),
        ({"call_id": 1, "recording_url": "https://x.test/a"}, Kind.RECORDING),
        ({"call_id": 1, "recording_url": "https://x.test/a", "agent_id": 1}, Kind.UPDATE),
        ({"call_id": 1, "call_uuid": "u", "recording_url": "https://x.test/a"}, Kind.UPDATE),
        ({"call_id": 1, "wrapup_time": 0}, Kind.ENDED),
        ({"call_id": 1, "ended_at": "null"}, Kind.UPDATE),
        ({"call_uuid": "u", "agent_id": 1, "contact_id": 2}, Kind.UPDATE),
    ],
)
def test_a_body_without_a_name_is_what_it_bears(facts: FieldParser, body: dict[str, Any], kind: Kind) -> None:
    found = flatten(body).found
    assert kind_in(found, facts.read(found, [])) == kind
