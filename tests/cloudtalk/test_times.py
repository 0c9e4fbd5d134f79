"""Instants and durations, in every spelling that was seen."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cloudtalk.times import LONGEST_CALL, duration, instant, settle
from relay.cloudtalk.values import InvalidValue
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
def test_times_of_every_form_are_one_instant(value: Any) -> None:
    assert instant(value, MADRID) == HALF_PAST_TEN


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
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(InvalidValue):
        instant(value, MADRID)


@pytest.mark.parametrize("value", ["0000-00-00 00:00:00", "0000-00-00", 0, "0"])
def test_a_zero_says_nothing(value: Any) -> None:
    assert instant(value, MADRID) is None


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
def test_durations_are_whole_seconds(value: Any, expected: int | None) -> None:
    assert duration(value) == expected


@pytest.mark.parametrize("value", ["abc", True, {}, "1:x"])
def test_what_is_no_duration_is_refused(value: Any) -> None:
    with pytest.raises(InvalidValue):
        duration(value)


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(9000, 1, 1)),  # noqa: DTZ001 - the offset comes next
    st.integers(-14 * 60, 14 * 60),
)
def test_a_moment_is_the_same_in_every_offset(naive: datetime, minutes: int) -> None:
    moment = naive.replace(tzinfo=UTC)
    elsewhere = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert instant(elsewhere.isoformat(), MADRID) == instant(moment.isoformat(), MADRID)
    assert instant(naive.isoformat(), UTC) == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )


@given(st.integers(0, LONGEST_CALL))
def test_a_duration_is_the_same_on_a_clock(seconds: int) -> None:
    clock = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    assert duration(clock) == duration(str(seconds)) == duration(float(seconds)) == seconds


# --- settling ---------------------------------------------------------------------------------


def settled(seconds: int | None, **measures: int) -> dict[str, Any]:
    """The measures of a call that took so long, or of which no times are known."""
    times = (
        {} if seconds is None else {"started_at": HALF_PAST_TEN, "ended_at": HALF_PAST_TEN + seconds * SECOND}
    )
    facts: dict[str, Any] = times | measures
    settle(facts)
    return {fact: value for fact, value in facts.items() if fact in measures}


@pytest.mark.parametrize(
    ("seconds", "said", "meant"),
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
def test_milliseconds_are_told_by_the_start_and_the_end(
    seconds: int | None, said: int, meant: int | None
) -> None:
    assert settled(seconds, talking=said) == ({} if meant is None else {"talking": meant})


def test_a_wrap_up_may_be_longer_than_its_call() -> None:
    assert settled(5, wrapup=1_200) == {"wrapup": 1_200}


@given(st.integers(0, LONGEST_CALL), st.integers(0, LONGEST_CALL))
def test_seconds_that_fit_the_call_are_never_changed(seconds: int, said: int) -> None:
    talking = min(seconds, said)
    assert settled(seconds, talking=talking, waiting=seconds - talking) == {
        "talking": talking,
        "waiting": seconds - talking,
    }
