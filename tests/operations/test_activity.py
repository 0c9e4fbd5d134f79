"""What arrived from CloudTalk, hour by hour."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from relay.instants import SECOND, Instant
from relay.ledger import Ledger, activity, calls, journal
from relay.operations.activity import Activity, get_activity
from tests.support.samples import make_call_row, make_event_row

MADRID = ZoneInfo("Europe/Madrid")
HOUR = 3_600 * SECOND
WEEK = 7 * 24 * HOUR


def at(written: str) -> Instant:
    """Return a time of Madrid."""
    return Instant(int(datetime.fromisoformat(written).replace(tzinfo=MADRID).timestamp()) * SECOND)


NOW = at("2026-11-26T15:20:30")


async def receive(ledger: Ledger, *times: int) -> None:
    await ledger.write(
        lambda c: journal.append(c, [make_event_row(received_at=Instant(t)) for t in sorted(times)])
    )


async def read(ledger: Ledger, now: int = NOW) -> Activity:
    return await ledger.read(lambda c: get_activity(c, Instant(now), MADRID))


async def test_a_new_ledger_has_a_day_without_events(ledger: Ledger) -> None:
    found = await read(ledger)
    assert (found.last_event_at, found.is_silent, found.is_unusual) == (None, True, False)
    assert [(hour.calls, hour.events) for hour in found.hours] == [(0, 0)] * 24


async def test_events_and_calls_are_counted_in_their_hours(ledger: Ledger) -> None:
    await receive(
        ledger,
        at("2026-11-25T15:59:59"),  # before the first hour that is shown
        at("2026-11-25T16:00:00"),
        at("2026-11-26T14:59:59"),
        at("2026-11-26T15:00:00"),
        at("2026-11-26T15:20:00"),
    )
    call = msgspec.structs.replace(make_call_row("cloudtalk-1", 1), began_at=at("2026-11-26T14:30:00"))
    await ledger.write(lambda c: calls.write(c, [call], []))
    found = await read(ledger)
    shown = {
        datetime.fromtimestamp(h.began_at // SECOND, MADRID).strftime("%d %H:%M"): h for h in found.hours
    }
    assert next(iter(shown)) == "25 16:00"
    assert list(shown)[-1] == "26 15:00"
    assert {time: (h.calls, h.events) for time, h in shown.items() if h.calls or h.events} == {
        "25 16:00": (0, 1),
        "26 14:00": (1, 1),
        "26 15:00": (0, 2),
    }
    assert (found.last_event_at, found.is_silent) == (at("2026-11-26T15:20:00"), False)


@pytest.mark.parametrize(
    ("busy_weeks", "events", "is_unusual"), [(4, 3, True), (3, 3, True), (2, 3, False), (4, 2, False)]
)
async def test_silence_is_unusual_if_most_of_the_last_weeks_were_busy_at_this_hour(
    ledger: Ledger, busy_weeks: int, events: int, is_unusual: bool
) -> None:
    times = [
        NOW - week * WEEK - n * SECOND for week in range(1, busy_weeks + 1) for n in range(1, events + 1)
    ]
    await receive(ledger, *times)
    found = await read(ledger)
    assert (found.is_silent, found.is_unusual) == (True, is_unusual)


async def test_an_event_of_the_last_hour_is_no_silence(ledger: Ledger) -> None:
    await receive(
        ledger, *(NOW - week * WEEK - n for week in range(1, 5) for n in range(1, 9)), NOW - HOUR + 1
    )
    found = await read(ledger)
    assert (found.is_silent, found.is_unusual) == (False, False)


async def test_the_clock_on_the_wall_counts_when_summer_time_has_ended(ledger: Ledger) -> None:
    now = at("2026-10-27T10:00:00")
    busy = [at(f"2026-10-{day:02}T09:30:00") + n for day in (20, 13, 6) for n in range(3)]
    await receive(ledger, *busy)
    assert (await read(ledger, now)).is_unusual


@pytest.mark.parametrize("number", [1, 2, 3, 10])
async def test_the_events_of_a_period_are_counted(ledger: Ledger, number: int) -> None:
    await receive(ledger, *range(10, 10 + number))
    counts = await ledger.read(
        lambda c: [
            activity.count_arrived(c, Instant(since), Instant(until))
            for since, until in ((0, 10), (0, 11), (10, 12), (11, 99), (99, 100))
        ]
    )
    assert counts == [0, 1, min(number, 2), number - 1, 0]
