"""The status: every row of the table, and how it depends on talking time."""

from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any

import pytest

from relay.call import CallEvent, Kind, Status, build_record, compute_status, has_stated_outcome
from tests.support.samples import join_events, make_event

S, A, E, M = Kind.STARTED, Kind.ANSWERED, Kind.ENDED, Kind.MISSED
COMPLETED = Status.COMPLETED
STATED = (None, "answered", "missed", "voicemail")
"""The status that the payload states."""


@dataclass(frozen=True)
class Row:
    kinds: tuple[Kind, ...]
    stated: str | None
    inbound: Status
    outbound: Status


def both(kinds: tuple[Kind, ...], stated: str | None, status: Status) -> Row:
    return Row(kinds, stated, status, status)


def missed(kinds: tuple[Kind, ...], stated: str | None) -> Row:
    return Row(kinds, stated, Status.MISSED, Status.NO_ANSWER)


def voicemail(kinds: tuple[Kind, ...]) -> Row:
    return Row(kinds, "voicemail", Status.VOICEMAIL, Status.NO_ANSWER)


# Every subset of the kinds by stated status, written by hand.
TABLE = [
    # only started: the stated status does not count yet
    *(both((S,), stated, Status.IN_PROGRESS) for stated in STATED),
    # answered, not ended
    *(both((A,), stated, Status.ANSWERED) for stated in STATED),
    *(both((S, A), stated, Status.ANSWERED) for stated in STATED),
    # ended, without an Answered
    both((E,), None, COMPLETED),
    both((E,), "answered", COMPLETED),
    missed((E,), "missed"),
    voicemail((E,)),
    both((S, E), None, COMPLETED),
    both((S, E), "answered", COMPLETED),
    missed((S, E), "missed"),
    voicemail((S, E)),
    # ended, with an Answered: completed, whatever status is stated
    *(both((A, E), stated, COMPLETED) for stated in STATED),
    *(both((S, A, E), stated, COMPLETED) for stated in STATED),
    # missed, without an Answered: a status "answered" in a payload typed once for all events does not count
    missed((M,), None),
    missed((M,), "answered"),
    missed((M,), "missed"),
    voicemail((M,)),
    missed((S, M), None),
    missed((S, M), "answered"),
    missed((S, M), "missed"),
    voicemail((S, M)),
    # missed and ended: the status that the Ended states decides
    missed((E, M), None),
    both((E, M), "answered", COMPLETED),
    missed((E, M), "missed"),
    voicemail((E, M)),
    missed((S, E, M), None),
    both((S, E, M), "answered", COMPLETED),
    missed((S, E, M), "missed"),
    voicemail((S, E, M)),
    # missed and answered: completed
    *(both((A, M), stated, COMPLETED) for stated in STATED),
    *(both((S, A, M), stated, COMPLETED) for stated in STATED),
    *(both((A, E, M), stated, COMPLETED) for stated in STATED),
    *(both((S, A, E, M), stated, COMPLETED) for stated in STATED),
]


def test_the_table_has_every_subset_of_the_kinds_with_every_stated_status() -> None:
    subsets = [subset for size in range(1, 5) for subset in combinations((S, A, E, M), size)]
    rows = {(row.kinds, row.stated) for row in TABLE}
    assert rows == {(subset, stated) for subset in subsets for stated in STATED}
    assert len(TABLE) == 15 * 4


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{'+'.join(row.kinds)}-{row.stated}")
@pytest.mark.parametrize("direction", ["inbound", "outbound", "internal", None])
def test_the_status_is_the_one_of_the_table_in_any_order(row: Row, direction: str | None) -> None:
    stated: dict[str, Any] = {"direction": direction, "status": row.stated}
    facts = {fact: value for fact, value in stated.items() if value is not None}
    expected = row.outbound if direction in {"outbound", "internal"} else row.inbound
    for order in permutations(row.kinds):
        state = join_events(*(make_event(kind, **facts) for kind in order))
        record = build_record(state, id="cloudtalk-1", version=1)
        assert record.status == expected, order
        assert record.follow_up is (direction == "inbound" and expected in {Status.MISSED, Status.VOICEMAIL})


def status_after(*events: CallEvent) -> Status:
    return compute_status(join_events(*events))


def test_a_call_with_talking_time_is_completed_even_if_missed_or_voicemail_is_stated() -> None:
    assert status_after(make_event(E, talking=3, status="missed", voicemail=True)) == COMPLETED
    assert status_after(make_event(M), make_event(E, talking=3, direction="inbound")) == COMPLETED


