"""Missed calls that nobody has called back."""

from datetime import UTC, datetime
from functools import partial
from zoneinfo import ZoneInfo

import msgspec
import pytest

from relay.call import CallBack, Status
from relay.instants import SECOND, Instant
from relay.ledger import Ledger, calls
from relay.operations.call_list import FilterError
from relay.operations.unanswered import (
    FollowUps,
    UnansweredCalls,
    count_follow_ups,
    get_unanswered,
    iterate_unanswered,
    list_unanswered,
)
from relay.standards.office_hours import ALWAYS_OPEN, OfficeHours
from tests.support.operations import NOW
from tests.support.samples import make_call_row

DAY = 86_400 * SECOND
ONE, TWO = "+34600000001", "+34600000002"


async def write(
    ledger: Ledger,
    id_: str,
    age: int,
    number: str | None = ONE,
    *,
    status: Status = Status.MISSED,
    direction: str = "inbound",
    name: str | None = None,
    called_back_after: int | None = None,
) -> None:
    row = make_call_row(id_, 1)
    record = msgspec.structs.replace(row.record, status=status, direction=direction, contact_name=name)
    began_at = Instant(NOW - age)
    if called_back_after is not None:
        row.state.call_back = CallBack("other", Instant(began_at + called_back_after))
    row = msgspec.structs.replace(row, record=record, began_at=began_at, number=number)
    await ledger.write(lambda c: calls.write(c, [row], []))


async def unanswered(ledger: Ledger) -> UnansweredCalls:
    return await ledger.read(lambda c: get_unanswered(c, Instant(NOW), ALWAYS_OPEN))


async def numbers(ledger: Ledger) -> list[str]:
    return [each.number for each in (await unanswered(ledger)).longest]


async def test_the_last_missed_call_of_each_customer_is_listed(ledger: Ledger) -> None:
    await write(ledger, "old", 3 * DAY, ONE)
    await write(ledger, "new", 1 * DAY, ONE, name="María")
    await write(ledger, "voicemail", 2 * DAY, TWO, status=Status.VOICEMAIL)
    found = await unanswered(ledger)
    assert [(each.id, each.number, each.contact_name, each.calls) for each in found.longest] == [
        ("new", ONE, "María", 2),
        ("voicemail", TWO, None, 1),
    ]
    assert found.numbers.customers == 2


async def test_customers_who_were_called_back_wait_no_more(ledger: Ledger) -> None:
    await write(ledger, "missed", 2 * DAY, called_back_after=60 * SECOND)
    await write(ledger, "attempt", 1 * DAY, status=Status.NO_ANSWER, direction="outbound")
    assert await numbers(ledger) == []
    await write(ledger, "missed again", 1 * SECOND)
    assert await numbers(ledger) == [ONE]


async def test_the_median_time_to_the_call_back_is_that_of_the_last_days(ledger: Ledger) -> None:
    await write(ledger, "old", 8 * DAY, called_back_after=9)
    assert (await unanswered(ledger)).numbers.median_seconds is None
    for minutes in (1, 14, 600):
        await write(ledger, f"after {minutes}", 2 * DAY, called_back_after=minutes * 60 * SECOND)
    await write(ledger, "waiting", 1 * DAY)
    assert (await unanswered(ledger)).numbers.median_seconds == 14 * 60
    counted = await ledger.read(lambda c: count_follow_ups(c, Instant(NOW), ALWAYS_OPEN))
    assert counted == FollowUps(customers=1, median_seconds=14 * 60, longest_seconds=86_400)


async def test_waits_are_counted_in_office_hours(ledger: Ledger) -> None:
    """The office opened two hours ago, and closed for ten minutes an hour ago."""
    now = datetime.fromtimestamp(NOW / SECOND, UTC)
    opened, zone = now.hour * 60 + now.minute - 120, ZoneInfo("UTC")
    spans = ((opened, opened + 60), (opened + 70, opened + 130))
    hours = OfficeHours(zone, spans, frozenset(range(7)))
    since_opening = int((now - now.replace(second=0, microsecond=0)).total_seconds()) + 110 * 60
    night = 8 * 3_600 * SECOND
    await write(ledger, "waiting", night, TWO)
    await write(ledger, "called back", night, called_back_after=night - 15 * 60 * SECOND)
    counted = await ledger.read(lambda c: count_follow_ups(c, Instant(NOW), hours))
    assert counted == FollowUps(1, since_opening - 15 * 60, since_opening)
    (call,) = [call async for call in iterate_unanswered(ledger, hours)]
    assert (call.id, call.missed_calls) == ("waiting", 1)


async def test_old_calls_withheld_numbers_and_other_directions_are_left_out(ledger: Ledger) -> None:
    await write(ledger, "old", 8 * DAY)
    await write(ledger, "withheld", 1 * DAY, None)
    await write(ledger, "internal", 1 * DAY, direction="internal")
    assert await unanswered(ledger) == UnansweredCalls([], FollowUps(0, None))


async def test_the_number_of_all_is_known_when_only_those_who_wait_longest_are_listed(ledger: Ledger) -> None:
    for number in range(10):
        await write(ledger, f"missed {number}", (number + 1) * SECOND, f"+3460000001{number}")
    found = await unanswered(ledger)
    assert len(found.longest) == 8
    assert found.longest[0].number == "+34600000019"
    assert found.numbers.customers == 10


async def test_the_calls_that_are_counted_are_listed_page_by_page(ledger: Ledger) -> None:
    await write(ledger, "first of three", 5 * SECOND, "+34600000011")
    for number in range(5):
        age = (number // 2 + 1) * SECOND  # two begin at the same time
        await write(ledger, f"missed {number}", age, f"+3460000001{number}")
    pages, cursor = [], None
    for limit in (2, 2, 2):
        page = await ledger.read(partial(list_unanswered, now=Instant(NOW), cursor=cursor, limit=limit))
        pages.append([call.id for call in page.calls])
        cursor = page.next
    assert pages == [["missed 1", "missed 4"], ["missed 2", "missed 3"], ["missed 0"]]
    assert cursor is None
    with pytest.raises(FilterError):
        await ledger.read(partial(list_unanswered, now=Instant(NOW), cursor="x"))
