"""The laws of the join, which let events come in any order, and the order of the registers."""

from functools import reduce
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.call import (
    Call,
    CallEvent,
    CallState,
    Kind,
    Register,
    Status,
    build_record,
    changed_fields,
    distinct_agents,
    join,
    state_from_event,
)
from relay.call.join import FactOrders, agent_order, join_registers
from relay.call.state import Evidence, Stamp
from relay.instants import SECOND, Instant
from tests.support.samples import T0, join_events, make_event

S, E = Kind.STARTED, Kind.ENDED


def record_of(*events: CallEvent) -> Call:
    return build_record(join_events(*events, received_at=T0), id="cloudtalk-1", version=1)


# --- the laws -------------------------------------------------------------------------------------

_FACTS: dict[str, st.SearchStrategy[Any]] = {
    "direction": st.sampled_from(["inbound", "outbound"]),
    "from": st.sampled_from(["+34600000001", "+34600000002"]),
    "contact_name": st.sampled_from(["Ana", "Íñigo", "José"]),
    "started_at": st.integers(T0 - 5 * SECOND, T0),
    "ended_at": st.integers(T0, T0 + 90 * SECOND),
    "duration": st.integers(0, 90),
    "talking": st.integers(0, 90),
    "status": st.sampled_from(["answered", "missed", "voicemail"]),
    "call_id": st.sampled_from(["1", "2"]),
    "agent_id": st.sampled_from(["7", "8"]),
    "agent_name": st.sampled_from(["Ana", "Luis"]),
    "agent_email": st.sampled_from(["ana@example.test", "luis@example.test"]),
    "answered_at": st.integers(T0, T0 + 9 * SECOND),
    "voicemail": st.just(value=True),
}
_instants = st.integers(T0 - 3, T0 + 3).map(Instant)
_events = st.builds(
    CallEvent,
    kind=st.sampled_from(list(Kind)),
    dialect=st.just("mission"),
    name=st.just("1"),
    aliases=st.just(("id:1",)),
    occurred_at=st.none() | _instants,
    facts=st.fixed_dictionaries({}, optional=_FACTS),
    data=st.dictionaries(st.sampled_from("abc"), st.sampled_from([None, "", [], 0, "x", "y"])),
    source_rank=st.integers(0, 3),
)
_states = st.builds(
    lambda event, seq, received_at: state_from_event(event, seq=seq, received_at=received_at),
    _events,
    st.integers(1, 10**9),
    _instants,
)


@given(st.lists(_events, min_size=1, max_size=6), st.randoms(use_true_random=False))
@settings(max_examples=3 * settings().max_examples)
def test_any_order_and_any_duplicates_give_one_state(events: list[CallEvent], random: Random) -> None:
    states = [
        state_from_event(event, seq=seq, received_at=Instant(T0 + seq % 3))
        for seq, event in enumerate(events, 1)
    ]
    shuffled = states + random.choices(states, k=len(states))
    random.shuffle(shuffled)
    assert reduce(join, shuffled) == reduce(join, states)


@given(st.lists(_states, min_size=3, max_size=3, unique_by=lambda state: next(iter(state.stamps), id(state))))
@settings(max_examples=3 * settings().max_examples)
def test_the_join_is_commutative_associative_and_idempotent(states: list[CallState]) -> None:
    a, b, c = states
    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))
    assert join(a, a) == join(join(a, a), a)
    assert join(join(a, b), b) == join(a, b)


@given(
    st.lists(_events.filter(lambda event: event.occurred_at is not None), min_size=1, max_size=6), st.data()
)
@settings(max_examples=3 * settings().max_examples)
def test_events_with_a_time_of_their_own_may_arrive_in_any_order(
    events: list[CallEvent], data: st.DataObject
) -> None:
    # Of two events at one instant the later arrival wins, so each instant has one event here.
    unique = list({event.occurred_at: event for event in events}.values())
    permuted = data.draw(st.permutations(unique))
    changed = changed_fields(record_of(*unique), record_of(*permuted))
    # An Answered without a stated time counts by its arrival.
    assert changed in ([], ["answered_at"], ["answered_at", "response_seconds"])


# --- the order of the registers -------------------------------------------------------------------


