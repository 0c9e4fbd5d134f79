"""What the settings say about follow-up tasks, for every client that has tasks."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from relay.call import Call
from relay.standards.office_hours import ALWAYS_OPEN, OfficeHours


def _now() -> datetime:
    return datetime.now(UTC)


class FollowUpRules(msgspec.Struct, frozen=True):
    """When a missed call needs a task, and when the task is due.

    `within`: the working time that people have to call back. `window`: missed calls that are older get no
    task any more; None: every missed call gets one. `now`: the clock.
    """

    hours: OfficeHours = ALWAYS_OPEN
    within: timedelta = timedelta(hours=1)
    window: timedelta | None = None
    now: Callable[[], datetime] = _now

    def needs_task(self, call: Call) -> bool:
        """Whether people should still call back: the call needs a follow-up and is not older than the window.

        An import of the history must not create tasks for calls of last year. A call without a time is new.
        """
        if not call.follow_up:
            return False
        began_at = call_time(call)
        return self.window is None or began_at is None or began_at >= self.now() - self.window

    def missed_at(self, call: Call) -> datetime:
        """When the call was missed; now if the call has no time."""
        return call_time(call) or self.now()

    def due_at(self, missed_at: datetime) -> datetime:
        """When people should have called back. Outside office hours the time begins at the next opening."""
        return self.hours.add(missed_at, self.within)


def call_time(call: Call) -> datetime | None:
    """Return the start of the call, else the earliest of its other times; None if it has none."""
    if call.started_at:
        return datetime.fromisoformat(call.started_at)
    others = [datetime.fromisoformat(time) for time in (call.answered_at, call.ended_at) if time]
    return min(others, default=None)
