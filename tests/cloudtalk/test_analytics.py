"""The facts of CloudTalk's analytics about a missed call."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.call import MissedReason
from relay.cloudtalk.analytics import has_steps, parse_analytics, parse_uuid
from relay.instants import SECOND
from tests.support.enrichment import agent_call, missed, queue

UUID = "44FE27CD-5268-4670-993e-0129aabbccdd"
IVR = {"type": "ivr", "id": 1, "date": "2024-11-28T10:30:00Z", "total_time": 4, "option": None}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (missed(queue(reason="no_agents_online")), MissedReason.NO_AGENTS_ONLINE),
        (missed(queue(reason="no_agents_available")), MissedReason.NO_AGENTS_AVAILABLE),
        (missed(queue()), MissedReason.NO_AGENTS_PICKED_UP),
        (missed(IVR, queue(reason="canceled")), MissedReason.CANCELED),
        (missed(queue(reason="canceled"), queue(reason="no_agents_online")), MissedReason.NO_AGENTS_ONLINE),
        (missed(agent_call(7, "Ana", reason="busy")), MissedReason.BUSY),
        (missed(agent_call(7, "Ana", reason="idle")), MissedReason.IDLE),
        (missed(queue(reason="canceled"), agent_call(7, "Ana", reason="busy")), MissedReason.CANCELED),
        (missed(queue(), out_of_office=True), MissedReason.OUT_OF_OFFICE),
        (missed(IVR), MissedReason.IN_MENU),
        (missed(queue(reason="queue_was_full")), "queue was full"),
        (missed(queue(reason=None)), None),
        (missed(), None),
        (missed(queue(), status="answered"), None),
    ],
)
def test_the_reason_of_a_missed_call(answer: dict[str, Any], reason: str | None) -> None:
    assert parse_analytics(answer).get("missed_reason") == reason


def test_the_agents_whose_phones_rang_are_named_once() -> None:
    queues = [
        queue(
            agent_call(7, "Ana &amp; Co"),
            agent_call(8, "Bea", reason="offline", ringing=None),
            agent_call(9, "Carla", reason="busy", ringing=3),
        ),
        queue(agent_call(7, "Ana &amp; Co"), {**agent_call(6, "Dora"), "status": "answered"}),
    ]
    facts = parse_analytics(missed(*queues, agent_call(5, "Eva", reason="canceled", ringing=None)))
    assert facts["rung"] == [["7", "Ana & Co"], ["9", "Carla"], ["5", "Eva"]]


def test_the_earliest_conversation_after_it_counts() -> None:
    later = {"id": 12, "date": "2024-11-28T10:50:00.000Z", "agent": {"id": 8, "name": "Bea"}}
    first = {"id": 11, "date": "2024-11-28T10:44:00.000Z", "agent": {"id": 7, "name": "Ana"}}
    facts = parse_analytics(missed(queue(agent_call(7, "Ana", resolved=first), resolved=later)))
    assert facts["resolved_at"] == 1_732_790_640 * SECOND
    assert facts["resolved_by"] == "Ana"


def test_a_conversation_without_an_id_or_a_time_is_none() -> None:
    untimed = {"id": 11, "date": "soon", "agent": None}
    assert "resolved_at" not in parse_analytics(missed(queue(resolved=untimed), queue()))


def test_a_uuid_is_one_by_its_form() -> None:
    assert parse_uuid({"uuid": UUID}) == UUID.lower()
    assert parse_uuid({"uuid": "12345"}) is None
    assert parse_uuid({}) is None


def test_analytics_that_lag_have_no_steps() -> None:
    assert not has_steps(missed())
    assert has_steps(missed(queue()))
    assert has_steps({"out_of_office": True})


_WORDS = st.sampled_from(
    [
        "queue",
        "agent",
        "ivr",
        "missed",
        "answered",
        "not_picked_up",
        "canceled",
        "",
        "2024-11-28T10:30:00Z",
        "7",
    ]
)
_KEYS = st.sampled_from(
    [
        *("call_steps", "type", "status", "reason", "agent_calls", "out_of_office", "resolved_by_call"),
        *("id", "name", "date", "agent", "call_times", "ringing_time", "uuid"),
    ]
)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | _WORDS
_JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=30,
)


@pytest.mark.parametrize("key", ["type", "status", "reason", "agent_calls", "call_times", "resolved_by_call"])
@pytest.mark.parametrize("value", [["a"], {"a": 1}, 1.5, True, None])
def test_a_value_of_another_type_breaks_nothing(key: str, value: Any) -> None:
    agent = {**agent_call(7, "Ana"), key: value}
    steps = [{**queue(agent), key: value}, agent, {key: value}, {**IVR, key: value}]
    for answer in (missed(*steps), missed(queue(agent)), missed({key: value})):
        parse_analytics(answer)


@given(st.dictionaries(_KEYS, _JSON, max_size=6))
def test_any_answer_is_parsed_to_facts_of_their_types(answer: dict[str, Any]) -> None:
    facts = parse_analytics(answer)
    assert facts.keys() <= {"missed_reason", "rung", "resolved_at", "resolved_by"}
    assert isinstance(facts.get("missed_reason", ""), str)
    assert isinstance(facts.get("resolved_at", 0), int)
    assert all(len(agent) == 2 and any(agent) for agent in facts.get("rung", []))
    has_steps(answer)
    parse_uuid(answer)
