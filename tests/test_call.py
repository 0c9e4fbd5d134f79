"""The join and the status: every row of the table, and the laws that let events come in any order."""

from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.call import (
    ANSWER_WITHIN,
    Call,
    CallEvent,
    CallState,
    Kind,
    Status,
    build_record,
    changed_fields,
    compute_status,
    join,
    state_from_event,
)
from relay.instants import SECOND, iso

FROM_TO: dict[str, Any] = {"from": "+1", "to": "+2"}
T0 = 1_732_789_800 * SECOND  # 2024-11-28T10:30:00Z


def event(
    kind: Kind, occurred_at: int | None = None, data: dict[str, Any] | None = None, **facts: Any
) -> CallEvent:
    return CallEvent(kind, "mission", "1", ("id:1",), occurred_at, facts, data or {})


def joined(*events: CallEvent, received_at: int = T0) -> CallState:
    states = [state_from_event(e, seq=seq, received_at=received_at + seq) for seq, e in enumerate(events, 1)]
    total = states[0]
    for state in states[1:]:
        total = join(total, state)
    return total


def record(*events: CallEvent, received_at: int = T0) -> Call:
    return build_record(joined(*events, received_at=received_at), id="cloudtalk-1", version=1)


# --- the status table, every subset of kinds by direction by status, written by hand -----------------

S, A, E, M = Kind.STARTED, Kind.ANSWERED, Kind.ENDED, Kind.MISSED


@dataclass(frozen=True)
class Row:
    kinds: tuple[Kind, ...]
    said: str | None
    inbound: Status
    outbound: Status


def both(kinds: tuple[Kind, ...], said: str | None, status: Status) -> Row:
    return Row(kinds, said, status, status)


def lost(kinds: tuple[Kind, ...], said: str | None) -> Row:
    return Row(kinds, said, Status.MISSED, Status.NO_ANSWER)


def voicemail(kinds: tuple[Kind, ...]) -> Row:
    return Row(kinds, "voicemail", Status.VOICEMAIL, Status.NO_ANSWER)


DONE = Status.COMPLETED
TABLE = [
    # nothing said but the start: the status of the payload does not count yet
    *(both((S,), said, Status.IN_PROGRESS) for said in (None, "answered", "missed", "voicemail")),
    # answered, not ended
    *(both((A,), said, Status.ANSWERED) for said in (None, "answered", "missed", "voicemail")),
    *(both((S, A), said, Status.ANSWERED) for said in (None, "answered", "missed", "voicemail")),
    # ended, and nobody said answered
    both((E,), None, DONE),
    both((E,), "answered", DONE),
    lost((E,), "missed"),
    voicemail((E,)),
    both((S, E), None, DONE),
    both((S, E), "answered", DONE),
    lost((S, E), "missed"),
    voicemail((S, E)),
    # ended, and Answered was seen: whatever else is said
    *(both((A, E), said, DONE) for said in (None, "answered", "missed", "voicemail")),
    *(both((S, A, E), said, DONE) for said in (None, "answered", "missed", "voicemail")),
    # missed, never answered: a payload typed once for all events does not unsay it
    lost((M,), None),
    lost((M,), "answered"),
    lost((M,), "missed"),
    voicemail((M,)),
    lost((S, M), None),
    lost((S, M), "answered"),
    lost((S, M), "missed"),
    voicemail((S, M)),
    # missed and ended: the end's own word decides
    lost((E, M), None),
    both((E, M), "answered", DONE),
    lost((E, M), "missed"),
    voicemail((E, M)),
    lost((S, E, M), None),
    both((S, E, M), "answered", DONE),
    lost((S, E, M), "missed"),
    voicemail((S, E, M)),
    # missed never un-answers
    *(both((A, M), said, DONE) for said in (None, "answered", "missed", "voicemail")),
    *(both((S, A, M), said, DONE) for said in (None, "answered", "missed", "voicemail")),
    *(both((A, E, M), said, DONE) for said in (None, "answered", "missed", "voicemail")),
    *(both((S, A, E, M), said, DONE) for said in (None, "answered", "missed", "voicemail")),
]


