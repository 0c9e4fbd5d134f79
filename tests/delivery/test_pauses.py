"""When a destination pauses, for how long, and what resumes it."""

from collections.abc import Sequence

import pytest

from crm_clients.base import (
    CallFailure,
    Delivered,
    DestinationFailure,
    Misconfigured,
    Outcome,
    Rejected,
    Retry,
    Split,
    Throttled,
    Unauthorised,
    Unknown,
)
from relay.delivery.choose_action import Found
from relay.delivery.pauses import RUN_OF_REJECTIONS, CircuitBreaker, PauseChange, Pauses, repeats_pause
from relay.delivery.retry_policy import RetryPolicy
from relay.instants import SECOND, Instant
from relay.ledger.deliveries import ANY_ATTEMPTS, DueDelivery
from relay.ledger.destinations import DestinationRow, Pause
from tests.support.deliveries import due_delivery

NOW = Instant(1_800_000_000 * SECOND)
POLICY = RetryPolicy(first_retry_seconds=5, longest_retry_seconds=3_600, give_up_after_hours=72)
DOWN = Retry(code="503", message="busy")


def due(*attempts: int) -> list[DueDelivery]:
    return [due_delivery(attempts=each) for each in attempts]


def paused(reason: str | None, code: str | None = None, *, until: int | None = NOW) -> DestinationRow:
    end = None if until is None else Instant(until)
    return DestinationRow("crm", "local", None, reason, end, end, code, None)


def pause_after(outcomes: Sequence[Outcome]) -> Pause | None:
    return Pauses(POLICY).pause_after_push(due(*[0] * len(outcomes)), outcomes).pause


# --- failures of the destination ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [
        (Throttled(code="c", message="m", after=3), 3),
        (Throttled(code="c", message="m"), 10),
        (Throttled(code="c", message="m", after=86_400), 3_600),
        (Throttled(code="c", message="m", after=0), 1),
        (Unauthorised(code="c", message="m"), 60),
        (Misconfigured(code="c", message="m"), 60),
    ],
)
def test_a_failure_of_the_destination_pauses_it(outcome: Outcome, seconds: float) -> None:
    assert pause_after([outcome]) == Pause(outcome.name, seconds, "c", "m")


def test_one_such_failure_among_other_outcomes_pauses_it() -> None:
    outcomes = [Delivered(), Retry(after=9), Throttled(after=3), Rejected()]
    assert pause_after(outcomes) == Pause("throttled", 3, None, None)


def test_no_other_outcome_pauses_it() -> None:
    others = [Delivered(), Found(), *(kind() for kind in CallFailure.__subclasses__())]
    assert len(others) == 7
    assert pause_after(others) is None
    assert pause_after([]) is None


def test_every_failure_of_a_destination_has_a_pause() -> None:
    assert all(pause_after([kind()]) for kind in DestinationFailure.__subclasses__())


def test_a_rate_limit_that_only_some_calls_need_pauses_nothing() -> None:
    assert pause_after([Throttled(after=7, rate_limit="search")]) is None
    assert pause_after([Throttled(after=7, rate_limit="writes")]) is not None


def test_a_rejection_is_reported_for_the_count_of_the_run() -> None:
    rejected = Rejected(code="22")
    pauses = Pauses(POLICY)
    assert pauses.pause_after_push(due(0, 0), [rejected, DOWN]) == PauseChange(rejected=rejected)
    assert pauses.pause_after_push(due(0, 0), [rejected, Found()]) == PauseChange(rejected=rejected)
    assert pauses.pause_after_push(due(0, 0), [rejected, Delivered()]).rejected is None
    assert pauses.pause_after_push(due(0), [Rejected()]).rejected is None, "without a code there is no run"


# --- probes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "reason", "code", "expected"),
    [
        (Throttled(), "throttled", None, True),
        (Throttled(rate_limit="search"), "throttled", None, False),
        (Unauthorised(), "unauthorised", None, True),
        (Misconfigured(), "misconfigured", "42P01", True),
        (Rejected(code="23502"), "misconfigured", "23502", True),
        (Rejected(code="22P05"), "misconfigured", "23502", False),
        (Rejected(code="23502"), "throttled", "23502", False),
        (Rejected(code="23502"), "rejected", "23502", False),
        (Delivered(), "delivered", None, False),
        (Retry(), "failing", "503", True),
        (Unknown(), "failing", "503", True),
        (Split(), "failing", "503", True),
        (Delivered(), "failing", "503", False),
        (Rejected(), "failing", "503", False),
        (Retry(), "unauthorised", None, False),
        (Delivered(), "throttled", None, False),
    ],
)
def test_only_the_cause_of_the_pause_repeats_it(
    outcome: Outcome, reason: str, code: str | None, *, expected: bool
) -> None:
    assert repeats_pause(outcome, reason, code) is expected
    change = Pauses(POLICY).resume_after_probe(due(0), [outcome], paused(reason, code))
    assert change.probe_failure == (outcome if expected else None)
    assert change.resumes is not expected