def test_an_empty_value_never_erases() -> None:
    record = record_of(
        make_event(S, T0, {"contact_name": "Ana"}), make_event(E, T0 + 1, {"contact_name": None})
    )
    assert record.cloudtalk_data == {"contact_name": "Ana"}


def test_of_two_events_at_one_instant_the_later_arrival_wins() -> None:
    record = record_of(make_event(S, T0, contact_name="A"), make_event(S, T0, contact_name="B"))
    assert record.contact_name == "B"


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        (S, Kind.RINGING),
        (Kind.RINGING, Kind.ANSWERED),
        (Kind.RINGING, Kind.UPDATE),
        (Kind.ANSWERED, E),
        (Kind.UPDATE, E),
        (Kind.UPDATE, Kind.RECORDING),
        (Kind.ANSWERED, Kind.MODIFIED),
    ],
)
def test_an_event_of_an_earlier_phase_replaces_nothing_however_late_it_is(lower: Kind, higher: Kind) -> None:
    events = [make_event(lower, T0 + 9, contact_name="A"), make_event(higher, T0, contact_name="B")]
    assert [record_of(*order).contact_name for order in (events, events[::-1])] == ["B", "B"]


@pytest.mark.parametrize(
    ("earlier", "later"), [(Kind.ANSWERED, Kind.UPDATE), (E, Kind.RECORDING), (Kind.MODIFIED, E)]
)
def test_of_two_events_of_one_phase_the_later_one_wins(earlier: Kind, later: Kind) -> None:
    for kinds in ((earlier, later), (later, earlier)):
        events = [make_event(kinds[0], T0, contact_name="A"), make_event(kinds[1], T0 + 9, contact_name="B")]
        assert [record_of(*order).contact_name for order in (events, events[::-1])] == ["B", "B"]


@pytest.mark.parametrize("kind", [Kind.MISSED, Kind.VOICEMAIL])
def test_a_later_missed_replaces_nothing_that_an_ended_states(kind: Kind) -> None:
    ended = make_event(
        E, T0, direction="inbound", status="voicemail", duration=60, wrapup=4, ended_at=T0 + 60 * SECOND
    )
    missed = make_event(kind, T0 + 900 * SECOND, status="missed", duration=5, wrapup=1, ended_at=T0 + SECOND)
    for order in ((ended, missed), (missed, ended)):
        call = record_of(*order)
        assert call.status == Status.VOICEMAIL
        assert (call.duration_seconds, call.wrapup_seconds) == (60, 4)
        assert call.ended_at == "2024-11-28T10:31:00Z"


def test_a_stated_answer_is_not_replaced_by_a_later_leg_that_nobody_answered() -> None:
    answered = make_event(E, T0, direction="inbound", status="answered")
    missed = make_event(E, T0 + 9, direction="inbound", status="missed")
    for order in ((answered, missed), (missed, answered)):
        assert record_of(*order).status == Status.COMPLETED


def test_a_duration_of_a_better_source_wins_and_only_a_duration_does() -> None:
    facts: dict[str, Any] = {"duration": 5, "talking": 3, "waiting": 2, "wrapup": 1, "contact_name": "A"}
    better = msgspec.structs.replace(make_event(E, T0, **facts), source_rank=3)
    later = make_event(E, T0 + 9, duration=50, talking=30, waiting=20, wrapup=10, contact_name="B")
    for order in ((better, later), (later, better)):
        call = record_of(*order)
        assert (call.duration_seconds, call.talking_seconds, call.waiting_seconds) == (5, 3, 2)
        assert (call.wrapup_seconds, call.contact_name) == (1, "B")


def test_a_late_start_fills_unknown_fields_and_changes_no_other() -> None:
    ended = make_event(E, T0 + 60 * SECOND, contact_name="Ana", status="answered", ended_at=T0 + 60 * SECOND)
    late = make_event(S, T0 + 90 * SECOND, contact_name="?", contact_id="7", started_at=T0)
    record = record_of(ended, late)
    assert (record.contact_name, record.contact_id, record.status) == ("Ana", "7", Status.COMPLETED)


