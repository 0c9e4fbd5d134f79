"""When a question is asked again, when it is given up, and when an API pauses."""

import pytest

from relay.history.enrichment.pauses import Pauses
from relay.history.enrichment.schedule import Api, after_outage, is_last, next_attempt
from relay.instants import SECOND, Instant
from relay.ledger.enrichments import DueQuestion, Question
from tests.support.clock import MonotonicClock

NOW = Instant(1_800_000_000 * SECOND)


def due(question: Question, attempts: int = 0, age: int = 0) -> DueQuestion:
    return DueQuestion("cloudtalk-1", question, Instant(NOW - age * SECOND), attempts)


@pytest.mark.parametrize(
    ("question", "waits"),
    [
        (Question.ANALYTICS, [20, 60, 180, 600, 1_800]),
        (Question.CALL_BACK, [3_600]),
        (Question.SUMMARY, [60, 120, 300, 900, 3_600, 14_400]),
        (Question.TRANSCRIPT, [60, 120, 300, 900, 3_600, 14_400]),
        (Question.SMART_NOTES, [60, 120, 300, 900, 3_600, 14_400]),
    ],
)
def test_the_delays_grow_and_end(question: Question, waits: list[int]) -> None:
    for attempts, seconds in enumerate(waits):
        assert next_attempt(due(question, attempts), NOW) == NOW + seconds * SECOND
        assert not is_last(due(question, attempts))
    assert next_attempt(due(question, len(waits)), NOW) is None
    assert is_last(due(question, len(waits)))


@pytest.mark.parametrize(("age", "wait"), [(0, 60), (240, 60), (4_000, 1_000), (86_400, 21_600)])
def test_an_outage_is_waited_for_longer_the_longer_it_lasts(age: int, wait: int) -> None:
    assert after_outage(due(Question.SUMMARY, 6, age), NOW) == NOW + wait * SECOND


def test_an_outage_of_a_week_ends_a_question() -> None:
    assert after_outage(due(Question.SUMMARY, 0, 7 * 86_400), NOW) is None


def test_a_refused_key_pauses_its_api_at_once_and_longer_each_time() -> None:
    clock = MonotonicClock()
    pauses = Pauses(clock)
    assert [pauses.note_failure(Api.AI, "unauthorised") for _ in range(8)] == [
        *(60, 120, 240, 480, 960, 1_920),
        *(3_600, 3_600),
    ]
    assert (pauses.is_paused(Api.AI), pauses.is_paused(Api.ANALYTICS)) == (True, False)
    clock.time += 3_600
    assert not pauses.is_paused(Api.AI)


def test_three_failures_in_a_row_pause_an_api() -> None:
    pauses = Pauses(MonotonicClock())
    assert [pauses.note_failure(Api.AI, "unavailable") for _ in range(4)] == [0, 0, 30, 60]


def test_an_answer_ends_the_count_of_failures() -> None:
    pauses = Pauses(MonotonicClock())
    pauses.note_failure(Api.AI, "unavailable")
    pauses.note_failure(Api.AI, "unavailable")
    assert not pauses.note_answer(Api.AI)
    assert pauses.note_failure(Api.AI, "unavailable") == 0
    pauses.note_failure(Api.AI, "unauthorised")
    assert pauses.note_answer(Api.AI)
    assert not pauses.is_paused(Api.AI)


def test_another_key_is_used_at_once() -> None:
    pauses = Pauses(MonotonicClock())
    pauses.note_failure(Api.AI, "unauthorised")
    pauses.clear()
    assert not pauses.is_paused(Api.AI)
    assert pauses.note_failure(Api.AI, "unauthorised") == 120  # it is the same fault until an answer