def test_each_failed_probe_makes_the_next_pause_longer() -> None:
    pauses = Pauses(POLICY)
    first = [pauses.pause_after_push(due(0), [DOWN]).pause for _ in range(5)][-1]
    probes = [pauses.resume_after_probe(due(1), [DOWN], paused("failing")).pause for _ in range(4)]
    assert [first, *probes] == [Pause("failing", seconds, "503", "busy") for seconds in (5, 10, 20, 40, 60)]


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [
        (Throttled(code="c", message="m", after=7), 7),
        (Unauthorised(code="c", message="m"), 60),
        (Misconfigured(code="c", message="m"), 60),
    ],
)
def test_a_probe_that_meets_the_cause_again_repeats_its_pause(outcome: Outcome, seconds: float) -> None:
    change = Pauses(POLICY).resume_after_probe(due(0), [outcome], paused(outcome.name))
    assert change == PauseChange(Pause(outcome.name, seconds, "c", "m"), probe_failure=outcome)


def test_twenty_rejections_are_a_run() -> None:
    assert RUN_OF_REJECTIONS == 20


def test_a_rejection_repeats_the_pause_that_a_run_of_rejections_began() -> None:
    rejected = Rejected(code="23502", message="m")
    first = Pauses(POLICY).after_rejections(rejected, 20)
    assert first.message == "20 calls in a row were rejected with the same code: m"
    again = Pauses(POLICY).resume_after_probe(due(0), [rejected], paused(first.reason, first.code)).pause
    assert again == Pause("misconfigured", 60, "23502", "m")


@pytest.mark.parametrize(
    ("outcome", "reason", "seconds"),
    [
        (Unauthorised(code="c"), "throttled", 60),
        (Misconfigured(code="c"), "unauthorised", 60),
        (Throttled(code="c"), "failing", 10),
    ],
)
def test_a_probe_with_another_failure_of_the_destination_pauses_it_for_that(
    outcome: Outcome, reason: str, seconds: float
) -> None:
    change = Pauses(POLICY).resume_after_probe(due(0), [outcome], paused(reason))
    assert (change.pause, change.resumes) == (Pause(outcome.name, seconds, "c", None), False)
    assert change.probe_failure is None


def test_a_probe_that_fails_otherwise_counts_as_a_failed_push() -> None:
    pauses = Pauses(POLICY)
    for _ in range(4):
        pauses.pause_after_push(due(0), [DOWN])
    change = pauses.resume_after_probe(due(0), [DOWN], paused("throttled"))
    assert change == PauseChange(Pause("failing", 5, "503", "busy"))


def test_a_probe_that_is_delivered_makes_the_next_pause_a_short_one() -> None:
    pauses = Pauses(POLICY)
    for _ in range(5):
        pauses.pause_after_push(due(0), [DOWN])
    assert pauses.resume_after_probe(due(0), [Delivered()], paused("failing")) == PauseChange(
        resumes=True, retry_up_to_attempts=2_147_483_647
    )
    again = [pauses.pause_after_push(due(0), [DOWN]).pause for _ in range(5)]
    assert again == [None] * 4 + [Pause("failing", 5, "503", "busy")]


def test_a_rejected_probe_is_reported_for_the_count_of_the_run() -> None:
    rejected = Rejected(code="22")
    outcomes = [None, Rejected(), rejected]
    assert Pauses(POLICY).resume_after_probe(due(0, 0, 0), outcomes, paused("throttled")) == PauseChange(
        resumes=True, rejected=rejected
    )


def test_of_two_outcomes_of_a_probe_the_cause_of_the_pause_counts() -> None:
    throttled, down = Throttled(code="429", after=7), Retry(code="503")
    change = Pauses(POLICY).resume_after_probe(due(0, 0), [down, throttled], paused("failing"))
    assert change == PauseChange(Pause("throttled", 7, "429", None), probe_failure=down)


@pytest.mark.parametrize(
    ("reason", "attempts"),
    [
        ("failing", ANY_ATTEMPTS),
        ("unauthorised", ANY_ATTEMPTS),
        ("misconfigured", ANY_ATTEMPTS),
        ("throttled", 0),
    ],
)
def test_a_destination_that_was_down_retries_all_deliveries_at_once(reason: str, attempts: int) -> None:
    change = Pauses(POLICY).resume_after_probe(due(0), [Delivered()], paused(reason))
    assert change.retry_up_to_attempts == attempts


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        (NOW - 1, True),
        (NOW, True),
        (NOW + 1, False),
        (NOW + 4_320 * SECOND, False),  # the longest delay and its jitter
        (NOW + 4_320 * SECOND + 1, True),  # the clock was set back
        (None, False),  # a person paused it
    ],
)
def test_a_probe_is_due_at_the_end_of_the_pause(until: int | None, *, expected: bool) -> None:
    assert Pauses(POLICY).may_probe(paused("failing", until=until), NOW) is expected


def test_a_pause_of_a_minute_may_be_longer_than_the_longest_wait() -> None:
    pauses = Pauses(RetryPolicy(first_retry_seconds=1, longest_retry_seconds=10, give_up_after_hours=1))
    assert not pauses.may_probe(paused("failing", until=NOW + 60 * SECOND), NOW)
    assert pauses.may_probe(paused("failing", until=NOW + 60 * SECOND + 1), NOW)


