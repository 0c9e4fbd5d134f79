"""Missed calls after which nobody talked to the customer."""

from functools import partial
from typing import Any

import msgspec
import pytest

from relay.call import Status
from relay.instants import Instant
from relay.ledger import Ledger, calls
from relay.ledger.unanswered import UnansweredNumber, list_unanswered
from tests.support.samples import make_call_row

ONE, TWO = "+34600000001", "+34600000002"


async def write(ledger: Ledger, id_: str, began_at: int, number: str | None = ONE, **fields: Any) -> None:
    """Insert a call, which is an inbound missed one unless `fields` say otherwise."""
    row = make_call_row(id_)
    fields = {"status": Status.MISSED, "direction": "inbound"} | fields
    record = msgspec.structs.replace(row.record, **fields)
    row = msgspec.structs.replace(row, record=record, began_at=Instant(began_at), number=number)
    await ledger.write(lambda c: calls.write(c, [row], []))


async def unanswered(ledger: Ledger, *, since: int = 0, most: int = 9) -> list[UnansweredNumber]:
    return await ledger.read(partial(list_unanswered, since=Instant(since), most=most))


async def test_customers_are_listed_by_their_last_missed_call_the_newest_first(ledger: Ledger) -> None:
    await write(ledger, "b", 5)
    await write(ledger, "c", 5)
    await write(ledger, "a", 4)
    await write(ledger, "d", 6, TWO, status=Status.VOICEMAIL)
    await write(ledger, "e", 5, "+34600000003")
    assert await unanswered(ledger) == [
        ("d", TWO, 6, 1),
        ("e", "+34600000003", 5, 1),
        ("c", ONE, 5, 3),
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


@pytest.mark.parametrize(
    ("fields", "is_answer"),
    [
        ({}, True),
        ({"status": Status.ANSWERED}, True),
        ({"direction": "outbound"}, True),
        ({"status": Status.VOICEMAIL, "direction": "outbound"}, False),
        ({"number": TWO}, False),
        ({"began_at": 10}, False),
        ({"began_at": 9}, False),
        ({"merged_into": "z"}, False),
    ],
)
async def test_a_later_conversation_with_the_customer_is_an_answer(
    ledger: Ledger, fields: dict[str, Any], *, is_answer: bool
) -> None:
    await write(ledger, "a", 10)
    await write(ledger, "b", **{"began_at": 11, "status": Status.COMPLETED, **fields})
    assert await unanswered(ledger) == [("a", ONE, 10, 1)][is_answer:]


async def test_only_the_newest_missed_calls_are_looked_at(ledger: Ledger) -> None:
    for began_at, number in ((3, TWO), (1, ONE), (2, ONE)):
        await write(ledger, f"at {began_at}", began_at, number)
    assert await unanswered(ledger, most=2) == [("at 3", TWO, 3, 1), ("at 2", ONE, 2, 1)]
