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


def until(status: Status, *, passed: float, update: str = "complete", after: float = 60) -> float | None:
    """Return the seconds from the last change to the end of the wait."""
    settings = DestinationSettings.model_validate(
        {"client": "fake", "update": update, "complete_after_seconds": after}
    )
    due = due_delivery(call=msgspec.structs.replace(make_call(), status=status), changed_at=Instant(CHANGED))
    end = incomplete_until(due, settings, now=Instant(CHANGED + int(passed * SECOND)))
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


def test_a_change_from_before_the_clock_was_set_back_delays_nothing() -> None:
    assert until(Status.COMPLETED, passed=-61) is None
    # Clocks of processes differ a little.
    assert until(Status.COMPLETED, passed=-1) == 60
