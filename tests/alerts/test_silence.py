"""Whether a silence is unusual."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.alerts.silence import Window, is_unusual, past_windows
from relay.instants import SECOND, Instant

MADRID = ZoneInfo("Europe/Madrid")


def at(text: str) -> Instant:
    return Instant(round(datetime.fromisoformat(text).replace(tzinfo=MADRID).timestamp() * SECOND))


def shown(window: Window) -> tuple[str, str]:
    start, end = (datetime.fromtimestamp(each / SECOND, MADRID) for each in window)
    return f"{start:%a %d %H:%M}", f"{end:%a %d %H:%M}"


def test_the_same_hours_of_the_past_four_weeks_are_compared() -> None:
    windows = past_windows(at("2026-03-27 09:30"), at("2026-03-27 11:00"), MADRID)
    assert list(map(shown, windows)) == [
        ("Fri 20 09:30", "Fri 20 11:00"),
        ("Fri 13 09:30", "Fri 13 11:00"),
        ("Fri 06 09:30", "Fri 06 11:00"),
        ("Fri 27 09:30", "Fri 27 11:00"),
    ]


def test_after_a_change_to_summer_time_the_hours_on_the_wall_are_the_same() -> None:
    (week_before, *_) = past_windows(at("2026-03-30 09:30"), at("2026-03-30 11:00"), MADRID)
    assert shown(week_before) == ("Mon 23 09:30", "Mon 23 11:00")


def test_a_short_silence_is_not_unusual() -> None:
    assert past_windows(at("2026-03-27 09:30"), at("2026-03-27 09:49"), MADRID) == []
    assert len(past_windows(at("2026-03-27 09:30"), at("2026-03-27 09:50"), MADRID)) == 4


def test_a_silence_of_weeks_is_compared_with_its_last_days() -> None:
    (week_before, *_) = past_windows(at("2026-01-01 09:30"), at("2026-03-27 11:00"), MADRID)
    assert shown(week_before) == ("Sat 14 11:00", "Fri 20 11:00")


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([6, 6, 6, 6], True),
        ([30, 0, 25, 40], True),  # one week was a holiday
        ([0, 0, 0, 0], False),  # a night
        ([5, 5, 5, 5], False),
        ([0, 0, 40, 40], True),
        ([0, 0, 0, 40], False),
    ],
)
def test_a_silence_is_unusual_if_calls_are_usual_then(calls: list[int], expected: bool) -> None:
    windows = past_windows(at("2026-03-27 09:30"), at("2026-03-27 11:00"), MADRID)
    assert is_unusual(calls, at("2025-01-01 00:00"), windows) is expected


@pytest.mark.parametrize(
    ("first_call", "expected"),
    [("2026-03-13 09:00", True), ("2026-03-13 10:00", False), ("2026-03-20 09:00", False)],
)
def test_weeks_before_the_first_call_say_nothing(first_call: str, expected: bool) -> None:
    windows = past_windows(at("2026-03-27 09:30"), at("2026-03-27 11:00"), MADRID)
    assert is_unusual([20, 20, 0, 0], at(first_call), windows) is expected
    assert not is_unusual([20, 20, 0, 0], None, windows)


@given(st.integers(0, 4 * 10**9), st.integers(0, 10**8))
def test_each_window_ends_before_the_silence_begins_again(last: int, silent: int) -> None:
    now = Instant((last + silent) * SECOND)
    for window in past_windows(Instant(last * SECOND), now, MADRID):
        assert window.start < window.end <= now - 6 * 86_400 * SECOND
