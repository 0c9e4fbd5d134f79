"""What one event alone states about its call."""

from typing import Any

import pytest

from relay.call import CallEvent, Kind
from relay.call.agents import Agent
from relay.call.from_event import evidence_of, has_unknown_outcome, join_event, state_from_event
from relay.call.state import CallState, Evidence, LegState, Stamp
from relay.instants import Instant
from tests.support.samples import T0, make_event

E = Kind.ENDED


@pytest.mark.parametrize(
    ("kind", "facts", "evidence"),
    [
        (E, {"talking": 5}, Evidence.CONVERSATION),
        (E, {"talking": 5, "status": "missed"}, Evidence.CONVERSATION),
        (E, {"status": "answered"}, Evidence.CONVERSATION),
        (E, {"answered_at": T0}, Evidence.CONVERSATION),
        (E, {"status": "missed", "answered_at": T0}, Evidence.CONVERSATION),
        (E, {"status": "answered", "talking": 0}, Evidence.DOUBTFUL),
        (E, {"answered_at": T0, "talking": 0}, Evidence.DOUBTFUL),
        (E, {"talking": 0}, Evidence.NONE),
        (E, {"status": "missed"}, Evidence.NONE),
        (E, {"voicemail": True}, Evidence.NONE),
        (E, {"voicemail": False}, Evidence.UNKNOWN),
        (E, {}, Evidence.UNKNOWN),
        (Kind.MISSED, {}, Evidence.NONE),
        (Kind.MISSED, {"status": "answered"}, Evidence.NONE),
        (Kind.MISSED, {"talking": 5}, Evidence.CONVERSATION),
        (Kind.VOICEMAIL, {}, Evidence.NONE),
        (Kind.ANSWERED, {"talking": 5, "status": "answered"}, Evidence.UNKNOWN),
        (Kind.MODIFIED, {"answered_at": T0}, Evidence.UNKNOWN),
    ],
)
def test_the_facts_of_an_event_prove_a_conversation_or_that_there_was_none(
    kind: Kind, facts: dict[str, Any], evidence: Evidence
) -> None:
    event = make_event(kind, **facts)
    assert evidence_of(event) == evidence
    assert has_unknown_outcome(event) is (kind is E and evidence is Evidence.UNKNOWN)


@pytest.mark.parametrize(("received_at", "ordered_at"), [(50, 101), (100, 101), (101, 101), (300, 300)])
def test_an_event_is_compared_as_if_it_arrived_after_all_events_before_it(
    received_at: int, ordered_at: int
) -> None:
    before = join_event(None, make_event(contact_name="A"), seq=2, received_at=Instant(100))
    state = join_event(before, make_event(contact_id="7"), seq=3, received_at=Instant(received_at))
    assert (state.stamps[3].received_at, state.stamps[3].occurred_at) == (ordered_at, ordered_at)
    assert (state.stamps[2].received_at, state.stamps[2].occurred_at) == (100, 100)


def test_an_event_with_a_lower_sequence_number_keeps_its_arrival() -> None:
    before = join_event(None, make_event(contact_name="A"), seq=2, received_at=Instant(100))
    state = join_event(before, make_event(contact_id="7"), seq=1, received_at=Instant(50))
    assert state.stamps[1].received_at == 50


def test_the_latest_of_the_events_before_counts() -> None:
    state = join_event(None, make_event(contact_name="A"), seq=1, received_at=Instant(300))
    state = join_event(state, make_event(contact_id="7"), seq=2, received_at=Instant(200))
    state = join_event(state, make_event(notes="n", data={}), seq=4, received_at=Instant(100))
    late = join_event(state, make_event(summary="s", data={}), seq=3, received_at=Instant(100))
    assert {seq: stamp.received_at for seq, stamp in late.stamps.items()} == {1: 300, 2: 301, 3: 302, 4: 302}


def test_an_event_that_is_joined_again_changes_nothing() -> None:
    before = join_event(None, make_event(contact_name="A"), seq=2, received_at=Instant(100))
    assert join_event(before, make_event(contact_name="A"), seq=2, received_at=Instant(100)) == before


def test_a_time_of_its_own_does_not_depend_on_the_arrival() -> None:
    before = join_event(None, make_event(contact_name="A"), seq=1, received_at=Instant(100))
    state = join_event(before, make_event(occurred_at=7, contact_id="7"), seq=2, received_at=Instant(50))
    assert (state.stamps[2].received_at, state.stamps[2].occurred_at) == (101, 7)


# --- the registers of one event ---------------------------------------------------------------------

TIMES: dict[str, Any] = {
    "started_at": T0,
    "started_at_repeated": T0 - 3_600,
    "answered_at": T0 + 1,
    "answered_at_repeated": T0 - 3_599,
}
OUTCOME: dict[str, Any] = {
    "ended_at": T0 + 9,
    "ended_at_repeated": T0 - 3_591,
    "status": "missed",
    "talking": 0,
    "voicemail": True,
    "duration": 9,
    "wrapup": 2,
}
OTHERS: dict[str, Any] = {
    "call_id": "7",
    "call_uuid": "u",
    "direction": "inbound",
    "external_number": "+34600000001",
    "waiting": 5,
    "tags": ["t"],
    "notes": "n",
    "recording_url": "https://example.test/1.wav",
}
ANA: dict[str, Any] = {"agent_id": "1", "agent_name": "Ana", "agent_email": "ana@example.test"}
ALL = TIMES | OUTCOME | OTHERS
OVER = (Kind.ENDED, Kind.MISSED, Kind.VOICEMAIL)


