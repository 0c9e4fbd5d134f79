"""What each outcome makes of the state of one delivery."""

from typing import Any

import msgspec
import pytest

from crm_clients.base import (
    CallFailure,
    Delivered,
    DestinationFailure,
    Misconfigured,
    Outcome,
    Outdated,
    Rejected,
    Retry,
    Split,
    Throttled,
    Unauthorised,
    Unknown,
)
from relay.delivery.choose_action import Action, Found, PlannedDelivery
from relay.delivery.retry_policy import RetryPolicy
from relay.delivery.transitions import after_failed_probe, after_push, without_request
from relay.instants import SECOND, Duration, Instant
from relay.ledger.deliveries import DeliveryUpdate, DueDelivery
from relay.ledger.states import DeliveryState
from tests.support.deliveries import due_delivery

HOUR = 3_600 * SECOND
NOW = Instant(1_800_000_000 * SECOND)
POLICY = RetryPolicy(first_retry_seconds=5, longest_retry_seconds=3_600, give_up_after_hours=72)
FRESH = due_delivery(version=7)
FAILING = msgspec.structs.replace(
    FRESH, delivered_version=4, attempts=2, attempted_at=NOW - 60 * SECOND, failing_for=9, remote_id="old"
)


def update_or_none(
    due: DueDelivery,
    outcome: Outcome,
    *,
    action: Action = Action.UPSERT,
    delivered_at: Instant | None = None,
    jitter: float = 0,
    now: Instant = NOW,
) -> DeliveryUpdate | None:
    planned = PlannedDelivery(due, action, partial=False)
    return after_push(planned, outcome, POLICY, now=now, delivered_at=delivered_at, jitter=jitter)


def update_after(due: DueDelivery, outcome: Outcome, **changes: Any) -> DeliveryUpdate:
    update = update_or_none(due, outcome, **changes)
    assert update is not None
    return update


# --- the table: every outcome, on a delivery that failed twice before ---------------------------------

COMMON: dict[str, Any] = {
    "call": FRESH.call.id,
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
    Outdated: BACK_OFF | {"outcome": "outdated"},
    Throttled: None,
    Unauthorised: None,
    Misconfigured: None,
}


def test_the_table_has_every_outcome() -> None:
    kinds = [Delivered, Found, *CallFailure.__subclasses__(), *DestinationFailure.__subclasses__()]
    assert set(TABLE) == set(kinds)


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.name)
def test_each_outcome_makes_what_the_table_says(kind: type[Outcome]) -> None:
    expected = TABLE[kind]
    assert update_or_none(FAILING, kind(code="c", message="m")) == (
        None if expected is None else DeliveryUpdate(**(COMMON | expected))
    )


def test_a_failed_first_attempt_waits_the_first_delay() -> None:
    update = update_after(FRESH, Retry())
    assert (update.state, update.attempts, update.due_at) == ("pending", 1, NOW + 5 * SECOND)
    assert (update.failing_for, update.delivered_version) == (0, 0)


@pytest.mark.parametrize(
    ("known", "received", "kept"), [(None, "new", "new"), ("old", "new", "new"), ("old", None, "old")]
)
def test_the_remote_id_is_kept(known: str | None, received: str | None, kept: str) -> None:
    due = msgspec.structs.replace(FRESH, remote_id=known)
    assert update_after(due, Delivered(remote_id=received)).remote_id == kept


def test_a_failure_keeps_the_delivered_version_and_the_remote_id() -> None:
    for outcome in (Retry(), Rejected(), Unknown()):
        update = update_after(FAILING, outcome)
        assert (update.delivered_version, update.remote_id) == (4, "old")


# --- giving up ------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [Retry(), Unknown(), Split()], ids=lambda outcome: outcome.name)
def test_time_in_which_other_calls_were_delivered_is_added(outcome: Outcome) -> None:
    update = update_after(FAILING, outcome, delivered_at=NOW)
    assert (update.failing_for, update.state) == (9 + 60 * SECOND, "pending")


def test_an_outage_of_a_year_makes_no_delivery_dead() -> None:
    due = FRESH
    for hour in range(1, 366 * 24):
        now = Instant(NOW + hour * HOUR)
        update = update_after(due, Retry(), now=now, delivered_at=Instant(NOW - SECOND), jitter=1)
        assert update.state == "pending"
        due = msgspec.structs.replace(due, attempts=update.attempts, attempted_at=now)
    assert due.attempts == 366 * 24 - 1


