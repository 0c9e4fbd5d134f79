"""When a call is complete: over, and unchanged for a time."""

import msgspec
import pytest

from crm_clients.settings import DestinationSettings
from relay.call import Status
from relay.delivery.completeness import incomplete_until
from relay.instants import SECOND, Instant
from tests.support.deliveries import due_delivery
from tests.support.samples import make_call

CHANGED = 1_800_000_000 * SECOND
HOUR = 3_600


def until(
    status: Status,
    *,
    passed: float,
    update: str = "complete",
    after: float = 60,
    has_waited: bool = False,
    unfolded: float | None = None,
) -> float | None:
    """Return the seconds from the last change to the end of the wait. `unfolded`: those from the last change
    to the arrival of the oldest event that is not folded.
    """
    settings = DestinationSettings.model_validate(
        {"client": "fake", "update": update, "complete_after_seconds": after}
    )
    due = due_delivery(
        call=msgspec.structs.replace(make_call(), status=status),
        changed_at=Instant(CHANGED),
        has_waited=has_waited,
    )
    since = None if unfolded is None else Instant(CHANGED + int(unfolded * SECOND))
    now = Instant(CHANGED + int(passed * SECOND))
    end = incomplete_until(due, settings, now=now, unfolded_since=since)
    return None if end is None else (end - CHANGED) / SECOND


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.MISSED, Status.VOICEMAIL, Status.NO_ANSWER])
def test_a_call_that_is_over_is_complete_after_the_seconds_of_the_settings(status: Status) -> None:
    assert until(status, passed=0) == 60
    assert until(status, passed=59.999) == 60
    assert until(status, passed=60) is None
    assert until(status, passed=5, after=7.5) == 7.5
    assert until(status, passed=0, after=0) is None


@pytest.mark.parametrize("status", [Status.IN_PROGRESS, Status.ANSWERED])
def test_a_call_without_its_end_is_complete_after_thirty_hours(status: Status) -> None:
    assert until(status, passed=60) == 30 * HOUR
    assert until(status, passed=30 * HOUR - 1) == 30 * HOUR
    assert until(status, passed=30 * HOUR) is None


def test_calls_need_not_be_complete_for_a_destination_that_is_always_updated() -> None:
    assert until(Status.IN_PROGRESS, passed=0, update="always") is None
    assert until(Status.IN_PROGRESS, passed=0, update="never") == 30 * HOUR


def test_a_call_that_changed_before_the_clock_was_set_back_waits_once_from_now() -> None:
    assert until(Status.COMPLETED, passed=-1_000) == -1_000 + 60
    assert until(Status.COMPLETED, passed=-940, has_waited=True) is None
    assert until(Status.COMPLETED, passed=-1_000, after=0) is None
    # All events seem to be older than the change: none of them may hold the call.
    assert until(Status.COMPLETED, passed=-940, has_waited=True, unfolded=-2_000) is None
    # Clocks of processes differ a little.
    assert until(Status.COMPLETED, passed=-1) == 60
    assert until(Status.COMPLETED, passed=-60, has_waited=True) == 60
    assert until(Status.COMPLETED, passed=-60.001, has_waited=True) is None


@pytest.mark.parametrize("update", ["complete", "never"])
@pytest.mark.parametrize("status", [Status.IN_PROGRESS, Status.ANSWERED])
def test_an_ongoing_call_is_not_complete_because_the_clock_was_set_back(status: Status, update: str) -> None:
    for passed in (-61, -2 * HOUR):
        for has_waited in (False, True):
            assert until(status, passed=passed, update=update, has_waited=has_waited) == 30 * HOUR


@pytest.mark.parametrize(
    ("status", "seconds"), [(Status.COMPLETED, 60), (Status.VOICEMAIL, 60), (Status.ANSWERED, 30 * HOUR)]
)
def test_a_call_waits_while_an_event_is_not_folded_that_arrived_before_it_was_complete(
    status: Status, seconds: int
) -> None:
    assert until(status, passed=seconds, unfolded=-500) == seconds + 5
    assert until(status, passed=seconds, unfolded=seconds) == seconds + 5
    assert until(status, passed=seconds + 70, unfolded=20) == seconds + 75, "again and again"
    # Events always arrive on a busy relay: the later ones delay nothing.
    assert until(status, passed=seconds, unfolded=seconds + 0.001) is None


def test_the_fold_delays_no_call_whose_quiet_time_is_not_over_or_that_is_always_updated() -> None:
    assert until(Status.COMPLETED, passed=59, unfolded=20) == 60
    assert until(Status.COMPLETED, passed=60, unfolded=20, update="always") is None
