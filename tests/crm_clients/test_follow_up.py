"""When a missed call needs a task, and when the task is due."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from crm_clients.follow_up import FollowUpRules
from relay.standards.office_hours import OfficeHours
from tests.support.hubspot import missed_call

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
RULES = FollowUpRules(window=timedelta(days=7), now=lambda: NOW)


@pytest.mark.parametrize(
    ("started_at", "needs_task"),
    [
        ("2026-11-24T09:42:11Z", True),
        ("2026-11-17T12:00:00Z", True),
        ("2026-11-17T11:59:59Z", False),
        ("2019-01-01T00:00:00Z", False),
        (None, True),
    ],
)
def test_a_missed_call_that_is_older_than_the_window_needs_no_task(
    started_at: str | None, *, needs_task: bool
) -> None:
    call = missed_call(started_at=started_at, ended_at=started_at)
    assert RULES.needs_task(call) is needs_task
    assert FollowUpRules().needs_task(call)


def test_a_call_without_a_follow_up_needs_no_task() -> None:
    assert not RULES.needs_task(missed_call(follow_up=False))
    assert not FollowUpRules().needs_task(missed_call(follow_up=False))


def test_a_call_without_times_was_missed_now() -> None:
    assert RULES.missed_at(missed_call(started_at=None, ended_at=None)) == NOW


def test_the_time_to_call_back_begins_with_the_office_hours() -> None:
    madrid = ZoneInfo("Europe/Madrid")
    rules = FollowUpRules(hours=OfficeHours(madrid, ((540, 1080),)), within=timedelta(minutes=30))
    assert rules.due_at(NOW) == NOW + timedelta(minutes=30)
    friday_evening = datetime(2026, 11, 20, 20, tzinfo=madrid)
    assert rules.due_at(friday_evening) == datetime(2026, 11, 23, 9, 30, tzinfo=madrid)