def test_ringing_sets_no_agent_but_adds_to_the_involved_agents() -> None:
    ringing = [
        make_event(Kind.RINGING, agent_id="1", agent_name="Ana"),
        make_event(Kind.RINGING, agent_id="2", agent_name="Luis"),
    ]
    assert record_of(*ringing).agent_id is None
    answered = make_event(Kind.ANSWERED, agent_id="2", agent_name="Luis")
    record = record_of(*ringing, answered)
    assert (record.agent_id, record.agent_name) == ("2", "Luis")
    agents = [agent for _, agent in join_events(*ringing, answered).agents.values()]
    assert [(agent.id, agent.name) for agent in distinct_agents(agents)] == [("1", "Ana"), ("2", "Luis")]


def test_an_answered_replaces_no_agent_that_an_ended_sets_however_late_it_is() -> None:
    ended = make_event(E, T0, direction="inbound", agent_id="1")
    answered = make_event(Kind.ANSWERED, T0 + 9, agent_id="2")
    assert [record_of(*order).agent_id for order in ((ended, answered), (answered, ended))] == ["1", "1"]


def test_a_stamp_that_no_register_points_to_is_dropped() -> None:
    state = join_events(*(make_event(S, T0 + n, contact_name=str(n)) for n in range(100)), received_at=T0)
    assert len(state.stamps) == 1


EDIT, ANSWERED = Kind.MODIFIED, Kind.ANSWERED
NONE, DOUBTFUL, UNKNOWN, CONVERSATION = (
    Evidence.NONE,
    Evidence.DOUBTFUL,
    Evidence.UNKNOWN,
    Evidence.CONVERSATION,
)


def stamp(
    kind: Kind = E, evidence: Evidence = UNKNOWN, *, rank: int = 0, occurred_at: int = 0, received_at: int = 0
) -> Stamp:
    return Stamp(kind, rank, Instant(occurred_at), Instant(received_at), evidence)


OUTCOMES = ("status", "ended_at", "ended_at_repeated", "duration", "talking", "wrapup", "voicemail")


@pytest.mark.parametrize(
    ("field", "kind", "rank"),
    [
        ("contact_name", S, 0),
        ("contact_name", Kind.RINGING, 1),
        ("contact_name", ANSWERED, 2),
        ("contact_name", Kind.UPDATE, 2),
        *(
            ("contact_name", kind, 3)
            for kind in (E, Kind.MISSED, Kind.VOICEMAIL, EDIT, Kind.RECORDING, Kind.TRANSCRIPT, Kind.SUMMARY)
        ),
        ("waiting", S, 0),
        ("waiting", E, 3),
        *(
            (field, kind, rank)
            for field in OUTCOMES
            for kind, rank in ((S, 0), (EDIT, 0), (Kind.MISSED, 1), (Kind.VOICEMAIL, 1), (E, 2))
        ),
    ],
)
def test_the_kind_of_an_event_has_a_rank_for_each_fact(field: str, kind: Kind, rank: int) -> None:
    assert FactOrders({7: stamp(kind)})(field, (7, None))[2] == rank


@pytest.mark.parametrize("evidence", list(Evidence))
def test_evidence_of_a_conversation_counts_for_status_and_durations(evidence: Evidence) -> None:
    def order_of(field: str, value: Any) -> int:
        return FactOrders({7: stamp(evidence=evidence)})(field, (7, value))[0]

    is_doubtful = evidence in {NONE, DOUBTFUL}
    assert order_of("status", "missed") == evidence
    assert [order_of("talking", 0), order_of("talking", 1)] == [0, 1]
    assert [order_of(field, 5) for field in ("duration", "waiting", "wrapup")] == [not is_doubtful] * 3
    assert [order_of(field, "A") for field in ("contact_name", "ended_at", "voicemail")] == [0, 0, 0]


@pytest.mark.parametrize(
    ("field", "rank"),
    [("duration", 5), ("talking", 5), ("waiting", 5), ("wrapup", 5), ("status", 0), ("contact_name", 0)],
)
def test_the_rank_of_the_source_counts_for_durations_only(field: str, rank: int) -> None:
    assert FactOrders({7: stamp(rank=5)})(field, (7, None))[1] == rank


def test_the_order_of_a_fact_is_evidence_source_kind_time_arrival_number() -> None:
    stamps = {7: stamp(Kind.MISSED, CONVERSATION, rank=5, occurred_at=20, received_at=30)}
    assert FactOrders(stamps)("duration", (7, 60)) == (1, 5, 1, 20, 30, 7)
    assert FactOrders(stamps).of_large("1024:contact_name", (7, "x")) == (0, 0, 3, 20, 30, 7)