def test_a_delivery_that_fails_alone_is_dead_after_give_up_after() -> None:
    due, states = FRESH, []
    for hour in range(74):
        now = Instant(NOW + hour * HOUR)
        update = update_after(due, Retry(code="500"), now=now, delivered_at=Instant(now - SECOND))
        states.append(update.state)
        due = msgspec.structs.replace(
            due, attempts=hour + 1, attempted_at=now, failing_for=update.failing_for
        )
    assert states == ["pending"] * 72 + ["dead"] * 2


def test_a_delivery_that_is_given_up_keeps_its_last_failure() -> None:
    due = msgspec.structs.replace(FAILING, failing_for=72 * HOUR)
    update = update_after(due, Retry(code="500", message="oops"))
    assert (update.state, update.outcome, update.code, update.message) == (
        "dead",
        "retry",
        "500",
        "oops",
    )
    assert update.due_at == NOW


@pytest.mark.parametrize(("failed_before", "state"), [(0, "dead"), (1, "pending")])
def test_the_failing_time_includes_the_last_wait(failed_before: int, state: str) -> None:
    due = msgspec.structs.replace(FAILING, failing_for=72 * HOUR - 60 * SECOND - failed_before)
    update = update_after(due, Retry(), delivered_at=NOW)
    assert (update.state, update.failing_for) == (state, 72 * HOUR - failed_before)


def test_a_late_success_is_delivered_and_not_given_up() -> None:
    due = msgspec.structs.replace(FAILING, failing_for=1_000 * HOUR)
    assert update_after(due, Delivered(), delivered_at=NOW).state == "delivered"


# --- the next attempt -----------------------------------------------------------------------------


def test_a_failed_delivery_waits_as_long_as_the_crm_asks() -> None:
    assert update_after(FRESH, Retry(after=7.5)).due_at == NOW + int(7.5 * SECOND)


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [
        (Retry(after=2), 2),
        (Retry(after=7.5), 7.5),
        (Retry(after=86_400), 3_600),
        (Throttled(after=40, rate_limit="search"), 40),
        (Throttled(rate_limit="search"), 10),
    ],
)
@pytest.mark.parametrize("jitter", [0, 1])
def test_the_wait_that_the_crm_asks_for_is_kept_apart_from_the_backoff(
    outcome: Outcome, seconds: float, jitter: float
) -> None:
    update = update_after(FRESH, outcome, jitter=jitter)
    assert update.not_before == NOW + int(seconds * SECOND)
    assert update.due_at >= update.not_before


@pytest.mark.parametrize("outcome", [Retry(), Retry(after=0), Split(), Unknown(), Rejected(), Delivered()])
def test_without_a_wait_that_the_crm_asks_for_there_is_only_the_backoff(outcome: Outcome) -> None:
    assert update_after(FAILING, outcome).not_before is None


def test_jitter_lengthens_the_wait() -> None:
    assert update_after(FRESH, Retry(), jitter=1).due_at == NOW + 6 * SECOND


@pytest.mark.parametrize(("after", "seconds"), [(7, 7), (None, 10), (0, 10), (86_400, 3_600)])
def test_a_rate_limit_that_only_some_calls_need_delays_them_and_costs_no_attempt(
    after: float | None, seconds: int
) -> None:
    update = update_after(FAILING, Throttled(code="429", after=after, rate_limit="search"))
    assert (update.state, update.attempts, update.failing_for) == ("pending", 2, 9)
    assert update.due_at == update.not_before == NOW + seconds * SECOND


def test_jitter_lengthens_the_wait_after_a_rate_limit_and_not_what_the_crm_asks_for() -> None:
    update = update_after(FAILING, Throttled(after=10, rate_limit="search"), jitter=1)
    assert (update.due_at, update.not_before) == (NOW + 12 * SECOND, NOW + 10 * SECOND)


# --- the rendering of the record --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("delivered_version", "rewrite", "action", "outcome", "rendering"),
    [
        (0, False, Action.UPSERT, Delivered(), "new"),
        (4, False, Action.UPSERT, Delivered(), "old"),
        (4, True, Action.UPSERT, Delivered(), "new"),
        (4, False, Action.VERIFY, Delivered(), "new"),
        (4, True, Action.VERIFY, Found(), "old"),
        (0, True, Action.UPSERT, Retry(), "old"),
    ],
)
def test_only_a_whole_record_has_the_rendering_of_the_settings(
    delivered_version: int, rewrite: bool, action: Action, outcome: Outcome, rendering: str
) -> None:
    due = due_delivery(delivered_version=delivered_version, rewrite=rewrite, rendering="old")
    planned = PlannedDelivery(due, action, partial=False)
    update = after_push(planned, outcome, POLICY, now=NOW, delivered_at=None, jitter=0, rendering="new")
    assert update is not None
    assert (update.rendering, update.rewrite) == (rendering, rewrite)