def test_the_table_has_every_subset_of_the_kinds_with_every_word() -> None:
    kinds = [c for n in range(1, 5) for c in combinations((S, A, E, M), n)]
    words = (None, "answered", "missed", "voicemail")
    assert {(row.kinds, row.said) for row in TABLE} == {(k, w) for k in kinds for w in words}
    assert len(TABLE) == 15 * 4


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{'+'.join(row.kinds)}-{row.said}")
@pytest.mark.parametrize("direction", ["inbound", "outbound", "internal", None])
def test_status_is_the_one_of_the_table(row: Row, direction: str | None) -> None:
    facts = {"direction": direction, "status": row.said}
    known = {fact: value for fact, value in facts.items() if value is not None}
    expected = row.outbound if direction in {"outbound", "internal"} else row.inbound
    for order in permutations(row.kinds):
        call = record(*(event(kind, None, None, **known) for kind in order))
        assert call.status == expected, order
        assert call.follow_up is (direction == "inbound" and expected in {Status.MISSED, Status.VOICEMAIL})


def test_talking_says_answered_even_where_a_missed_or_a_voicemail_is_said() -> None:
    assert compute_status(joined(event(E, talking=3, status="missed", voicemail=True))) == DONE
    assert compute_status(joined(event(M), event(E, talking=3, direction="inbound"))) == DONE


def test_no_talking_says_missed_unless_answered_was_seen() -> None:
    assert compute_status(joined(event(E, talking=0, direction="inbound"))) == Status.MISSED
    assert compute_status(joined(event(E, talking=0, direction="outbound"))) == Status.NO_ANSWER
    assert compute_status(joined(event(A), event(E, talking=0, direction="inbound"))) == DONE


# --- the laws of the join -------------------------------------------------------------------------

_FACTS: dict[str, st.SearchStrategy[Any]] = {
    "direction": st.sampled_from(["inbound", "outbound"]),
    "from": st.sampled_from(["+34600000001", "+34600000002"]),
    "contact_name": st.sampled_from(["Ana", "Íñigo", "José"]),
    "started_at": st.integers(T0 - 5 * SECOND, T0),
    "ended_at": st.integers(T0, T0 + 90 * SECOND),
    "duration": st.integers(0, 90),
    "talking": st.integers(0, 90),
    "status": st.sampled_from(["answered", "missed", "voicemail"]),
}
_events = st.builds(
    CallEvent,
    kind=st.sampled_from(list(Kind)),
    dialect=st.just("mission"),
    name=st.just("1"),
    aliases=st.just(("id:1",)),
    occurred_at=st.none() | st.integers(T0 - 3, T0 + 3),
    facts=st.fixed_dictionaries({}, optional=_FACTS),
    data=st.dictionaries(st.sampled_from("abc"), st.sampled_from([None, "", [], 0, "x", "y"])),
)
_states = st.builds(
    lambda e, seq, received_at: state_from_event(e, seq=seq, received_at=received_at),
    _events,
    st.integers(1, 10**9),
    st.integers(T0 - 3, T0 + 3),
)


@given(st.lists(_events, min_size=1, max_size=6), st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_any_order_of_folding_and_any_duplicates_give_one_record(
    events: list[CallEvent], random: Any
) -> None:
    states = [state_from_event(e, seq=seq, received_at=T0 + seq % 3) for seq, e in enumerate(events, 1)]
    shuffled = states + random.choices(states, k=len(states))
    random.shuffle(shuffled)
    assert _total(shuffled) == _total(states)


def _total(states: list[CallState]) -> CallState:
    total = states[0]
    for state in states[1:]:
        total = join(total, state)
    return total


@given(st.lists(_states, min_size=3, max_size=3, unique_by=lambda s: next(iter(s.stamps), id(s))))
@settings(max_examples=300)
def test_the_join_is_commutative_associative_and_idempotent(states: list[CallState]) -> None:
    a, b, c = states
    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))
    assert join(a, a) == join(join(a, a), a)
    assert join(join(a, b), b) == join(a, b)


@given(st.lists(_events.filter(lambda e: e.occurred_at is not None), min_size=1, max_size=6), st.data())
@settings(max_examples=300)
def test_events_that_bear_their_time_may_arrive_in_any_order(
    events: list[CallEvent], data: st.DataObject
) -> None:
    unique = {e.occurred_at: e for e in events}  # of two words of one moment the later arrival counts
    arrived = data.draw(st.permutations(list(unique.values())))
    first, second = record(*unique.values()), record(*arrived)
    assert changed_fields(first, second) in ([], ["answered_at"], ["answered_at", "response_seconds"])


