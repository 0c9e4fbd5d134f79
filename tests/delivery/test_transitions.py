"""What each outcome makes of a mark and of its destination, and when a call is tried again."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from relay.delivery.purpose import Found
from relay.delivery.transitions import RetryPolicy, is_cause, settle, wait_after
from relay.ledger.deliveries import DeliveryUpdate, DueDelivery
from relay.ledger.destinations import Pause
from tests.support.clock import SECOND
from tests.support.samples import call_at

HOUR = 3_600 * SECOND
NOW = 1_800_000_000 * SECOND
SCHEDULE = RetryPolicy(first_retry_seconds=5, longest_retry_seconds=3_600, give_up_after_hours=72)
CALL = call_at(version=7)
FRESH = DueDelivery(
    call=CALL,
    changed={},
    delivered_version=0,
    attempts=0,
    attempted_at=None,
    failing_for=0,
    remote_id=None,
    outcome=None,
)
FAILING = msgspec.structs.replace(
    FRESH, delivered_version=4, attempts=2, attempted_at=NOW - 60 * SECOND, failing_for=9, remote_id="old"
)


def settled(
    due: DueDelivery, outcome: Outcome, *, delivered_at: int | None = None, schedule: RetryPolicy = SCHEDULE
) -> DeliveryUpdate | None:
    return settle(due, outcome, schedule, now=NOW, delivered_at=delivered_at, jitter=0)


def certain(due: DueDelivery, outcome: Outcome, **given_: Any) -> DeliveryUpdate:
    settlement = settled(due, outcome, **given_)
    assert settlement is not None
    return settlement


# --- the table: every outcome, on a mark that failed twice before ---------------------------------

KEPT: dict[str, Any] = {
    "call": CALL.id,
    "version": 7,
    "attempts": 3,
    "attempted_at": NOW,
    "code": "c",
    "message": "m",
}
BACK_OFF: dict[str, Any] = {
    "state": "pending",
    "due_at": NOW + 20 * SECOND,
    "delivered_version": 4,
    "failing_for": 9,
    "remote_id": "old",
}
TABLE: dict[type[Outcome], dict[str, Any] | None] = {
    Delivered: {
        "state": "delivered",
        "due_at": NOW,
        "delivered_version": 7,
        "failing_for": 0,
        "remote_id": "old",
        "outcome": "delivered",
    },
    Found: {
        "state": "delivered",
        "due_at": NOW,
        "delivered_version": 7,
        "failing_for": 0,
        "remote_id": "old",
        "outcome": "found",
    },
    Rejected: BACK_OFF | {"state": "dead", "due_at": NOW, "outcome": "rejected"},
    Retry: BACK_OFF | {"outcome": "retry"},
    Split: BACK_OFF | {"outcome": "split"},
    Unknown: BACK_OFF | {"outcome": "unknown"},
    Throttled: None,
    Unauthorised: None,
    Misconfigured: None,
}


def test_the_table_has_every_outcome() -> None:
    kinds = [Delivered, Found, *CallFailure.__subclasses__(), *DestinationFailure.__subclasses__()]
    assert set(TABLE) == set(kinds)


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.name)
def test_a_mark_becomes_what_the_table_says(kind: type[Outcome]) -> None:
    expected = TABLE[kind]
    assert settled(FAILING, kind(code="c", message="m")) == (
        None if expected is None else DeliveryUpdate(**(KEPT | expected))
    )


def test_a_first_attempt_that_fails_waits_the_first_time() -> None:
    settlement = certain(FRESH, Retry())
    assert (settlement.state, settlement.attempts, settlement.due_at) == ("pending", 1, NOW + 5 * SECOND)
    assert (settlement.failing_for, settlement.delivered_version) == (0, 0)


@pytest.mark.parametrize(
    ("known", "answered", "kept"), [(None, "new", "new"), ("old", "new", "new"), ("old", None, "old")]
)
def test_the_crms_own_id_is_kept(known: str | None, answered: str | None, kept: str) -> None:
    due = msgspec.structs.replace(FRESH, remote_id=known)
    assert certain(due, Delivered(remote_id=answered)).remote_id == kept


def test_a_failure_keeps_what_the_crm_has() -> None:
    for outcome in (Retry(), Rejected(), Unknown()):
        settlement = certain(FAILING, outcome)
        assert (settlement.delivered_version, settlement.remote_id) == (4, "old")


# --- giving up ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempted_at", "delivered_at", "counted"),
    [
        (None, NOW - SECOND, 0),  # the first attempt: nothing was failing yet
        (NOW - 60 * SECOND, None, 0),  # an outage from the start
        (NOW - 60 * SECOND, NOW - 61 * SECOND, 0),  # an outage since before the last attempt
        (NOW - 60 * SECOND, NOW - 60 * SECOND, 0),  # others were taken with the last attempt, none since
        (NOW - 60 * SECOND, NOW - 59 * SECOND, 60 * SECOND),
        (NOW - 60 * SECOND, NOW, 60 * SECOND),
        (NOW + 60 * SECOND, NOW + 61 * SECOND, 0),  # the clock was set back
    ],
)
@pytest.mark.parametrize("outcome", [Retry(), Unknown(), Split()], ids=lambda outcome: outcome.name)
def test_only_time_in_which_others_were_taken_counts(
    attempted_at: int | None, delivered_at: int | None, counted: int, outcome: Outcome
) -> None:
    due = msgspec.structs.replace(FAILING, attempted_at=attempted_at)
    settlement = certain(due, outcome, delivered_at=delivered_at)
    assert (settlement.failing_for, settlement.state) == (9 + counted, "pending")


def test_an_outage_of_a_year_kills_nothing() -> None:
    due = FRESH
    for hour in range(1, 366 * 24):
        now = NOW + hour * HOUR
        settlement = settle(due, Retry(), SCHEDULE, now=now, delivered_at=NOW - SECOND, jitter=1)
        assert settlement is not None
        assert settlement.state == "pending"
        due = msgspec.structs.replace(due, attempts=settlement.attempts, attempted_at=now)
    assert due.attempts == 366 * 24 - 1


def test_a_call_that_alone_fails_for_all_of_the_time_is_given_up_and_not_before() -> None:
    due, states = FRESH, []
    for hour in range(74):
        now = NOW + hour * HOUR
        settlement = settle(due, Retry(code="500"), SCHEDULE, now=now, delivered_at=now - SECOND, jitter=0)
        assert settlement is not None
        states.append(settlement.state)
        due = msgspec.structs.replace(
            due, attempts=hour + 1, attempted_at=now, failing_for=settlement.failing_for
        )
    assert states == ["pending"] * 72 + ["dead"] * 2


def test_what_is_given_up_says_what_it_failed_of() -> None:
    due = msgspec.structs.replace(FAILING, failing_for=72 * HOUR)
    settlement = certain(due, Retry(code="500", message="oops"))
    assert (settlement.state, settlement.outcome, settlement.code, settlement.message) == (
        "dead",
        "retry",
        "500",
        "oops",
    )
    assert settlement.due_at == NOW


def test_what_was_long_failing_and_is_delivered_at_last_is_not_given_up() -> None:
    due = msgspec.structs.replace(FAILING, failing_for=1_000 * HOUR)
    assert certain(due, Delivered(), delivered_at=NOW).state == "delivered"


# --- when it is tried again -----------------------------------------------------------------------


def test_the_wait_doubles_up_to_the_longest() -> None:
    waits = [SCHEDULE.delay(attempts, after=None, jitter=0) // SECOND for attempts in range(1, 13)]
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]


def test_any_number_of_attempts_waits_the_longest() -> None:
    assert SCHEDULE.delay(10**9, after=None, jitter=0) == HOUR


@given(st.integers(1, 10**6), st.none() | st.floats(0, 10**9), st.floats(0, 1))
def test_jitter_only_adds_and_no_more_than_a_fifth(attempts: int, after: float | None, jitter: float) -> None:
    plain = SCHEDULE.delay(attempts, after=after, jitter=0)
    spread = SCHEDULE.delay(attempts, after=after, jitter=jitter)
    assert plain <= spread <= plain * 1.2 + 1
    assert 5 * SECOND <= plain <= HOUR


@pytest.mark.parametrize(
    ("after", "seconds"), [(None, 5), (0, 5), (4.9, 5), (7.5, 7.5), (3_600, 3_600), (86_400, 3_600)]
)
def test_what_the_crm_asks_for_is_granted_within_the_schedule(after: float | None, seconds: float) -> None:
    assert certain(FRESH, Retry(after=after)).due_at == NOW + int(seconds * SECOND)


def test_a_first_wait_longer_than_the_longest_is_the_longest() -> None:
    assert RetryPolicy(600, 60, 72).delay(1, after=None, jitter=0) == 60 * SECOND


def test_the_time_to_give_up_is_in_microseconds() -> None:
    assert SCHEDULE.give_up_after == 72 * HOUR
    assert RetryPolicy(5, 3_600, 0.5).give_up_after == HOUR // 2


# --- what makes the whole destination wait --------------------------------------------------------


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
def test_the_destination_waits_with_the_reason(outcome: Outcome, seconds: float) -> None:
    assert wait_after([outcome], SCHEDULE) == Pause(outcome.name, seconds, "c", "m")


def test_one_such_outcome_among_many_makes_it_wait() -> None:
    outcomes = [Delivered(), Retry(after=9), Throttled(after=3), Rejected()]
    assert wait_after(outcomes, SCHEDULE) == Pause("throttled", 3, None, None)


def test_no_other_outcome_makes_it_wait() -> None:
    others = [kind() for kind, expected in TABLE.items() if expected is not None]
    assert len(others) == 6
    assert wait_after(others, SCHEDULE) is None
    assert wait_after([], SCHEDULE) is None


def test_a_spent_budget_puts_off_its_calls_alone_and_spends_no_attempt() -> None:
    settlement = certain(FAILING, Throttled(code="429", after=7, rate_limit="search"))
    assert (settlement.state, settlement.attempts, settlement.failing_for) == ("pending", 2, 9)
    assert settlement.due_at == NOW + 7 * SECOND
    assert wait_after([Throttled(after=7, rate_limit="search")], SCHEDULE) is None
    assert wait_after([Throttled(after=7, rate_limit="writes")], SCHEDULE) is not None


@pytest.mark.parametrize(
    ("outcome", "reason", "code", "expected"),
    [
        (Throttled(), "throttled", None, True),
        (Throttled(rate_limit="search"), "throttled", None, False),
        (Unauthorised(), "unauthorised", None, True),
        (Misconfigured(), "misconfigured", "42P01", True),
        (Rejected(code="23502"), "misconfigured", "23502", True),
        (Rejected(code="22P05"), "misconfigured", "23502", False),
        (Retry(), "failing", "503", True),
        (Unknown(), "failing", "503", True),
        (Delivered(), "failing", "503", False),
        (Rejected(), "failing", "503", False),
        (Retry(), "unauthorised", None, False),
        (Delivered(), "throttled", None, False),
    ],
)
def test_a_probe_ends_the_wait_unless_it_meets_its_cause(
    outcome: Outcome, reason: str, code: str | None, expected: bool
) -> None:
    assert is_cause(outcome, reason, code) is expected