# --- what the CRM may have beyond the ledger ---------------------------------------------------------


@pytest.mark.parametrize(
    ("delivered_version", "planned_partial", "action", "outcome", "partial"),
    [
        (0, False, Action.UPSERT, Delivered(existed=True), True),
        (0, True, Action.UPSERT, Delivered(existed=True), True),
        (0, True, Action.UPSERT, Delivered(existed=False), False),
        (0, True, Action.VERIFY, Found(), False),
        (4, True, Action.UPSERT, Delivered(existed=False), True),
        (4, True, Action.VERIFY, Found(), True),
        (4, False, Action.UPSERT, Delivered(existed=True), False),
        (4, True, Action.RETRACT, Delivered(existed=True), False),
        (0, True, Action.RETRACT, Delivered(existed=True), False),
    ],
)
def test_the_first_delivery_shows_whether_the_crm_may_have_more(
    delivered_version: int, planned_partial: bool, action: Action, outcome: Outcome, *, partial: bool
) -> None:
    due = due_delivery(delivered_version=delivered_version, partial=True)
    planned = PlannedDelivery(due, action, planned_partial)
    update = after_push(planned, outcome, POLICY, now=NOW, delivered_at=None, jitter=0)
    assert update is not None
    assert update.partial is partial


def test_a_failure_changes_nothing_about_what_the_crm_may_have() -> None:
    due = msgspec.structs.replace(FAILING, partial=True, rewrite=True, rendering="old")
    for outcome in (Retry(), Rejected(), Throttled(rate_limit="search")):
        update = update_after(due, outcome)
        assert (update.partial, update.rewrite, update.rendering) == (True, True, "old")


# --- retractions, probes, deliveries without a request ---------------------------------------------


@pytest.mark.parametrize(
    ("action", "outcome", "version"),
    [
        (Action.RESTORE, Found(), 4),
        (Action.RESTORE, Delivered(), 7),
        (Action.VERIFY, Found(), 7),
        (Action.UPSERT, Delivered(), 7),
    ],
)
def test_a_record_that_is_never_updated_keeps_its_version_if_the_crm_still_has_it(
    action: Action, outcome: Outcome, version: int
) -> None:
    assert update_after(FAILING, outcome, action=action).delivered_version == version


def test_after_a_retraction_no_version_is_delivered() -> None:
    update = update_after(FAILING, Delivered(), action=Action.RETRACT)
    assert (update.state, update.delivered_version, update.attempts) == ("retracted", 0, 3)


def test_a_failed_probe_costs_no_attempt() -> None:
    update = after_failed_probe(FAILING, Retry(code="c", message="m"), POLICY, now=NOW)
    assert (update.state, update.attempts, update.attempted_at, update.due_at) == ("pending", 2, NOW, NOW)
    assert (update.outcome, update.code, update.message) == (None, "c", "m")


@pytest.mark.parametrize("known", [None, "retry", "unknown"])
def test_a_failed_probe_keeps_the_outcome_of_the_last_attempt(known: str | None) -> None:
    due = msgspec.structs.replace(FAILING, outcome=known, partial=True)
    update = after_failed_probe(due, Misconfigured(), POLICY, now=NOW)
    assert (update.outcome, update.not_before, update.partial) == (known, None, True)


def test_a_failed_probe_waits_as_long_as_the_crm_asks() -> None:
    update = after_failed_probe(FAILING, Retry(after=120), POLICY, now=NOW)
    assert update.not_before == update.due_at == NOW + 120 * SECOND
    assert update.attempts == FAILING.attempts


def test_a_probe_without_an_answer_is_remembered() -> None:
    assert after_failed_probe(FRESH, Unknown(code="timeout"), POLICY, now=NOW).outcome == "unknown"


@pytest.mark.parametrize(("action", "state"), [(Action.FILTER, "filtered"), (Action.SKIP, "retracted")])
def test_a_delivery_without_a_request_is_updated(action: Action, state: str) -> None:
    failed = msgspec.structs.replace(FAILING, outcome="retry", rewrite=True, rendering="old", partial=True)
    assert without_request(PlannedDelivery(failed, action, partial=False), now=NOW) == DeliveryUpdate(
        call="cloudtalk-1",
        version=7,
        state=DeliveryState(state),
        delivered_version=4,
        due_at=NOW,
        attempts=2,
        attempted_at=Instant(NOW - 60 * SECOND),
        failing_for=Duration(9),
        remote_id="old",
        outcome=None,
        code=None,
        message=None,
        rewrite=True,
        rendering="old",
        partial=True,
    )
