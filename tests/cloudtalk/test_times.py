"""Times and durations in all forms of real deliveries."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cloudtalk.errors import InvalidValue
from relay.cloudtalk.times import LONGEST_CALL_SECONDS, correct_durations, parse_instant, parse_seconds
from relay.instants import SECOND

MADRID = ZoneInfo("Europe/Madrid")
HALF_PAST_TEN = 1_732_789_800_000_000  # 2024-11-28T10:30:00Z


@pytest.mark.parametrize(
    "value",
    [
        "2024-11-28T10:30:00Z",
        "2024-11-28T10:30:00.000Z",
        "2024-11-28T11:30:00+01:00",
        "2024-11-28T11:30:00+0100",
        "2024-11-28 11:30:00",
        "1732789800",
        1732789800,
        1732789800.0,
        "1732789800000",
        1732789800000,
    ],
)
def test_each_form_of_a_time_gives_the_same_instant(value: Any) -> None:
    assert parse_instant(value, MADRID) == HALF_PAST_TEN


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "2024-13-01",
        True,
        [],
        "9" * 30,
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59-01:00",
        "0001-01-01",
    ],
)
def test_a_value_that_is_no_time_is_invalid(value: Any) -> None:
    with pytest.raises(InvalidValue):
        parse_instant(value, MADRID)


@pytest.mark.parametrize("value", ["0000-00-00 00:00:00", "0000-00-00", 0, "0"])
def test_zero_counts_as_missing(value: Any) -> None:
    assert parse_instant(value, MADRID) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (21, 21),
        ("21", 21),
        ("2:05", 125),
        ("1:02:03", 3723),
        (61.9, 61),
        (0, 0),
        (-1, None),
        (10**9, None),
        ("inf", None),
        ("1:inf", None),
    ],
)
def test_durations_become_whole_seconds(value: Any, expected: int | None) -> None:
    assert parse_seconds(value) == expected


@pytest.mark.parametrize("value", ["abc", True, {}, "1:x"])
def test_a_value_that_is_no_duration_is_invalid(value: Any) -> None:
    with pytest.raises(InvalidValue):
        parse_seconds(value)


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(9000, 1, 1)),  # noqa: DTZ001 - the offset comes next
    st.integers(-14 * 60, 14 * 60),
)
def test_an_instant_is_the_same_in_every_offset(naive: datetime, minutes: int) -> None:
    moment = naive.replace(tzinfo=UTC)
    elsewhere = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert parse_instant(elsewhere.isoformat(), MADRID) == parse_instant(moment.isoformat(), MADRID)
    assert parse_instant(naive.isoformat(), UTC) == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )


@given(st.integers(0, LONGEST_CALL_SECONDS))
def test_a_duration_in_clock_form_is_the_same(seconds: int) -> None:
    clock = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    assert parse_seconds(clock) == parse_seconds(str(seconds)) == parse_seconds(float(seconds)) == seconds


# --- corrections --------------------------------------------------------------------------------


def corrected(seconds: int | None, **durations: int) -> dict[str, Any]:
    """The corrected durations of a call of this length, or without times if it is None."""
    times = (
        {} if seconds is None else {"started_at": HALF_PAST_TEN, "ended_at": HALF_PAST_TEN + seconds * SECOND}
    )
    facts: dict[str, Any] = times | durations
    correct_durations(facts)
    return {fact: value for fact, value in facts.items() if fact in durations}


@pytest.mark.parametrize(
    ("seconds", "talking", "expected"),
    [
        (75, 75_000, 75),
        (75, 62_000, 62),
        (75, 75, 75),
        (75, 999, 999),
        (0, 1_500, 1),
        (3_600, 3_600_000, 3_600),
        (3_600, 3_700, 3_700),
        (75, 75_000_000, None),
        (None, 75_000, 75_000),
        (None, 86_401, None),
        (-10, 75_000, 75_000),
    ],
)
def test_milliseconds_are_recognised_by_the_start_and_the_end(
    seconds: int | None, talking: int, expected: int | None
) -> None:
    assert corrected(seconds, talking=talking) == ({} if expected is None else {"talking": expected})


def test_a_wrap_up_may_be_longer_than_its_call() -> None:
    assert corrected(5, wrapup=1_200) == {"wrapup": 1_200}


@given(st.integers(0, LONGEST_CALL_SECONDS), st.integers(0, LONGEST_CALL_SECONDS))
def test_seconds_that_fit_the_call_are_never_changed(seconds: int, maximum: int) -> None:
    talking = min(seconds, maximum)
    assert corrected(seconds, talking=talking, waiting=seconds - talking) == {
        "talking": talking,
        "waiting": seconds - talking,
    }
