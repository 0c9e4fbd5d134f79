"""Whether to send a message about a condition. Pure.

A message says that a condition is bad, and another one that it is good again. Each is sent at most once an
hour for each kind and subject. A condition that stays bad is repeated once a day. A report is sent once, good
or bad.
"""

from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from relay.alerts.conditions import Condition
from relay.instants import Instant, duration

_HOUR: Final = duration(3_600)
_DAY: Final = duration(86_400)


class Signal(StrEnum):
    """What a message says."""

    FIRING = "firing"
    RESOLVED = "resolved"


class State(msgspec.Struct, frozen=True):
    """What was sent about a condition.

    `is_alerted`: the last message said that it is bad. `bad_since`: of the present bad time. `count`: that of
    the last message.
    """

    is_alerted: bool = False
    bad_since: Instant | None = None
    fired_at: Instant | None = None
    resolved_at: Instant | None = None
    count: int = 0


class Decision(NamedTuple):
    """`signal`: the message to send, if any. `state`: the state after it was sent."""

    state: State
    signal: Signal | None = None


def decide(condition: Condition, state: State, now: Instant) -> Decision:
    """Decide what to send."""
    if condition.report is not None:
        return _decide_report(condition.report, state, now, is_bad=condition.is_bad)
    if condition.count is not None:
        return _decide_by_count(condition.count, state, now)
    if condition.is_bad:
        return _decide_bad(condition, state, now)
    healed = msgspec.structs.replace(state, bad_since=None)
    if not state.is_alerted or _is_recent(state.resolved_at, now):
        return Decision(healed)
    return Decision(msgspec.structs.replace(healed, is_alerted=False, resolved_at=now), Signal.RESOLVED)


def _decide_bad(condition: Condition, state: State, now: Instant) -> Decision:
    # A clock that was set back begins the time again.
    since = now if state.bad_since is None else min(state.bad_since, now)
    state = msgspec.structs.replace(state, bad_since=since)
    if state.is_alerted:
        is_due = not _is_recent(state.fired_at, now, _DAY)
    else:
        is_due = now - since >= condition.patience and not _is_recent(state.fired_at, now)
    if not is_due:
        return Decision(state)
    return Decision(msgspec.structs.replace(state, is_alerted=True, fired_at=now), Signal.FIRING)


def _decide_report(number: int, state: State, now: Instant, *, is_bad: bool) -> Decision:
    """Send each report once. After a restore of the ledger the numbers begin again."""
    if number == state.count:
        return Decision(state)
    signal = Signal.FIRING if is_bad else Signal.RESOLVED
    return Decision(msgspec.structs.replace(state, count=number, is_alerted=is_bad, fired_at=now), signal)


def _decide_by_count(count: int, state: State, now: Instant) -> Decision:
    if count <= state.count:
        return Decision(msgspec.structs.replace(state, count=count))
    if _is_recent(state.fired_at, now):
        return Decision(state)
    return Decision(msgspec.structs.replace(state, count=count, fired_at=now), Signal.FIRING)


def _is_recent(sent_at: Instant | None, now: Instant, length: int = _HOUR) -> bool:
    """A time in the future is one before the clock was set back."""
    return sent_at is not None and 0 <= now - sent_at < length
