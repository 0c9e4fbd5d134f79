"""How a range of time is divided, and how its pages are gone through."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.history.windows import Position, Range, Window, divide
from relay.instants import SECOND, Instant

HOUR = 3_600 * SECOND
DAY = 24 * HOUR
MIDNIGHT = 1_732_752_000 * SECOND  # 2024-11-28T00:00:00Z


def range_of(start: int, end: int) -> Range:
    return Range(Instant(start), Instant(end))


def test_a_day_is_asked_for_with_the_largest_offsets_of_time_zones() -> None:
    position = divide(range_of(MIDNIGHT, MIDNIGHT + DAY))
    (window,) = position.windows
    assert (window.date_from, window.date_to) == ("2024-11-27 12:00:00", "2024-11-29 14:00:00")
    assert (position.page, position.pages_left, position.is_done) == (1, 1, False)


def test_an_end_between_two_seconds_is_rounded_up() -> None:
    assert Window(MIDNIGHT, MIDNIGHT + 1).date_to == "2024-11-28 00:00:01"


def test_a_year_is_divided_into_months_that_overlap_by_an_hour_the_newest_first() -> None:
    windows = divide(range_of(MIDNIGHT - 365 * DAY, MIDNIGHT)).windows
    assert len(windows) == 12
    assert (windows[0].date_from, windows[0].date_to) == ("2024-10-28 14:00:00", "2024-11-28 14:00:00")
    assert (windows[1].date_from, windows[1].date_to) == ("2024-09-27 15:00:00", "2024-10-28 15:00:00")
    assert windows[-1].date_from == "2023-11-28 12:00:00"


@given(
    length=st.integers(0, 400 * DAY),
    offset=st.integers(-12 * 60, 14 * 60),
    at=st.floats(0, 1, exclude_max=True),
)
def test_each_call_of_a_range_is_in_a_window_in_whatever_zone_the_edges_are_read(
    length: int, offset: int, at: float
) -> None:
    wanted = range_of(MIDNIGHT, MIDNIGHT + length + 1)
    started_at = int(MIDNIGHT + length * at)
    written = started_at + offset * 60 * SECOND
    assert wanted.has(Instant(started_at))
    assert any(window.start <= written <= window.end for window in divide(wanted).windows)


CHANGES: Final = (
    ("Europe/Madrid", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Madrid", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
)
"""Zones, and when their clocks change: an hour is missing, or happens twice."""


READINGS: Final = ((0, 0), (1, 1), (0, 1), (1, 0), None)
"""Which of both readings of an hour that happens twice, or is missing, CloudTalk may choose for `date_from`
and `date_to`; None: it compares what clocks show.
"""


@pytest.mark.parametrize("readings", READINGS)
@pytest.mark.parametrize("change", CHANGES)
@given(call_at=st.integers(-90, 90), edge_at=st.integers(-90, 90))
def test_each_call_is_in_a_window_when_the_clocks_change(
    change: tuple[str, datetime], readings: tuple[int, int] | None, call_at: int, edge_at: int
) -> None:
    """The start, the end, or an inner edge of a range is near the change, in minutes, and so is the call."""
    zone, moment = ZoneInfo(change[0]), int(change[1].timestamp()) * SECOND
    started_at, near = (moment + minutes * 60 * SECOND for minutes in (call_at, edge_at))
    offset = datetime.fromtimestamp(near // SECOND, zone).utcoffset() or timedelta()
    shown = near + offset // timedelta(microseconds=1)  # by clocks
    inner = range_of(shown - 40 * DAY, shown + 31 * DAY - 14 * HOUR)
    assert divide(inner).windows[0].start == shown
    call = datetime.fromtimestamp(started_at // SECOND, UTC if readings else zone)
    call = call if readings else call.replace(tzinfo=None)

    def read(text: str, fold: int) -> datetime:
        naive = datetime.fromisoformat(text)
        return naive.replace(tzinfo=zone, fold=fold).astimezone(UTC) if readings else naive

    first, last = readings or (0, 0)
    for wanted in (inner, range_of(near, near + 40 * DAY), range_of(near - 40 * DAY, near)):
        windows = divide(wanted).windows
        assert not wanted.has(Instant(started_at)) or any(
            read(each.date_from, first) <= call <= read(each.date_to, last) for each in windows
        )


@pytest.mark.parametrize(
    ("started_at", "expected"),
    [
        (MIDNIGHT - 1, False),
        (MIDNIGHT, True),
        (MIDNIGHT + DAY - 1, True),
        (MIDNIGHT + DAY, False),
        (None, True),
    ],
)
def test_a_call_belongs_to_a_range_by_its_start(started_at: int | None, expected: bool) -> None:
    wanted = range_of(MIDNIGHT, MIDNIGHT + DAY)
    assert wanted.has(None if started_at is None else Instant(started_at)) is expected


def test_the_pages_of_a_window_are_read_one_after_the_other_and_then_the_next_window() -> None:
    first, second = Window(MIDNIGHT, MIDNIGHT + DAY), Window(MIDNIGHT - DAY, MIDNIGHT)
    position = Position([first, second])
    position = position.after(2_500, 3, is_last=False)
    assert (position.windows, position.page, position.pages_left) == ([first, second], 2, 3)
    position = position.after(2_500, 3, is_last=False)
    assert (position.page, position.pages_left) == (3, 2)
    position = position.after(2_500, 3, is_last=True)
    assert (position.windows, position.page, position.pages_left) == ([second], 1, 1)
    position = position.after(0, 0, is_last=True)
    assert (position.is_done, position.pages_left) == (True, 0)


@pytest.mark.parametrize("is_last", [True, False])
def test_a_window_whose_rows_moved_is_read_again_in_two_parts_the_newer_first(*, is_last: bool) -> None:
    position = Position([Window(MIDNIGHT, MIDNIGHT + DAY)], page=2, items=2_500, pages=3)
    assert position.after(2_501, 3, is_last=is_last) == Position(
        [Window(MIDNIGHT + 11 * HOUR, MIDNIGHT + DAY), Window(MIDNIGHT, MIDNIGHT + 12 * HOUR)]
    )


def test_a_short_window_is_read_to_its_end_however_its_rows_move() -> None:
    window = Window(MIDNIGHT, MIDNIGHT + 8 * HOUR - 1)
    position = Position([window], page=2, items=2_500, pages=3)
    assert position.after(2_501, 3, is_last=False) == Position([window], page=3, items=2_501, pages=3)
    assert position.after(2_501, 3, is_last=True).is_done


def test_a_window_that_states_no_number_of_rows_is_read_to_its_end() -> None:
    window = Window(MIDNIGHT, MIDNIGHT + DAY)
    position = Position([window]).after(None, None, is_last=False)
    assert position == Position([window], page=2)
    assert position.after(None, None, is_last=True).is_done
