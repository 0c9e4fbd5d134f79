"""Calls with several legs: evidence of a conversation, the agent of the call, and the legs in the record."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.call import Call, CallEvent, Kind, Status, build_record, distinct_agents
from relay.call.agents import NOBODY, Agent
from relay.call.legs import group_legs
from relay.call.state import CallState, LegState, Stamp
from relay.instants import SECOND, iso
from tests.support.samples import T0, join_events, make_event

E = Kind.ENDED
ANA: dict[str, Any] = {"agent_id": "1", "agent_name": "Ana", "agent_email": "ana@example.test"}
LUIS: dict[str, Any] = {"agent_id": "2", "agent_name": "Luis", "agent_email": "luis@example.test"}


def record_of(*events: CallEvent) -> Call:
    return build_record(join_events(*events), id="cloudtalk-1", version=1)


def records_in_any_order(*events: CallEvent) -> list[Call]:
    return [record_of(*order) for order in permutations(events)]


def agent_of(call: Call) -> tuple[str | None, str | None, str | None]:
    return call.agent_id, call.agent_name, call.agent_email


def talked(agent: dict[str, Any], seconds: int, *, ended_at: int | None = None, **facts: Any) -> CallEvent:
    times: dict[str, Any] = {} if ended_at is None else {"ended_at": ended_at}
    return make_event(E, ended_at, direction="inbound", talking=seconds, **agent, **times, **facts)


# --- evidence of a conversation is never erased -----------------------------------------------------

SILENT_LEGS: list[tuple[Kind, dict[str, Any]]] = [
    (E, {"talking": 0}),
    (E, {"talking": 0, "status": "missed"}),
    (E, {"talking": 0, "status": "answered"}),  # a status that was typed once for all events
    (E, {"status": "missed"}),
    (E, {"talking": 0, "voicemail": True}),
    (E, {"status": "voicemail"}),
    (Kind.MISSED, {}),
    (Kind.VOICEMAIL, {"talking": 0}),
]


@pytest.mark.parametrize(("kind", "facts"), SILENT_LEGS)
@pytest.mark.parametrize("ended_at", [None, T0 + 10 * SECOND, T0 + 900 * SECOND])
@pytest.mark.parametrize("source_rank", [0, 3])
def test_a_leg_without_a_conversation_changes_neither_outcome_nor_agent_nor_times(
    kind: Kind, facts: dict[str, Any], ended_at: int | None, source_rank: int
) -> None:
    times: dict[str, Any] = {} if ended_at is None else {"ended_at": ended_at}
    silent = msgspec.structs.replace(
        make_event(
            kind, ended_at, direction="inbound", duration=8, waiting=8, wrapup=0, **LUIS, **facts, **times
        ),
        source_rank=source_rank,
    )
    conversation = talked(ANA, 30, ended_at=T0 + 60 * SECOND, duration=55, waiting=25, wrapup=4)
    for call in records_in_any_order(conversation, silent):
        assert (call.status, call.follow_up, call.talking_seconds) == (Status.COMPLETED, False, 30)
        assert (call.duration_seconds, call.waiting_seconds, call.wrapup_seconds) == (55, 25, 4)
        assert agent_of(call) == ("1", "Ana", "ana@example.test")


@pytest.mark.parametrize(
    "evidence",
    [
        make_event(E, talking=1, direction="inbound", **ANA),
        make_event(E, status="answered", direction="inbound", **ANA),
        make_event(E, answered_at=T0, direction="inbound", **ANA),
        make_event(Kind.ANSWERED, direction="inbound", **ANA),
    ],
)
def test_every_kind_of_evidence_outweighs_a_silent_leg_in_any_order(evidence: CallEvent) -> None:
    silent = make_event(E, talking=0, direction="inbound", **LUIS)
    for call in records_in_any_order(evidence, silent, make_event(Kind.MISSED, direction="inbound")):
        assert (call.status, call.follow_up, call.agent_id) == (Status.COMPLETED, False, "1")


def test_of_two_conversations_the_one_that_ended_last_sets_agent_and_talking_time() -> None:
    first, last = talked(ANA, 300, ended_at=T0 + 1), talked(LUIS, 20, ended_at=T0 + 2)
    for call in records_in_any_order(first, last, talked(ANA, 0, ended_at=T0 + 3)):
        assert (call.agent_id, call.talking_seconds) == ("2", 20)


def test_a_later_leg_of_the_same_agent_without_a_conversation_does_not_set_the_talking_time() -> None:
    first, silent = (
        talked(LUIS, 20, ended_at=T0 + 1, call_id="7"),
        talked(LUIS, 0, ended_at=T0 + 2, call_id="8"),
    )
    for call in records_in_any_order(first, silent):
        assert (call.agent_id, call.talking_seconds, len(call.legs)) == ("2", 20, 2)


def test_of_three_conversations_of_one_agent_the_one_that_ended_last_sets_the_talking_time() -> None:
    legs = [talked(LUIS, 10 * n, ended_at=T0 + n, call_id=str(n)) for n in (1, 2, 3)]
    for call in records_in_any_order(*legs):
        assert (call.agent_id, call.talking_seconds, len(call.legs)) == ("2", 30, 3)


def test_the_talking_time_is_that_of_the_agent_whom_an_edit_sets() -> None:
    first, last = talked(LUIS, 20, ended_at=T0 + 1), talked(ANA, 300, ended_at=T0 + 2)
    for call in records_in_any_order(first, last, make_event(Kind.MODIFIED, T0 + 9, **LUIS)):
        assert (call.agent_id, call.talking_seconds) == ("2", 20)


def test_the_call_id_is_the_first_one_that_a_leg_has() -> None:
    first, second = talked(ANA, 20, ended_at=T0 + 1), talked(LUIS, 30, ended_at=T0 + 2, call_id="7")
    third = talked({"agent_id": "3"}, 5, ended_at=T0 + 3, call_id="8")
    for call in records_in_any_order(first, second, third):
        assert call.call_id == "7"
        assert [leg.agent_id for leg in call.legs] == ["1", "2", "3"]


def test_without_any_conversation_the_last_agent_is_named() -> None:
    for call in records_in_any_order(talked(ANA, 0, ended_at=T0 + 1), talked(LUIS, 0, ended_at=T0 + 2)):
        assert (call.status, call.agent_id) == (Status.MISSED, "2")


def test_a_silent_leg_of_an_outbound_call_changes_nothing() -> None:
    silent = make_event(E, T0 + 9, direction="outbound", talking=0, **LUIS)
    for call in records_in_any_order(make_event(E, T0, direction="outbound", talking=4, **ANA), silent):
        assert (call.status, call.agent_name) == (Status.COMPLETED, "Ana")


# --- the agent is one person ------------------------------------------------------------------------


def test_values_of_two_agents_are_not_mixed() -> None:
    talker = make_event(E, T0, talking=30, agent_id="1")
    for call in records_in_any_order(talker, make_event(E, T0 + 9, talking=0, **LUIS)):
        assert agent_of(call) == ("1", None, None)


@pytest.mark.parametrize("kind", [Kind.RINGING, Kind.STARTED, Kind.ANSWERED, Kind.MODIFIED])
def test_another_event_completes_what_is_known_of_the_agent(kind: Kind) -> None:
    for call in records_in_any_order(make_event(kind, **ANA), make_event(E, talking=30, agent_id="1")):
        assert agent_of(call) == ("1", "Ana", "ana@example.test")


def test_bodies_that_name_the_only_agent_by_different_values_complete_each_other() -> None:
    answered = make_event(Kind.ANSWERED, agent_id="1")
    for call in records_in_any_order(answered, make_event(E, talking=9, agent_email="ana@example.test")):
        assert agent_of(call) == ("1", None, "ana@example.test")


def test_an_edit_after_the_call_sets_the_agent() -> None:
    edit = make_event(Kind.MODIFIED, T0 + 9, **LUIS)
    for call in records_in_any_order(talked(ANA, 30, ended_at=T0), edit):
        assert call.agent_id == "2"


# --- the legs in the record -------------------------------------------------------------------------


def test_a_transferred_call_has_one_leg_for_each_agent_and_begins_with_the_first() -> None:
    first = talked(
        ANA, 30, ended_at=T0 + 40 * SECOND, started_at=T0, answered_at=T0 + 10 * SECOND, call_id="7"
    )
    second = talked(LUIS, 50, ended_at=T0 + 99 * SECOND, started_at=T0 + 41 * SECOND, call_id="8")
    for call in records_in_any_order(first, second):
        assert [msgspec.structs.astuple(leg) for leg in call.legs] == [
            (*ANA.values(), iso(T0), iso(T0 + 40 * SECOND), 30, Status.COMPLETED),
            (*LUIS.values(), iso(T0 + 41 * SECOND), iso(T0 + 99 * SECOND), 50, Status.COMPLETED),
        ]
        assert (call.call_id, call.started_at, call.ended_at) == ("7", iso(T0), iso(T0 + 99 * SECOND))
        assert (call.response_seconds, call.agent_id) == (10, "2")


@pytest.mark.parametrize(
    ("direction", "facts", "outcome"),
    [
        ("inbound", {"talking": 0}, Status.MISSED),
        ("outbound", {"talking": 0}, Status.NO_ANSWER),
        ("inbound", {"talking": 0, "voicemail": True}, Status.VOICEMAIL),
        ("inbound", {"status": "missed"}, Status.MISSED),
        ("inbound", {"talking": 2}, Status.COMPLETED),
        ("inbound", {}, Status.COMPLETED),
    ],
)
def test_the_outcome_of_a_leg_is_its_own(direction: str, facts: dict[str, Any], outcome: Status) -> None:
    conversation = make_event(E, T0, direction=direction, talking=30, **ANA)
    other = make_event(E, T0 + 1, direction=direction, **LUIS, **facts)
    (leg,) = [leg for leg in record_of(conversation, other).legs if leg.agent_id == "2"]
    assert leg.outcome == outcome


def test_events_that_state_one_leg_with_different_values_give_one_leg() -> None:
    by_number = make_event(E, T0, talking=30, call_id="7")
    by_agent = make_event(E, T0, talking=30, **ANA)
    for call in records_in_any_order(by_number, by_agent, make_event(Kind.ANSWERED, agent_id="1")):
        (leg,) = call.legs
        assert (leg.agent_email, leg.talking_seconds) == ("ana@example.test", 30)


def test_an_agent_who_answered_and_transferred_has_a_leg() -> None:
    answers = [make_event(Kind.ANSWERED, T0 + n, agent_id=str(n), answered_at=T0 + n) for n in (1, 2)]
    for call in records_in_any_order(*answers, make_event(E, T0 + 9, talking=3, agent_id="2")):
        assert [(leg.agent_id, leg.outcome) for leg in call.legs] == [("1", "answered"), ("2", "completed")]


@pytest.mark.parametrize("kind", [Kind.STARTED, Kind.RINGING, Kind.ANSWERED, Kind.MODIFIED, Kind.UPDATE])
def test_an_event_that_ends_nothing_and_names_no_answering_agent_is_no_leg(kind: Kind) -> None:
    agent: dict[str, Any] = {} if kind is Kind.ANSWERED else ANA
    assert record_of(make_event(kind, **agent)).legs == []


@pytest.mark.parametrize("time", ["started_at", "answered_at", "ended_at"])
def test_legs_are_ordered_by_any_time_that_is_known(time: str) -> None:
    earlier: dict[str, Any] = {time: T0}
    later: dict[str, Any] = {time: T0 + SECOND}
    first = make_event(E, talking=30, call_id="8", **LUIS, **earlier)
    second = make_event(E, talking=30, call_id="7", **ANA, **later)
    for call in records_in_any_order(first, second):
        assert [leg.agent_id for leg in call.legs] == ["2", "1"]


def test_legs_that_began_together_are_ordered_by_their_end() -> None:
    first = make_event(E, talking=30, call_id="8", started_at=T0, ended_at=T0 + 5, **LUIS)
    second = make_event(E, talking=30, call_id="7", started_at=T0, ended_at=T0 + 9, **ANA)
    last = make_event(E, talking=30, call_id="6", started_at=T0, agent_id="3")
    for call in records_in_any_order(first, second, last):
        assert [leg.agent_id for leg in call.legs] == ["2", "1", "3"]


def test_legs_without_times_are_ordered_by_their_number() -> None:
    first = make_event(E, talking=30, call_id="9", **LUIS)
    second = make_event(E, talking=30, call_id="10", **ANA)
    for call in records_in_any_order(first, second):
        assert [leg.agent_id for leg in call.legs] == ["2", "1"]


def test_an_event_without_an_agent_states_the_leg_that_has_its_talking_time() -> None:
    ana = make_event(E, talking=30, **ANA)
    luis = make_event(E, talking=50, **LUIS)
    unnamed = make_event(E, talking=50, ended_at=T0)
    for call in records_in_any_order(ana, luis, unnamed):
        assert {leg.agent_id: leg.ended_at for leg in call.legs} == {"1": None, "2": iso(T0)}


def test_a_leg_without_a_conversation_is_not_that_of_one() -> None:
    conversation = make_event(E, T0, direction="inbound", talking=30, **ANA)
    silent = make_event(E, T0 + 1, direction="inbound", talking=0)
    for call in records_in_any_order(conversation, silent):
        assert {leg.agent_id: (leg.talking_seconds, leg.outcome) for leg in call.legs} == {
            "1": (30, Status.COMPLETED),
            None: (0, Status.MISSED),
        }


def test_an_event_without_an_agent_and_with_another_talking_time_states_the_only_conversation() -> None:
    for call in records_in_any_order(
        make_event(E, T0, talking=30, **ANA), make_event(E, T0 + 1, talking=31, call_id="7")
    ):
        (leg,) = call.legs
        assert (leg.agent_id, leg.talking_seconds) == ("1", 31)


def test_what_is_unknown_of_an_agent_is_filled_from_the_claim_with_the_lowest_key() -> None:
    claims = [make_event(Kind.RINGING, agent_id="1", agent_name=name) for name in ("Anita", "Ana")]
    for call in records_in_any_order(make_event(E, talking=30, agent_id="1"), *claims):
        assert [leg.agent_name for leg in call.legs] == ["Ana"]


# --- which claims are one leg -----------------------------------------------------------------------


def claim(call_id: str | None = None, agent: Agent = NOBODY, **facts: int) -> LegState:
    """What the events with this call_id and this agent state. Facts of all claims have one stamp."""
    return LegState(call_id, agent, [E], {fact: (1, value) for fact, value in facts.items()})


ONE, TWO = Agent("1"), Agent("2")
Grouped = tuple[str | None, Agent, int | None, int | None]
"""The call_id, the agent, the talking time and the end of a leg."""


@pytest.mark.parametrize(
    ("claims", "legs"),
    [
        # what one claim does not have is that of the other one
        ([claim("7", ONE, talking=30), claim("7", ended_at=9)], [("7", ONE, 30, 9)]),
        ([claim(None, ONE, talking=30), claim("7", ended_at=9)], [("7", ONE, 30, 9)]),
        ([claim("7", ONE, ended_at=9), claim("7", Agent("1", "Ana"))], [("7", Agent("1", "Ana"), None, 9)]),
        ([claim("7", Agent("1")), claim("7", Agent(None, "Ana"))], [("7", ONE, None, None)]),
        ([claim(talking=30), claim("7")], [("7", NOBODY, 30, None)]),
        # another call_id, another agent, or no conversation is another leg
        (
            [claim("7", ONE, ended_at=8), claim("8", ONE, ended_at=9)],
            [("7", ONE, None, 8), ("8", ONE, None, 9)],
        ),
        (
            [claim("7", ONE, ended_at=9), claim("7", TWO, ended_at=8)],
            [("7", TWO, None, 8), ("7", ONE, None, 9)],
        ),
        (
            [claim("7", ONE, talking=30), claim("7", talking=0, ended_at=9)],
            [("7", NOBODY, 0, 9), ("7", ONE, 30, None)],
        ),
        # of several that fit, it is the one with most values in common
        (
            [claim("7", ONE, talking=30), claim("8", TWO, talking=50), claim("8", talking=30, ended_at=9)],
            [("8", TWO, 50, 9), ("7", ONE, 30, None)],
        ),
        (
            [claim("7", ONE, talking=30), claim("8", TWO, talking=50), claim(talking=50, ended_at=9)],
            [("8", TWO, 50, 9), ("7", ONE, 30, None)],
        ),
        (
            [
                claim("7", Agent("3")),
                claim("8", Agent("2", "Luis")),
                claim(None, Agent(None, "luis"), ended_at=9),
            ],
            [("8", Agent("2", "Luis"), None, 9), ("7", Agent("3"), None, None)],
        ),
        # two values that both lack are not in common
        (
            [
                claim("7", Agent("1", "Luis"), talking=30),
                claim(None, TWO),
                claim(None, Agent(None, "Luis", "l@example.test"), ended_at=9),
            ],
            [("7", Agent("1", "Luis", "l@example.test"), 30, 9), (None, TWO, None, None)],
        ),
        # of several that fit equally, it is the first: agent, call_id or conversation known; else the lowest
        ([claim("7"), claim("6", ONE), claim(ended_at=9)], [("6", ONE, None, 9), ("7", NOBODY, None, None)]),
        (
            [claim(None, ONE), claim("7", TWO), claim(ended_at=9)],
            [("7", TWO, None, 9), (None, ONE, None, None)],
        ),
        (
            [claim("7", ONE, talking=0), claim("8", TWO, talking=5), claim(ended_at=9)],
            [("8", TWO, 5, 9), ("7", ONE, 0, None)],
        ),
        (
            [claim("7", TWO), claim("8", ONE), claim(ended_at=9)],
            [("7", TWO, None, 9), ("8", ONE, None, None)],
        ),
        (
            [claim(None, TWO), claim(None, ONE), claim(ended_at=9)],
            [(None, ONE, None, 9), (None, TWO, None, None)],
        ),
    ],
)
def test_claims_that_do_not_contradict_each_other_are_one_leg_in_any_order(
    claims: list[LegState], legs: list[Grouped]
) -> None:
    stamps = {1: Stamp(E, 0, T0, T0)}
    for order in permutations(claims):
        state = CallState(stamps, {}, {}, {}, legs={str(key): leg for key, leg in enumerate(order)})
        grouped = [
            (leg.call_id, leg.agent, leg.fact("talking"), leg.fact("ended_at")) for leg in group_legs(state)
        ]
        assert grouped == legs


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (claim("9", TWO, started_at=1, ended_at=9), claim("7", ONE, started_at=2, ended_at=8)),
        (claim("9", TWO, started_at=1), claim("7", ONE, answered_at=2)),
        (claim("9", TWO, answered_at=1), claim("7", ONE, started_at=2, answered_at=0)),
        (claim("9", TWO, ended_at=1), claim("7", ONE, started_at=2)),
        (claim("9", TWO, started_at=0), claim("7", ONE, started_at=1)),
        (claim("9", TWO, started_at=1), claim("7", ONE)),
        (claim("9", TWO, started_at=1, ended_at=8), claim("7", ONE, started_at=1, ended_at=9)),
        (claim("9", TWO, started_at=1, ended_at=0), claim("7", ONE, started_at=1, ended_at=9)),
        (claim("9", TWO, started_at=1, ended_at=9), claim("7", ONE, started_at=1)),
        (claim("9", TWO), claim("10", ONE)),
        (claim("8", TWO), claim("9", ONE)),
        (claim(None, TWO), claim("9", ONE)),
        (claim(None, ONE), claim(None, TWO)),
        (claim("7", ONE), claim("7", TWO, talking=5)),
    ],
)
def test_legs_are_ordered_by_beginning_end_number_and_agent(first: LegState, second: LegState) -> None:
    for order in ((first, second), (second, first)):
        state = CallState({1: Stamp(E, 0, T0, T0)}, {}, {}, {}, legs=dict(zip("ab", order, strict=True)))
        assert group_legs(state) == [first, second]


# --- any number of legs in any order ----------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """The legs of one call: the seconds that each agent talked, and whether each has a call_id of its own."""

    talking: list[int]
    numbered: bool


scenes = st.builds(Scene, st.lists(st.integers(0, 90), min_size=1, max_size=5, unique=True), st.booleans())


def events_of(scene: Scene, random: Random) -> list[CallEvent]:
    """For each leg a Ringing and an Ended, often an Answered and a second Ended of another source."""
    events = [make_event(Kind.STARTED, T0, direction="inbound", started_at=T0)]
    for number, talking in enumerate(scene.talking):
        began, ended = T0 + number * 100 * SECOND, T0 + (number * 100 + 99) * SECOND
        ids: dict[str, Any] = {"call_id": str(100 + number) if scene.numbered else "100"}
        agent: dict[str, Any] = {"agent_id": str(number), "agent_name": f"Agent {number}"}
        facts = ids | {"started_at": began, "ended_at": ended, "talking": talking}
        events.append(make_event(Kind.RINGING, began + 1, **agent))
        events.append(make_event(E, ended, **agent, **facts))
        if talking and random.random() < 0.5:
            events.append(make_event(Kind.ANSWERED, began + 2, **agent))
        if scene.numbered and random.random() < 0.5:
            events.append(msgspec.structs.replace(make_event(E, ended, **facts), source_rank=3))
    return events


def shuffled(events: Sequence[CallEvent], random: Random) -> list[CallEvent]:
    mixed = [*events, *random.choices(events, k=random.randint(0, len(events)))]
    random.shuffle(mixed)
    return mixed


@given(scenes, st.randoms(use_true_random=False))
@settings(max_examples=3 * settings().max_examples, deadline=None)
def test_any_legs_in_any_order_with_duplicates_give_their_record(scene: Scene, random: Random) -> None:
    call = record_of(*shuffled(events_of(scene, random), random))
    talkers = [number for number, talking in enumerate(scene.talking) if talking]
    speaker = talkers[-1] if talkers else len(scene.talking) - 1
    assert call.status == (Status.COMPLETED if talkers else Status.MISSED)
    assert (call.agent_id, call.agent_name) == (str(speaker), f"Agent {speaker}")
    assert call.talking_seconds == scene.talking[speaker]
    assert (call.started_at, call.call_id) == (iso(T0), "100")
    assert [(leg.agent_id, leg.talking_seconds, leg.outcome) for leg in call.legs] == [
        (str(number), talking, Status.COMPLETED if talking else Status.MISSED)
        for number, talking in enumerate(scene.talking)
    ]


def test_claims_about_one_agent_are_one_agent_in_any_order() -> None:
    claims = [
        Agent("1", None, None),
        Agent(None, None, "ana@example.test"),
        Agent("1", None, "ana@example.test"),
        Agent("2", "Luis", None),
    ]
    for order in permutations(claims):
        assert distinct_agents(order) == [Agent("1", None, "ana@example.test"), Agent("2", "Luis", None)]