def test_a_call_without_talking_time_is_missed_unless_it_was_answered() -> None:
    assert status_after(make_event(E, talking=0, direction="inbound")) == Status.MISSED
    assert status_after(make_event(E, talking=0, direction="outbound")) == Status.NO_ANSWER
    assert status_after(make_event(A), make_event(E, talking=0, direction="inbound")) == COMPLETED


def test_a_voicemail_is_stated_by_the_event_itself() -> None:
    assert status_after(make_event(Kind.VOICEMAIL, direction="inbound")) == Status.VOICEMAIL
    assert status_after(make_event(Kind.VOICEMAIL, direction="outbound")) == Status.NO_ANSWER


@pytest.mark.parametrize(
    "fact", [{"voicemail": True}, {"status": "voicemail"}, {"status": "answered"}, {"talking": 9}]
)
@pytest.mark.parametrize("kind", [S, Kind.RINGING, Kind.UPDATE])
def test_an_outcome_in_the_payload_of_an_event_before_the_end_does_not_count(
    kind: Kind, fact: dict[str, Any]
) -> None:
    before, ended = make_event(kind, **fact), make_event(E, direction="inbound", status="missed")
    assert status_after(before, ended) == status_after(ended, before) == Status.MISSED


@pytest.mark.parametrize("kind", [S, Kind.RINGING, Kind.MODIFIED, Kind.UPDATE, Kind.RECORDING])
def test_a_time_of_the_answer_in_any_event_is_an_answer(kind: Kind) -> None:
    answered = make_event(kind, answered_at=1, direction="inbound")
    assert status_after(answered) == Status.ANSWERED
    assert status_after(answered, make_event(E, talking=0)) == COMPLETED
    assert status_after(answered, make_event(M)) == COMPLETED
    assert status_after(make_event(kind, direction="inbound")) == Status.IN_PROGRESS


@pytest.mark.parametrize(
    ("kind", "facts", "inbound", "outbound"),
    [
        (E, {"voicemail": True}, Status.VOICEMAIL, Status.NO_ANSWER),
        (E, {"voicemail": False}, COMPLETED, COMPLETED),
        (E, {"voicemail": True, "status": "answered"}, COMPLETED, COMPLETED),
        (E, {"voicemail": True, "status": "missed"}, Status.VOICEMAIL, Status.NO_ANSWER),
        (E, {"talking": 0, "status": "answered"}, COMPLETED, COMPLETED),
        (E, {"talking": 0, "voicemail": True}, Status.VOICEMAIL, Status.NO_ANSWER),
        (M, {"talking": 5}, COMPLETED, COMPLETED),
        (M, {"talking": 0}, Status.MISSED, Status.NO_ANSWER),
        (Kind.VOICEMAIL, {"status": "answered"}, Status.VOICEMAIL, Status.NO_ANSWER),
        (Kind.VOICEMAIL, {"talking": 5}, COMPLETED, COMPLETED),
    ],
)
def test_the_facts_of_an_event_that_ends_a_call_decide_its_status(
    kind: Kind, facts: dict[str, Any], inbound: Status, outbound: Status
) -> None:
    for direction, expected in (("inbound", inbound), ("outbound", outbound)):
        assert status_after(make_event(kind, direction=direction, **facts)) == expected


def test_a_voicemail_is_the_status_of_a_missed_call_that_is_over_too() -> None:
    voicemail, ended = make_event(Kind.VOICEMAIL, direction="inbound"), make_event(E, talking=0)
    assert status_after(voicemail, ended) == Status.VOICEMAIL
    assert status_after(voicemail, make_event(A)) == COMPLETED


@pytest.mark.parametrize(
    ("kinds", "facts", "stated"),
    [
        ((S,), {}, False),
        ((S, A), {}, False),
        ((E,), {}, False),
        ((S, E), {"duration": 5}, False),
        ((E,), {"status": "answered"}, True),
        ((E,), {"status": "missed"}, True),
        ((E,), {"talking": 0}, True),
        ((E,), {"talking": 5}, True),
        ((E,), {"voicemail": True}, True),
        ((A, E), {}, True),
        ((M,), {}, True),
    ],
)
def test_the_outcome_is_stated_if_an_event_says_how_the_call_went(
    kinds: tuple[Kind, ...], facts: dict[str, Any], stated: bool
) -> None:
    assert has_stated_outcome(join_events(*(make_event(kind, **facts) for kind in kinds))) is stated
