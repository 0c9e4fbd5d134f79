"""Times and durations in all forms of real deliveries."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cloudtalk.errors import InvalidValue
from relay.cloudtalk.times import (
    LONGEST_CALL_SECONDS,
    choose_repeated_times,
    correct_durations,
    parse_instant,
    parse_seconds,
)
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
        "1.7327898e9",
        1732789800000000,
        "1732789800000000",
        1732789800000000000,
        "2024-11-28T10:30:00z",
        "2024-11-28t10:30:00,000Z",
        "2024-11-28 10:30:00 UTC",
        "2024-11-28 10:30 gmt",
        "2024-11-28 11:30:00 +0100",
        "2024-11-28T11:30:00[Europe/Madrid]",
        "2024-11-28T11:30:00+01:00[Europe/Madrid]",
        "2024-11-28T10:30:00Z[UTC]",
        "2024-11-28 05:30:00 America/New_York",
        "20241128T103000Z",
        "20241128113000",
        "2024/11/28 11:30:00",
        "Thu, 28 Nov 2024 10:30:00 GMT",
        "Thu, 28 Nov 2024 11:30:00 +0100",
        "28 Nov 2024 11:30",
        "Thu Nov 28 11:30:00 2024",
        "Thu Nov 28 2024 11:30:00 GMT+0100 (Central European Standard Time)",
        "Thu Nov 28 2024 11:30:00 GMT 0100 (Central European Standard Time)",
        "Thu Nov 28 10:30:00 UTC 2024",
        "Thu Nov 28 10:30:00 GMT 2024",
        "Thu Nov 28 10:30:00 Z 2024",
        "Thu Nov 28 05:30:00 EST 2024",
        "Thu Nov 28 02:30:00 pst 2024",
        "Thu Nov 28 11:30:00 +0100 2024",
        "Thu Nov 28 07:30:00 -03 2024",
        "Thu, 28 Nov 2024 05:30:00 EST",
        "Thu, 28 Nov 2024 13:30:00 UTC+3",
        "Thursday, 28-Nov-24 10:30:00 GMT",
        "Thursday, 28 November 2024 10:30:00 UT",
        "2024-11-28 05:30:00 EST",
        "2024-11-28 06:30:00 EDT",
        "2024-11-28 04:30:00 CST",
        "2024-11-28 05:30:00 CDT",
        "2024-11-28 03:30:00 MST",
        "2024-11-28 04:30:00 MDT",
        "2024-11-28 02:30:00 PST",
        "2024-11-28 03:30:00 PDT",
        "2024-11-28T10:30:00 UT",
        "2024-11-28 11:30:00 +01",
        "2024-11-28T11:30:00[CET]",
        "2024-11-28T10:30:00[utc]",
        "2024-11-28T11:30:00+01:00 (CET)",
        "1732789800000000000." + "0" * 20,
        "2024-11-28 10:30:00 Z",
        "2024-11-28T11:30:00+01:00[America/New_York]",
        "20241128113000[Europe/Madrid]",
        "2024-11-28T10:30:00.000000999Z",
    ],
)
def test_each_form_of_a_time_gives_the_same_instant(value: Any) -> None:
    assert parse_instant(value, MADRID) == HALF_PAST_TEN


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "2024-11-28T24:30:00Z",
        "2024-11-28T10:60:00Z",
        "2024-11-28T10:30:00[Nowhere/X]",
        "2024-11-28T10:30:00[../UTC]",
        "2024-11-28T10:30:00[America/Indiana]",
        "2024-11-28 10:30:00 America/Argentina",
        "28 Nov",
        "2024-13-01",
        True,
        [],
        "9" * 30,
        "9" * 5_000,
        "1" * 2_000_000,
        "1732789800000000000." + "0" * 21,
        "1732789800.0.00",
        "١٧٣٢٧٨٩٨٠٠",
        "9999-12-31T23:00:00-01:00",
        "9999-12-31T23:59:59Z",
        "9999-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59-01:00",
        "0001-01-01",
        "Tue Nov 24 08:00:00 MSK 2026",
        "Tue, 24 Nov 2026 12:00:00 MSK",
        "Tue, 24 Nov 2026 12:00:00 IST",
        "Tue, 24 Nov 2026 12:00:00 (MSK)",
        "Tue, 24 Nov 2026 09:00:00 PM",
        "24 Nov 2026 12:00 CEST",
        "2026-11-24 09:00:00 CET",
        "2026-11-24T09:00:00[MSK]",
        "Tue Nov 24 08:00:00 MART 2026",
    ],
)
def test_a_value_that_is_no_time_is_invalid(value: Any) -> None:
    with pytest.raises(InvalidValue):
        parse_instant(value, MADRID)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-11-27T24:00:00Z", "2024-11-28T00:00:00Z"),
        ("2024-12-31 24:00", "2024-12-31T23:00:00Z"),
        ("2024-12-31T24:00", "2024-12-31T23:00:00Z"),
        ("2024-02-28T24:00:00.000+01:00", "2024-02-28T23:00:00Z"),
        ("Wed, 27 Nov 2024 24:00:00 GMT", "2024-11-28T00:00:00Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2016-12-31T23:59:60.500Z", "2017-01-01T00:00:00.500Z"),
        ("Sat, 31 Dec 2016 23:59:60 GMT", "2017-01-01T00:00:00Z"),
        ("20241128[Europe/Madrid]", "2024-11-27T23:00:00Z"),
        ("28 Nov 24 9:30", "2024-11-28T08:30:00Z"),
        ("2024/1/8 09:30", "2024-01-08T08:30:00Z"),
    ],
)
def test_the_end_of_a_day_a_leap_second_and_short_forms_are_read(value: str, expected: str) -> None:
    assert parse_instant(value, MADRID) == datetime.fromisoformat(expected).timestamp() * 1_000_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (100_000_000_000, 100_000_000_000_000),  # 1973 in milliseconds, and not the year 5138
        (99_999_999_999, 99_999_999_999_000_000),
        (100_000_000_000_000_000, 100_000_000_000_000),
        ("1732789800123456789", 1_732_789_800_123_456),
        ("1732789800123456.7", 1_732_789_800_123_456),
        ("1732789800.25", 1_732_789_800_250_000),
        ("9998-12-31T23:59:59.999999Z", 253_370_764_799_999_999),
    ],
)
def test_a_unix_time_is_in_the_unit_that_makes_it_a_possible_time(value: Any, expected: int) -> None:
    assert parse_instant(value, MADRID) == expected


MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@pytest.mark.parametrize("length", [3, 9])
def test_each_name_of_a_month_and_of_a_day_is_known(length: int) -> None:
    for number, month in enumerate(MONTHS):
        expected = datetime(2024, number + 1, 15, 12, tzinfo=UTC).timestamp() * 1_000_000
        assert parse_instant(f"15 {month[:length]} 2024 12:00", UTC) == expected
    for number, day in enumerate(DAYS):
        expected = datetime(2024, 4, 1 + number, 12, tzinfo=UTC).timestamp() * 1_000_000
        assert parse_instant(f"{day[:length]}, {1 + number} Apr 2024 12:00", UTC) == expected


@pytest.mark.parametrize("sent", ["{}T{}", "{} {}", "{}t{}"])
@pytest.mark.parametrize("clock", ["16:00:00", "16:00", "16:00:00.250"])
@pytest.mark.parametrize("offset", ["05:30", "0530", "01:00", "14:00", "09", "00:00"])
def test_a_plus_that_became_a_space_is_restored(sent: str, clock: str, offset: str) -> None:
    text = sent.format("2024-11-28", clock)
    assert parse_instant(f"{text} {offset}", MADRID) == parse_instant(f"{text}+{offset}", MADRID)


def test_a_date_and_a_clock_time_have_no_offset() -> None:
    assert parse_instant("2024-11-28 10:30", UTC) == HALF_PAST_TEN
    assert parse_instant("8 Nov 24 10:30", UTC) == HALF_PAST_TEN - 20 * 86_400 * SECOND


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
        (86_400_000, 86_400_000),
        (86_400_001, None),
        (86_400_000.5, None),
        (0.5, 0),
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


# --- the hour that is repeated when summer time ends --------------------------------------------


@pytest.mark.parametrize(
    "zone", ["Europe/Madrid", "Europe/Lisbon", "America/New_York", "Australia/Lord_Howe"]
)
@given(st.data())
def test_a_call_in_the_repeated_hour_keeps_its_length(zone: str, data: st.DataObject) -> None:
    change = {
        "Europe/Madrid": datetime(2026, 10, 25, 1, tzinfo=UTC),
        "Europe/Lisbon": datetime(2026, 10, 25, 1, tzinfo=UTC),
        "America/New_York": datetime(2026, 11, 1, 6, tzinfo=UTC),
        "Australia/Lord_Howe": datetime(2026, 4, 4, 15, tzinfo=UTC),
    }[zone]
    seconds = data.draw(st.integers(0, 3_000), label="length")
    started_at = change + timedelta(seconds=data.draw(st.integers(-3_500, 3_500), label="start"))
    facts = parse_naive(
        zone,
        started_at=started_at,
        answered_at=started_at + timedelta(seconds=seconds // 2),
        ended_at=started_at + timedelta(seconds=seconds),
    )
    choose_repeated_times(facts)
    assert (facts["ended_at"] - facts["started_at"]) // SECOND == seconds
    assert facts["started_at"] <= facts["answered_at"] <= facts["ended_at"]


def parse_naive(zone: str, **moments: datetime) -> dict[str, Any]:
    """Parse the local times of these moments, without their offsets."""
    local = {fact: moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for fact, moment in moments.items()}
    return {fact: parse_instant(moment.isoformat(), ZoneInfo(zone)) for fact, moment in local.items()}


@pytest.mark.parametrize(
    ("facts", "minutes"),
    [
        ({"started_at": "2026-10-25 02:50", "ended_at": "2026-10-25 02:10"}, 20),
        ({"started_at": "2026-10-25 01:55", "ended_at": "2026-10-25 02:05", "talking": 4_190}, 70),
        ({"started_at": "2026-10-25 01:55", "ended_at": "2026-10-25 02:05", "talking": 580}, 10),
        ({"started_at": "2026-10-25 01:55", "ended_at": "2026-10-25 02:05"}, 10),
        ({"started_at": "2026-10-25 02:10", "ended_at": "2026-10-25 02:15", "duration": 3_900}, 65),
        ({"started_at": "2026-10-25 02:50", "ended_at": "2026-10-25 03:05"}, 15),
        ({"started_at": "2026-10-25 02:50", "ended_at": "2026-10-25 03:05", "duration": 4_500}, 75),
        (
            {
                "started_at": "2026-10-25 02:40",
                "ended_at": "2026-10-25 02:50",
                "talking": 4_000,
                "waiting": 150,
            },
            70,
        ),
        ({"started_at": "2026-10-25T02:50:00+02:00", "ended_at": "2026-10-25 02:10"}, 20),
    ],
)
def test_a_repeated_time_is_chosen_by_the_order_and_the_durations(
    facts: dict[str, Any], minutes: int
) -> None:
    parsed: dict[str, Any] = {
        fact: parse_instant(value, MADRID) if isinstance(value, str) else value
        for fact, value in facts.items()
    }
    choose_repeated_times(parsed)
    assert (parsed["ended_at"] - parsed["started_at"]) // (60 * SECOND) == minutes


def test_the_time_of_an_envelope_is_the_first_of_two() -> None:
    facts: dict[str, Any] = {"occurred_at": parse_instant("2026-10-25 02:30", MADRID)}
    choose_repeated_times(facts)
    assert facts == {"occurred_at": 1_792_888_200_000_000}


def test_a_repeated_time_alone_is_the_first_one() -> None:
    facts: dict[str, Any] = {"started_at": parse_instant("2026-10-25 02:30", MADRID), "contact_id": "7"}
    choose_repeated_times(facts)
    assert facts == {
        "started_at": parse_instant("2026-10-25T00:30:00Z", MADRID),
        "started_at_repeated": parse_instant("2026-10-25T01:30:00Z", MADRID),
        "contact_id": "7",
    }


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
        (0, 1_000, 1),
        (0, 999, 999),
        (75, 135_999, 135),
        (75, 136_000, None),
        (3_600, 7_320, 7_320),
        (3_600, 7_321, 7),
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


@pytest.mark.parametrize("fact", ["duration", "talking", "waiting", "wrapup"])
def test_no_duration_is_longer_than_a_day(fact: str) -> None:
    assert corrected(None, **{fact: 86_400}) == {fact: 86_400}
    assert corrected(None, **{fact: 86_401}) == {}


@pytest.mark.parametrize("fact", ["duration", "talking", "waiting"])
@pytest.mark.parametrize("time", ["started_at", "ended_at"])
def test_each_duration_of_a_call_may_be_in_milliseconds(fact: str, time: str) -> None:
    assert corrected(75, **{fact: 75_000}) == {fact: 75}
    facts: dict[str, Any] = {time: HALF_PAST_TEN, fact: 75_000}
    correct_durations(facts)
    assert facts[fact] == 75_000


def test_a_wrap_up_may_be_longer_than_its_call() -> None:
    assert corrected(5, wrapup=1_200) == {"wrapup": 1_200}
    assert corrected(75, wrapup=75_000) == {"wrapup": 75_000}


@given(st.integers(0, LONGEST_CALL_SECONDS), st.integers(0, LONGEST_CALL_SECONDS))
def test_seconds_that_fit_the_call_are_never_changed(seconds: int, maximum: int) -> None:
    talking = min(seconds, maximum)
    assert corrected(seconds, talking=talking, waiting=seconds - talking) == {
        "talking": talking,
        "waiting": seconds - talking,
    }