# --- the circuit breaker --------------------------------------------------------------------------


def record(
    breaker: CircuitBreaker, times: int, outcome: Outcome = DOWN, attempts: int = 0
) -> list[Pause | None]:
    return [breaker.record(due(attempts), [outcome]) for _ in range(times)]


@pytest.mark.parametrize("outcome", [DOWN, Unknown(code="503", message="busy")])
def test_five_failed_pushes_in_a_row_open_it(outcome: Outcome) -> None:
    assert record(CircuitBreaker(), 5, outcome) == [None] * 4 + [Pause("failing", 5, "503", "busy")]


@pytest.mark.parametrize("outcome", [Delivered(), Rejected(code="22")])
def test_any_answer_of_the_crm_closes_it(outcome: Outcome) -> None:
    breaker = CircuitBreaker()
    record(breaker, 4)
    breaker.record(due(0, 0), [DOWN, outcome])
    assert record(breaker, 4) == [None] * 4


def test_a_record_that_was_only_verified_does_not_close_it() -> None:
    breaker = CircuitBreaker()
    record(breaker, 4)
    assert breaker.record(due(0), [Found()]) is None
    assert record(breaker, 1) == [Pause("failing", 5, "503", "busy")]


def test_a_call_that_failed_before_does_not_count() -> None:
    assert record(CircuitBreaker(), 50, attempts=1) == [None] * 50


def test_twenty_different_calls_that_failed_before_open_it() -> None:
    breaker = CircuitBreaker()
    failed = [due_delivery(f"cloudtalk-{number}", attempts=1) for number in range(20)]
    pauses = [breaker.record([each], [DOWN]) for each in failed]
    assert [pause is not None for pause in pauses] == [False] * 19 + [True]
    assert record(breaker, 9, attempts=1) == [None] * 9, "it counts from 0 after a pause"


def test_many_calls_that_failed_before_open_it_with_the_fifth_push() -> None:
    failed = [due_delivery(f"cloudtalk-{number}", attempts=1) for number in range(25)]
    breaker = CircuitBreaker()
    pauses = [breaker.record(failed, [DOWN] * 25) for _ in range(6)]
    assert pauses == [None] * 4 + [Pause("failing", 5, "503", "busy"), None]


def test_nineteen_different_calls_that_failed_before_do_not_open_it() -> None:
    failed = [due_delivery(f"cloudtalk-{number}", attempts=1) for number in range(19)]
    breaker = CircuitBreaker()
    assert [breaker.record([each], [DOWN]) for each in failed * 2] == [None] * 38


def test_one_call_that_never_failed_makes_a_push_count() -> None:
    breaker = CircuitBreaker()
    pauses = [breaker.record(due(1, 0), [DOWN, DOWN]) for _ in range(5)]
    assert [pause is not None for pause in pauses] == [False] * 4 + [True]


def test_the_first_outcome_that_is_a_failure_explains_the_pause() -> None:
    breaker = CircuitBreaker()
    outcomes = [None, Found(), Retry(code="502", message="first"), DOWN]
    assert [breaker.record(due(0, 0, 0, 0), outcomes) for _ in range(5)][-1] == Pause(
        "failing", 5, "502", "first"
    )


def test_each_pause_is_twice_as_long_up_to_a_minute() -> None:
    breaker = CircuitBreaker()
    assert [breaker.open(DOWN).seconds for _ in range(6)] == [5, 10, 20, 40, 60, 60]
    breaker.close()
    assert breaker.open(DOWN).seconds == 5


def test_a_delivery_that_was_not_tried_does_not_count() -> None:
    breaker = CircuitBreaker()
    assert [breaker.record(due(0), [None]) for _ in range(9)] == [None] * 9
    failed = [due_delivery(f"cloudtalk-{number}", attempts=1) for number in range(25)]
    pauses = [breaker.record(failed, [DOWN] * 25) for _ in range(4)]
    assert [*pauses, breaker.record(due(0), [None])] == [None] * 5
    assert breaker.record(failed, [DOWN] * 25) is not None


def test_pushes_under_way_when_it_opens_do_not_prolong_the_pause() -> None:
    pauses = record(CircuitBreaker(), 9)
    assert [pause and pause.seconds for pause in pauses] == [None] * 4 + [5] + [None] * 4


def test_after_a_brief_failure_deliveries_with_few_attempts_are_retried_at_once() -> None:
    pauses = Pauses(POLICY)
    for _ in range(2):
        assert pauses.pause_after_push(due(0), [DOWN]) == PauseChange()
    assert pauses.pause_after_push(due(0), [Delivered()]) == PauseChange(retry_up_to_attempts=2)
    assert pauses.pause_after_push(due(0), [Delivered()]) == PauseChange()


def test_a_new_worker_counts_from_zero() -> None:
    pauses = Pauses(POLICY)
    for _ in range(4):
        pauses.pause_after_push(due(0), [DOWN])
    pauses.reset()
    assert [pauses.pause_after_push(due(0), [DOWN]).pause for _ in range(4)] == [None] * 4