@pytest.mark.parametrize(
    ("kind", "evidence", "order"),
    [
        (S, UNKNOWN, (False, UNKNOWN, 0)),
        (Kind.RINGING, UNKNOWN, (False, UNKNOWN, 1)),
        (Kind.UPDATE, UNKNOWN, (False, UNKNOWN, 2)),
        (Kind.RECORDING, UNKNOWN, (False, UNKNOWN, 3)),
        (Kind.MISSED, NONE, (False, NONE, 3)),
        (ANSWERED, UNKNOWN, (True, UNKNOWN, 2)),
        (E, NONE, (True, NONE, 3)),
        (E, CONVERSATION, (True, CONVERSATION, 3)),
        (EDIT, UNKNOWN, (True, CONVERSATION, 3)),
    ],
)
def test_the_order_of_an_agent_is_kind_evidence_phase_time_arrival_number(
    kind: Kind, evidence: Evidence, order: tuple[bool, int, int]
) -> None:
    stamps = {7: stamp(kind, evidence, rank=5, occurred_at=20, received_at=30)}
    assert agent_order(stamps, "any", (7, None)) == (*order, 20, 30, 7)


@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_every_empty_value_yields_to_one_of_a_lower_order(empty: Any) -> None:
    stamps = {1: stamp(S, occurred_at=1), 2: stamp(E, occurred_at=2)}
    orders = FactOrders(stamps)
    nothing: dict[str, Register] = {"field": (2, empty)}
    for value in (0, False, "x", [0], {"a": None}):
        older: dict[str, Register] = {"field": (1, value)}
        assert join_registers(older, nothing, orders) == join_registers(nothing, older, orders) == older
    first: dict[str, Register] = {"field": (1, empty)}
    assert join_registers(first, nothing, orders) == join_registers(nothing, first, orders) == nothing


def test_the_order_of_one_fact_is_not_that_of_another_one_of_its_event() -> None:
    """The orders are computed once for all facts that have the same one."""
    orders = FactOrders({7: stamp(Kind.MISSED, CONVERSATION, rank=5), 8: stamp(E, NONE, rank=4)})
    for _ in range(2):
        assert orders("contact_name", (7, "A"))[:3] == (0, 0, 3)
        assert orders("status", (7, "A"))[:3] == (CONVERSATION, 0, 1)
        assert orders("ended_at", (7, 1))[:3] == (0, 0, 1)
        assert orders("waiting", (7, 1))[:3] == (1, 5, 3)
        assert orders("duration", (7, 1))[:3] == (1, 5, 1)
        assert [orders("talking", (7, value))[:3] for value in (0, 9, 0)] == [(0, 5, 1), (1, 5, 1), (0, 5, 1)]
        assert orders("contact_name", (8, "A"))[:3] == (0, 0, 3)
        assert orders("status", (8, "A"))[:3] == (NONE, 0, 2)


def test_the_earliest_arrival_of_each_kind_is_kept() -> None:
    left = join_events(make_event(S), make_event(E), received_at=T0)
    right = join_events(make_event(E), make_event(EDIT), received_at=T0 + 9)
    for joined in (join(left, right), join(right, left)):
        assert joined.seen == {S: T0 + 1, E: T0 + 2, EDIT: T0 + 11}
        assert list(joined.seen) == [E, EDIT, S]


def test_the_stamps_of_a_state_are_ordered_by_number() -> None:
    first = state_from_event(make_event(S, contact_name="A"), seq=1, received_at=T0)
    second = state_from_event(make_event(S, contact_id="7", data={"n": 1}), seq=2, received_at=T0)
    for joined in (join(first, second), join(second, first)):
        assert list(joined.stamps) == [1, 2]


def test_the_kinds_that_state_a_leg_are_kept_in_their_order() -> None:
    states = [
        state_from_event(make_event(kind, agent_id="1"), seq=seq, received_at=T0)
        for seq, kind in enumerate((E, ANSWERED, Kind.MISSED, E), 1)
    ]
    for joined in (reduce(join, states), reduce(join, states[::-1])):
        (leg,) = joined.legs.values()
        assert leg.seen == [ANSWERED, E, Kind.MISSED]
