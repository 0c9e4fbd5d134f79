"""Office hours: over nights, weekends, holidays and changes of the clock."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.standards.office_hours import OfficeHours

MADRID = ZoneInfo("Europe/Madrid")
SPLIT = OfficeHours(
    MADRID,
    ((9 * 60, 14 * 60), (16 * 60, 19 * 60)),
    holidays=frozenset({date(2026, 12, 8), date(2026, 12, 25)}),
)
NIGHT = OfficeHours(MADRID, ((0, 24 * 60),), frozenset(range(7)))
"""A team that always works, but says so in hours."""


def madrid(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=MADRID)


def minutes(of: int) -> timedelta:
    return timedelta(minutes=of)


@pytest.mark.parametrize(
    ("instant", "opening"),
    [
        ("2026-12-02 10:00", "2026-12-02 10:00"),  # open
        ("2026-12-02 08:00", "2026-12-02 09:00"),
        ("2026-12-02 14:00", "2026-12-02 16:00"),  # the end is no working time
        ("2026-12-02 15:00", "2026-12-02 16:00"),
        ("2026-12-02 22:00", "2026-12-03 09:00"),
        ("2026-12-04 19:00", "2026-12-07 09:00"),  # Friday evening
        ("2026-12-07 19:30", "2026-12-09 09:00"),  # the day before a holiday
        ("2026-12-25 10:00", "2026-12-28 09:00"),  # a holiday before a weekend
        ("2026-03-28 12:00", "2026-03-30 09:00"),  # the clock changes on Sunday
        ("2026-10-24 12:00", "2026-10-26 09:00"),
    ],
)
def test_the_next_opening_skips_nights_weekends_and_holidays(instant: str, opening: str) -> None:
    assert SPLIT.next_open(madrid(instant)) == madrid(opening)


@pytest.mark.parametrize(
    ("instant", "added", "result"),
    [
        ("2026-12-02 10:00", 60, "2026-12-02 11:00"),
        ("2026-12-02 13:30", 60, "2026-12-02 16:30"),  # over lunch
        ("2026-12-02 13:00", 60, "2026-12-02 16:00"),  # due when people work
        ("2026-12-02 22:00", 60, "2026-12-03 10:00"),
        ("2026-12-04 18:30", 8 * 60, "2026-12-07 18:30"),
    ],
)
def test_working_time_is_added_within_the_hours(instant: str, added: int, result: str) -> None:
    assert SPLIT.add(madrid(instant), minutes(added)) == madrid(result)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-12-02 10:00", "2026-12-02 10:14", 14),
        ("2026-12-02 13:50", "2026-12-02 16:05", 15),
        ("2026-12-02 22:00", "2026-12-03 09:10", 10),
        ("2026-12-04 18:00", "2026-12-09 09:30", 60 + 8 * 60 + 30),
        ("2026-12-05 10:00", "2026-12-06 12:00", 0),
        ("2026-12-02 11:00", "2026-12-02 10:00", 0),
        ("2026-12-02 10:00", "2026-12-02 10:00", 0),
    ],
)
def test_only_time_within_the_hours_counts(start: str, end: str, expected: int) -> None:
    assert SPLIT.between(madrid(start), madrid(end)) == minutes(expected)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_on_which_the_clock_changes_has_another_length(day: str, hours: int) -> None:
    begin = madrid(f"{day} 00:00")
    end = madrid(f"{date.fromisoformat(day) + timedelta(days=1)} 00:00")
    assert NIGHT.between(begin, end) == timedelta(hours=hours)


SHIFT = OfficeHours(MADRID, ((22 * 60, 30 * 60),), holidays=frozenset({date(2026, 12, 8)}))
"""From 22:00 to 06:00, in the nights that begin on a working day."""


@pytest.mark.parametrize(
    ("instant", "opening"),
    [
        ("2026-12-02 23:00", "2026-12-02 23:00"),
        ("2026-12-03 05:59", "2026-12-03 05:59"),
        ("2026-12-03 06:00", "2026-12-03 22:00"),
        ("2026-12-05 03:00", "2026-12-05 03:00"),  # Saturday, in the shift of Friday
        ("2026-12-05 23:00", "2026-12-07 22:00"),
        ("2026-12-07 03:00", "2026-12-07 22:00"),  # Monday, in no shift of Sunday
        ("2026-12-08 03:00", "2026-12-08 03:00"),  # the shift began before the holiday
        ("2026-12-08 23:00", "2026-12-09 22:00"),
    ],
)
def test_a_night_shift_belongs_to_the_day_on_which_it_begins(instant: str, opening: str) -> None:
    assert SHIFT.next_open(madrid(instant)) == madrid(opening)


@pytest.mark.parametrize(("night", "hours"), [("2026-03-28", 7), ("2026-10-24", 9), ("2026-06-01", 8)])
def test_a_night_shift_over_a_change_of_the_clock(night: str, hours: int) -> None:
    every_night = OfficeHours(MADRID, ((22 * 60, 30 * 60),), frozenset(range(7)))
    begin = madrid(f"{night} 12:00")
    assert every_night.between(begin, begin + timedelta(days=1)) == timedelta(hours=hours)


def test_without_hours_the_team_always_works() -> None:
    always = OfficeHours(MADRID)
    instant = datetime(2026, 12, 6, 3, tzinfo=UTC)
    assert always.next_open(instant) == instant
    assert always.add(instant, minutes(60)) == instant + minutes(60)
    assert always.between(instant, instant + minutes(14)) == minutes(14)
    assert always.between(instant, instant - minutes(14)) == minutes(0)


instants = st.datetimes(datetime(2026, 3, 1), datetime(2026, 11, 30), timezones=st.just(UTC))  # noqa: DTZ001
spans = st.timedeltas(minutes(0), timedelta(days=4))


@given(st.sampled_from([SPLIT, NIGHT, SHIFT]), instants, spans)
def test_the_working_time_until_a_due_time_is_what_was_added(
    hours: OfficeHours, instant: datetime, added: timedelta
) -> None:
    due = hours.add(instant, added)
    assert hours.between(instant, due) == added
    assert hours.next_open(due) == due


@given(st.sampled_from([SPLIT, NIGHT, SHIFT]), instants, spans, spans)
def test_working_times_of_adjacent_waits_add_up(
    hours: OfficeHours, instant: datetime, first: timedelta, second: timedelta
) -> None:
    middle, end = instant + first, instant + first + second
    assert hours.between(instant, middle) + hours.between(middle, end) == hours.between(instant, end)