def test_what_is_empty_never_erases() -> None:
    said = record(event(S, T0, {"contact_name": "Ana"}), event(E, T0 + 1, {"contact_name": None}))
    assert said.cloudtalk_data == {"contact_name": "Ana"}


def test_of_two_events_in_one_second_the_later_one_counts() -> None:
    assert record(event(S, T0, contact_name="A"), event(S, T0, contact_name="B")).contact_name == "B"


def test_a_late_start_fills_blanks_and_changes_nothing_else() -> None:
    ended = event(E, T0 + 60 * SECOND, contact_name="Ana", status="answered", ended_at=T0 + 60 * SECOND)
    late = event(S, T0 + 90 * SECOND, contact_name="?", contact_id="7", started_at=T0)
    call = record(ended, late)
    assert (call.contact_name, call.contact_id, call.status) == ("Ana", "7", DONE)


def test_stamps_that_no_register_points_to_are_forgotten() -> None:
    state = joined(*(event(S, T0 + n, contact_name=str(n)) for n in range(100)))
    assert len(state.stamps) == 1


# --- what the facts come to -----------------------------------------------------------------------


def test_an_end_in_the_payload_of_a_start_is_no_end() -> None:
    call = record(event(S, started_at=T0, ended_at=T0 + SECOND, duration=1, status="answered"))
    assert (call.ended_at, call.duration_seconds, call.status) == (None, None, Status.IN_PROGRESS)


def test_parties_follow_the_direction() -> None:
    inbound = record(event(S, direction="inbound", **FROM_TO))
    outbound = record(event(S, direction="outbound", **FROM_TO))
    assert (inbound.external_number, inbound.internal_number) == ("+1", "+2")
    assert (outbound.external_number, outbound.internal_number) == ("+2", "+1")


def test_parties_without_a_direction_are_not_guessed() -> None:
    call = record(event(S, **FROM_TO))
    assert (call.external_number, call.internal_number, call.from_, call.to) == (None, None, "+1", "+2")


@pytest.mark.parametrize(
    ("arrived", "ended_at", "seconds"),
    [
        (T0 + 7 * SECOND, None, 7),
        (T0, None, 0),
        (T0 + 7 * SECOND, T0 + 60 * SECOND, 7),
        (T0 + 61 * SECOND, T0 + 60 * SECOND, None),
        (T0 - 1, None, None),
        (T0 + ANSWER_WITHIN, None, 3600),
        (T0 + ANSWER_WITHIN + 1, None, None),
    ],
)
def test_the_arrival_of_an_answered_stands_for_the_answer_where_plausible(
    arrived: int, ended_at: int | None, seconds: int | None
) -> None:
    facts: dict[str, Any] = {"started_at": T0} | ({} if ended_at is None else {"ended_at": ended_at})
    answered = state_from_event(event(A), seq=1, received_at=arrived)
    ended = state_from_event(event(E, **facts), seq=2, received_at=arrived)
    call = build_record(join(answered, ended), id="x", version=1)
    assert call.response_seconds == seconds
    assert (call.answered_at is None) == (seconds is None)


def test_the_earliest_arrival_of_an_answered_counts() -> None:
    first, again = event(A, started_at=T0), event(A, started_at=T0)
    assert record(first, again, received_at=T0 + 5 * SECOND).response_seconds == 5


def test_a_duration_that_is_not_said_is_the_time_between_start_and_end() -> None:
    assert record(event(E, started_at=T0, ended_at=T0 + 61 * SECOND)).duration_seconds == 61
    assert record(event(E, started_at=T0, ended_at=T0 + 61 * SECOND, duration=60)).duration_seconds == 60
    assert record(event(E, started_at=T0, ended_at=T0 - SECOND)).duration_seconds is None


def test_times_are_iso_utc_with_milliseconds_only_where_there_are_any() -> None:
    assert iso(T0) == "2024-11-28T10:30:00Z"
    assert iso(T0 + 1_500) == "2024-11-28T10:30:00.001Z"
    assert iso(None) is None


def test_changed_fields_are_those_that_a_crm_sees() -> None:
    before = record(event(S, T0, contact_name="Ana", direction="inbound"))
    after = record(event(S, T0, contact_name="Ana", direction="inbound"), event(M, T0))
    assert changed_fields(before, after) == ["status", "follow_up"]