def registers(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: (5, value) for name, value in facts.items()}


@pytest.mark.parametrize("kind", list(Kind))
def test_only_an_event_of_a_call_that_is_over_sets_the_outcome(kind: Kind) -> None:
    state = state_from_event(make_event(kind, **ALL, **ANA), seq=5, received_at=T0)
    assert state.facts == registers(ALL if kind in OVER else TIMES | OTHERS)


@pytest.mark.parametrize(
    ("kind", "status", "kept"),
    [
        (E, "answered", True),
        (Kind.VOICEMAIL, "answered", True),
        (Kind.MISSED, "answered", False),
        (Kind.MISSED, "missed", True),
        (Kind.MISSED, "voicemail", True),
    ],
)
def test_a_missed_states_no_answer(kind: Kind, status: str, kept: bool) -> None:
    state = state_from_event(make_event(kind, status=status, direction="answered"), seq=5, received_at=T0)
    assert state.facts == registers(
        {"status": status, "direction": "answered"} if kept else {"direction": "answered"}
    )


LEG_FACTS: dict[str, Any] = TIMES | {fact: OUTCOME[fact] for fact in list(OUTCOME)[:5]}


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("agent", [ANA, {}], ids=["agent", "nobody"])
def test_an_event_states_a_leg_if_it_ends_one_or_names_the_agent_who_answered(
    kind: Kind, agent: dict[str, Any]
) -> None:
    state = state_from_event(make_event(kind, **ALL, **agent), seq=5, received_at=T0)
    named = Agent("1", "Ana", "ana@example.test") if agent else Agent()
    if kind in OVER:
        facts = LEG_FACTS
    elif kind is Kind.ANSWERED and agent:
        facts = TIMES
    else:
        assert state.legs == {}
        return
    key = '["7",["1","Ana","ana@example.test"]]' if agent else '["7",[null,null,null]]'
    assert state.legs == {key: LegState("7", named, [kind], registers(facts))}


def test_a_leg_without_a_call_id_has_none() -> None:
    state = state_from_event(make_event(E, talking=3), seq=5, received_at=T0)
    assert state.legs == {"[null,[null,null,null]]": LegState(None, Agent(), [E], {"talking": (5, 3)})}


def test_the_state_of_one_event_has_its_arrival_its_data_and_its_ids() -> None:
    data = {"a": 1, "long": "x" * 300, "too_long": "x" * 300_000}
    event = CallEvent(
        E, "workflow", "u", ("uuid:u", "id:7"), Instant(70), {"agent_id": "1"}, data, source_rank=2
    )
    state = state_from_event(event, seq=5, received_at=Instant(90))
    assert state == CallState(
        stamps={5: Stamp(E, 2, Instant(70), Instant(90), Evidence.UNKNOWN)},
        seen={E: Instant(90)},
        facts={},
        data={"a": (5, 1)},
        agents={'["1",null,null]': (5, Agent("1"))},
        legs={'[null,["1",null,null]]': LegState(None, Agent("1"), [E], {})},
        aliases=["id:7", "uuid:u"],
        large_data={"1024:long": (5, "x" * 300)},
        left_out=True,
    )


def test_an_event_without_a_time_and_an_agent_has_its_arrival_and_no_agent() -> None:
    state = state_from_event(make_event(contact_name="A"), seq=5, received_at=Instant(90))
    assert state.stamps == {5: Stamp(Kind.STARTED, 1, Instant(90), Instant(90), Evidence.UNKNOWN)}
    assert (state.agents, state.large_data, state.left_out) == ({}, {}, False)


def test_an_event_that_is_compared_as_later_keeps_its_arrival_among_the_kinds() -> None:
    event = make_event(contact_name="A")
    state = state_from_event(event, seq=5, received_at=Instant(90), ordered_at=Instant(95))
    assert state.seen == {Kind.STARTED: Instant(90)}
    assert state.stamps == {5: Stamp(Kind.STARTED, 1, Instant(95), Instant(95), Evidence.UNKNOWN)}


def test_an_event_that_states_nothing_has_no_stamp() -> None:
    state = state_from_event(make_event(data={}), seq=5, received_at=Instant(90))
    assert state == CallState({}, {Kind.STARTED: Instant(90)}, {}, {}, aliases=["id:1"])


def test_more_small_values_of_one_event_than_are_kept_are_left_out() -> None:
    state = state_from_event(make_event(data={f"k{n:04}": -n for n in range(4_097)}), seq=5, received_at=T0)
    assert (len(state.data), "k0000" in state.data, state.left_out) == (4_096, False, True)
    exactly = state_from_event(make_event(data={f"k{n:04}": n for n in range(4_096)}), seq=5, received_at=T0)
    assert (len(exactly.data), exactly.left_out) == (4_096, False)


def test_an_event_has_the_lowest_source_rank_and_several_ids_unless_it_states_others() -> None:
    event = CallEvent(E, "workflow", "u", ("uuid:u",), None, {}, {})
    assert (event.source_rank, event.single_id, event.message_ids, event.missing) == (0, False, (), None)
