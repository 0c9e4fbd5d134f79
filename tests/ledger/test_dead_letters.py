"""Dead letters wait for a person, who has them tried afresh or gives them up."""

from typing import Any

import msgspec
import pytest

from relay.instants import Duration, Instant
from relay.ledger import Ledger, calls, dead_letters, deliveries, destinations
from relay.ledger.dead_letters import DeadLetter
from relay.ledger.deliveries import DeliveryRow, DeliveryUpdate
from relay.ledger.states import DeliveryState
from tests.support.samples import ODD_IDS, make_call_row

DEAD = DeliveryUpdate(
    call="a",
    version=1,
    state=DeliveryState.DEAD,
    delivered_version=0,
    due_at=Instant(50),
    attempts=3,
    attempted_at=Instant(50),
    failing_for=Duration(40),
    remote_id=None,
    outcome="rejected",
    code="22P05",
    message="it's no text",
)


@pytest.fixture
async def owing(ledger: Ledger) -> Ledger:
    """A ledger with the destinations `crm` and `other`."""
    await ledger.write(lambda c: destinations.register(c, {"crm": "local", "other": "local"}))
    return ledger


async def die(ledger: Ledger, *ids: str, name: str = "crm", at: int = 50) -> None:
    """These calls are new, and one destination will not have them."""
    letters = [msgspec.structs.replace(DEAD, call=id_, attempted_at=at) for id_ in ids]

    def write(connection: Any) -> None:
        known = calls.get_many(connection, ids)
        rows = [make_call_row(id_, 1) for id_ in ids if id_ not in known]
        calls.write(connection, rows, [])
        deliveries.enqueue(connection, [(row.id, 1) for row in rows], now=Instant(10))
        deliveries.settle(connection, name, letters, now=Instant(at))

    await ledger.write(write)


async def letters(ledger: Ledger, **given: Any) -> list[DeadLetter]:
    return await ledger.read(lambda c: dead_letters.find(c, **given))


async def keys(ledger: Ledger, **given: Any) -> list[tuple[str, str]]:
    return [letter.key for letter in await letters(ledger, **given)]


async def delivery(ledger: Ledger, call: str, name: str = "crm") -> DeliveryRow:
    rows = await ledger.read(lambda c: deliveries.list_for_call(c, call))
    (row,) = [row for row in rows if row.destination == name]
    return row


async def replay(ledger: Ledger, *letters: tuple[str, str], now: int = 90) -> None:
    await ledger.write(lambda c: dead_letters.replay(c, letters, now=Instant(now)))


async def drop(ledger: Ledger, *letters: tuple[str, str]) -> None:
    await ledger.write(lambda c: dead_letters.drop(c, letters))


async def test_a_letter_says_what_the_crm_said_and_of_which_call(owing: Ledger) -> None:
    await die(owing, "a")
    (letter,) = await letters(owing)
    assert letter == DeadLetter(
        call=make_call_row("a", 1).record,
        destination="crm",
        version=1,
        delivered_version=0,
        attempts=3,
        attempted_at=Instant(50),
        outcome="rejected",
        code="22P05",
        message="it's no text",
    )


async def test_the_latest_comes_first(owing: Ledger) -> None:
    await die(owing, "a", at=50)
    await die(owing, "b", "c", at=60)
    await die(owing, "b", name="other", at=60)
    assert await keys(owing) == [("crm", "b"), ("other", "b"), ("crm", "c"), ("crm", "a")]


async def test_they_are_found_by_destination_and_by_call(owing: Ledger) -> None:
    await die(owing, "a", "b")
    await die(owing, "b", name="other")
    assert await keys(owing, destination="other") == [("other", "b")]
    assert await keys(owing, ids=["b", "b", "c"]) == [("crm", "b"), ("other", "b")]
    assert await keys(owing, ids=["b"], destination="crm") == [("crm", "b")]
    assert await keys(owing, ids=[]) == []


async def test_what_is_owed_or_delivered_is_no_letter(owing: Ledger) -> None:
    await die(owing, "a")
    delivered = msgspec.structs.replace(
        DEAD, state=DeliveryState.DELIVERED, delivered_version=1, outcome="delivered"
    )
    await owing.write(lambda c: deliveries.settle(c, "crm", [delivered], now=Instant(60)))
    assert await keys(owing) == []


async def test_a_replayed_letter_is_owed_afresh(owing: Ledger) -> None:
    await die(owing, "a")
    await replay(owing, ("crm", "a"))
    row = await delivery(owing, "a")
    assert (row.state, row.version, row.pending_since, row.due_at) == ("pending", 1, 90, 90)
    assert (row.attempts, row.failing_for) == (0, 0)
    assert await keys(owing) == []


async def test_only_the_letters_that_are_meant_are_replayed(owing: Ledger) -> None:
    await die(owing, "a", "b")
    await die(owing, "a", name="other")
    await replay(owing, ("crm", "a"))
    assert await keys(owing) == [("other", "a"), ("crm", "b")]


async def test_replaying_what_is_not_dead_changes_nothing(owing: Ledger) -> None:
    await die(owing, "a")
    await replay(owing, ("crm", "a"))
    before = await delivery(owing, "a")
    await replay(owing, ("crm", "a"), ("other", "a"), ("crm", "nobody"), now=99)
    assert await delivery(owing, "a") == before
    assert (await delivery(owing, "a", "other")).pending_since == 10


async def test_a_dropped_letter_is_neither_dead_nor_owed(owing: Ledger) -> None:
    await die(owing, "a", "b")
    await drop(owing, ("crm", "a"))
    assert await keys(owing) == [("crm", "b")]
    assert (await delivery(owing, "a")).state == "dropped"
    tally = (await owing.read(deliveries.counts_by_destination))["crm"]
    assert (tally.pending, tally.dead) == (0, 1)


async def test_dropping_twice_or_what_is_owed_drops_nothing_more(owing: Ledger) -> None:
    await die(owing, "a")
    await drop(owing, ("crm", "a"), ("other", "a"))
    await drop(owing, ("crm", "a"))
    assert (await delivery(owing, "a", "other")).state == "pending"


async def test_news_of_a_dropped_call_is_owed(owing: Ledger) -> None:
    await die(owing, "a")
    await drop(owing, ("crm", "a"))
    await owing.write(lambda c: deliveries.enqueue(c, [("a", 2)], now=Instant(70)))
    row = await delivery(owing, "a")
    assert (row.state, row.version, row.due_at, row.attempts) == ("pending", 2, 70, 0)


async def test_letters_of_odd_ids_are_told_apart(owing: Ledger) -> None:
    await die(owing, *ODD_IDS)
    await replay(owing, *(("crm", odd) for odd in ODD_IDS[1:]))
    assert await keys(owing) == [("crm", ODD_IDS[0])]
    assert await keys(owing, ids=ODD_IDS) == [("crm", ODD_IDS[0])]


async def test_deciding_about_none_decides_nothing(owing: Ledger) -> None:
    await die(owing, "a")
    await replay(owing)
    await drop(owing)
    assert await keys(owing) == [("crm", "a")]
