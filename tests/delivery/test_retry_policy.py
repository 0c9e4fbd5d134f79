"""How long a failed delivery waits, and when it is given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.delivery.retry_policy import RetryPolicy, failing_time
from relay.instants import SECOND, Instant, duration
from tests.support.deliveries import due_delivery

HOUR = 3_600 * SECOND
NOW = 1_800_000_000 * SECOND
POLICY = RetryPolicy(first_retry_seconds=5, longest_retry_seconds=3_600, give_up_after_hours=72)


def test_the_delay_doubles_up_to_the_longest() -> None:
    delays = [POLICY.delay(attempts, after=None, jitter=0) // SECOND for attempts in range(1, 13)]
    assert delays == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]


def test_any_number_of_attempts_waits_the_longest_delay() -> None:
    assert POLICY.delay(10**9, after=None, jitter=0) == HOUR


@given(st.integers(1, 10**6), st.none() | st.floats(0, 10**9), st.floats(0, 1))
def test_jitter_only_adds_and_at_most_a_fifth(attempts: int, after: float | None, jitter: float) -> None:
    plain = POLICY.delay(attempts, after=after, jitter=0)
    spread = POLICY.delay(attempts, after=after, jitter=jitter)
    assert plain <= spread <= plain * 1.2 + 1
    assert 5 * SECOND <= plain <= HOUR
    assert spread <= POLICY.longest_delay


@pytest.mark.parametrize(
    ("after", "seconds"), [(None, 5), (0, 5), (4.9, 5), (7.5, 7.5), (3_600, 3_600), (86_400, 3_600)]
)
def test_the_wait_that_the_crm_asks_for_counts_up_to_the_longest(after: float | None, seconds: float) -> None:
    assert POLICY.delay(1, after=after, jitter=0) == int(seconds * SECOND)


@pytest.mark.parametrize(("after", "seconds"), [(0, 0), (0.2, 0.2), (3_600, 3_600), (3_601, 3_600)])
def test_the_wait_that_no_recovery_shortens_is_what_the_crm_asked_for_up_to_the_longest(
    after: float, seconds: float
) -> None:
    assert POLICY.asked_delay(after) == seconds * SECOND


def test_a_first_delay_longer_than_the_longest_is_the_longest() -> None:
    assert RetryPolicy(600, 60, 72).delay(1, after=None, jitter=0) == 60 * SECOND


def test_the_first_delay_may_be_less_than_a_second() -> None:
    assert RetryPolicy(0.25, 3_600, 72).delay(1, after=None, jitter=0) == SECOND // 4


def test_the_longest_wait_has_the_most_jitter() -> None:
    assert POLICY.longest_delay == 4_320 * SECOND


@pytest.mark.parametrize(
    ("after", "seconds"), [(None, 10), (0, 1), (0.2, 1), (1.5, 1.5), (3_600, 3_600), (86_400, 3_600)]
)
def test_the_wait_after_a_rate_limit_is_at_least_a_second(after: float | None, seconds: float) -> None:
    assert POLICY.throttled_seconds(after) == seconds
    assert POLICY.throttled_delay(after, jitter=0) == seconds * SECOND


def test_the_time_to_give_up_is_in_microseconds() -> None:
    assert POLICY.give_up_after == 72 * HOUR
    assert RetryPolicy(5, 3_600, 0.5).give_up_after == HOUR // 2


@pytest.mark.parametrize(
    ("attempted_at", "delivered_at", "counted"),
    [
        (None, NOW - SECOND, 0),  # the first attempt: nothing failed before
        (NOW - 60 * SECOND, None, 0),  # an outage from the start
        (NOW - 60 * SECOND, NOW - 61 * SECOND, 0),  # an outage since before the last attempt
        (NOW - 60 * SECOND, NOW - 60 * SECOND, 0),  # others were delivered with the last attempt, none since
        (NOW - 60 * SECOND, NOW - 59 * SECOND, 60 * SECOND),
        (NOW - 60 * SECOND, NOW, 60 * SECOND),
        (NOW + 60 * SECOND, NOW + 61 * SECOND, 0),  # the clock was set back
        (NOW - HOUR, NOW, HOUR),
        (NOW - HOUR - SECOND, NOW, HOUR),  # it was due after an hour at most: no relay ran then
        (NOW - 800 * 24 * HOUR, NOW, HOUR),  # the clock was set forward
    ],
)
def test_only_time_in_which_other_calls_were_delivered_counts(
    attempted_at: int | None, delivered_at: int | None, counted: int
) -> None:
    due = due_delivery(attempted_at=attempted_at, failing_for=9)
    since = None if delivered_at is None else Instant(delivered_at)
    found = failing_time(due, now=Instant(NOW), delivered_at=since, longest=duration(3_600))
    assert found == 9 + counted
