"""Missed calls after which nobody talked to the customer."""

from functools import partial
from typing import Any

import msgspec
import pytest

from relay.call import CallBack, Status
from relay.instants import Instant
from relay.ledger import Ledger, calls
from relay.ledger.unanswered import UnansweredNumber, list_called_back, list_unanswered
from tests.support.samples import make_call_row

ONE, TWO = "+34600000001", "+34600000002"


async def write(
    ledger: Ledger,
    id_: str,
    began_at: int,
    number: str | None = ONE,
    *,
    called_back_at: int | None = None,
    **fields: Any,
) -> None:
    """Insert a call, which is an inbound missed one unless `fields` say otherwise."""
    row = make_call_row(id_)
    if called_back_at is not None:
        row.state.call_back = CallBack("other", Instant(called_back_at))
    fields = {"status": Status.MISSED, "direction": "inbound"} | fields
    record = msgspec.structs.replace(row.record, **fields)
    row = msgspec.structs.replace(row, record=record, began_at=Instant(began_at), number=number)
    await ledger.write(lambda c: calls.write(c, [row], []))


async def unanswered(ledger: Ledger, *, since: int = 0, most: int = 9) -> list[UnansweredNumber]:
    return await ledger.read(partial(list_unanswered, since=Instant(since), most=most))


async def waits(ledger: Ledger, *, since: int = 0, most: int = 9) -> list[int]:
    found = await ledger.read(partial(list_called_back, since=Instant(since), most=most))
    return sorted(called_back_at - began_at for began_at, called_back_at in found)


async def test_customers_are_listed_who_waits_longest_first(
    ledger: Ledger,
) -> None:
    await write(ledger, "b", 5)
    await write(ledger, "c", 5)
    await write(ledger, "a", 4)
    await write(ledger, "d", 6, TWO, status=Status.VOICEMAIL)
    await write(ledger, "e", 5, "+34600000003")
    assert await unanswered(ledger) == [
        ("c", ONE, 5, 3, 4),
        ("e", "+34600000003", 5, 1, 5),
        ("d", TWO, 6, 1, 6),
    ]


@pytest.mark.parametrize(
    ("fields", "is_listed"),
    [
        ({}, True),
        ({"status": Status.VOICEMAIL}, True),
        ({"status": Status.NO_ANSWER}, False),
        ({"status": Status.COMPLETED}, False),
        ({"direction": "outbound"}, False),
        ({"direction": None}, False),
        ({"merged_into": "z"}, False),
        ({"began_at": 9}, False),
        ({"number": None}, False),
    ],
)
async def test_only_inbound_calls_that_were_missed_are_listed(
    ledger: Ledger, fields: dict[str, Any], *, is_listed: bool
) -> None:
    await write(ledger, "a", **{"began_at": 10, **fields})
    assert [each.call for each in await unanswered(ledger, since=10)] == ["a"][:is_listed]


async def test_missed_calls_that_were_called_back_are_not_listed_and_their_waits_are(ledger: Ledger) -> None:
    await write(ledger, "a", 10, called_back_at=15)
    await write(ledger, "b", 11, TWO, called_back_at=11)
    await write(ledger, "c", 12)
    await write(ledger, "d", 13, called_back_at=20, status=Status.COMPLETED)
    await write(ledger, "e", 14)
    assert await unanswered(ledger) == [("e", ONE, 14, 2, 12)]
    assert await waits(ledger) == [0, 5]
    assert await waits(ledger, since=11) == [0]
    assert await waits(ledger, most=3) == [0]


async def test_only_the_newest_missed_calls_are_looked_at(ledger: Ledger) -> None:
    for began_at, number in ((3, TWO), (1, ONE), (2, ONE)):
        await write(ledger, f"at {began_at}", began_at, number)
    assert await unanswered(ledger, most=2) == [("at 2", ONE, 2, 1, 2), ("at 3", TWO, 3, 1, 3)]
