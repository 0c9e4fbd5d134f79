"""Whether a message is sent about a condition."""

from relay.alerts.conditions import Condition, Kind
from relay.alerts.decisions import Signal, State, decide
from relay.instants import SECOND, Duration, Instant
from relay.operations.languages import Text

T0 = 1_790_000_000 * SECOND
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def condition(is_bad: bool, *, patience: int = 0, count: int | None = None) -> Condition:
    return Condition(Kind.DISK, "host", is_bad, Text("", ""), Duration(patience), count)


def follow(*steps: tuple[int, Condition], state: State | None = None) -> list[Signal | None]:
    """Decide at each time after T0, each message being sent."""
    signals = []
    current = state or State()
    for after, each in steps:
        current, signal = decide(each, current, Instant(T0 + after))
        signals.append(signal)
    return signals


BAD, GOOD = condition(True), condition(False)
FIRING, RESOLVED = Signal.FIRING, Signal.RESOLVED


def test_a_bad_condition_is_sent_once_and_its_end_too() -> None:
    steps = [(0, GOOD), (1, BAD), (2, BAD), (3, GOOD), (4, GOOD)]
    assert follow(*steps) == [None, FIRING, None, RESOLVED, None]


def test_each_message_is_sent_at_most_once_an_hour() -> None:
    steps = [
        *((0, BAD), (MINUTE, GOOD), (2 * MINUTE, BAD), (3 * MINUTE, GOOD), (59 * MINUTE, BAD)),
        *((HOUR, BAD), (HOUR + 1, GOOD), (HOUR + MINUTE, GOOD)),
    ]
    assert follow(*steps) == [FIRING, RESOLVED, None, None, None, FIRING, None, RESOLVED]


def test_a_condition_that_stays_bad_is_repeated_once_a_day() -> None:
    times = (0, HOUR, 23 * HOUR, 24 * HOUR, 25 * HOUR, 48 * HOUR)
    assert follow(*((at, BAD) for at in times)) == [FIRING, None, None, FIRING, None, FIRING]


def test_a_brief_condition_is_not_sent() -> None:
    brief = condition(True, patience=30 * SECOND)
    assert follow((0, brief), (29 * SECOND, brief), (30 * SECOND, GOOD)) == [None, None, None]
    steps = [
        (0, brief),
        (29 * SECOND, GOOD),
        (30 * SECOND, brief),
        (59 * SECOND, brief),
        (60 * SECOND, brief),
    ]
    assert follow(*steps) == [None, None, None, None, FIRING]


def test_a_state_of_an_earlier_process_counts() -> None:
    sent = State(is_alerted=True, bad_since=Instant(T0 - HOUR), fired_at=Instant(T0 - HOUR))
    assert follow((0, BAD), state=sent) == [None]
    assert follow((0, GOOD), state=sent) == [RESOLVED]


def test_each_further_dead_letter_is_sent_in_sum_within_an_hour() -> None:
    def dead(count: int) -> Condition:
        return condition(count > 0, count=count)

    steps = [
        *((0, dead(0)), (1, dead(2)), (2, dead(2)), (MINUTE, dead(5)), (HOUR, dead(7)), (HOUR + 1, dead(7))),
        *((2 * HOUR, dead(7)), (3 * HOUR, dead(1)), (4 * HOUR, dead(2))),
    ]
    assert follow(*steps) == [None, FIRING, None, None, None, FIRING, None, None, FIRING]


def test_a_clock_that_was_set_back_delays_no_message() -> None:
    future = State(fired_at=Instant(T0 + 1000 * HOUR), bad_since=Instant(T0 + 1000 * HOUR))
    assert follow((0, BAD), state=future) == [FIRING]


def test_each_report_is_sent_once_good_or_bad() -> None:
    reports = [(1, True), (1, True), (2, True), (3, False), (3, False), (1, False)]
    steps = [
        (at, Condition(Kind.AUDIT, "audit", is_bad, Text("", ""), report=number))
        for at, (number, is_bad) in enumerate(reports)
    ]
    # After a restore of the ledger the numbers begin again.
    assert follow(*steps) == [FIRING, None, FIRING, RESOLVED, None, RESOLVED]
