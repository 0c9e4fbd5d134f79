"""What is dropped for its age, and what is kept however old it is."""

from typing import Any

import pytest

from relay.instants import Instant
from relay.ledger import (
    Ledger,
    aliases,
    calls,
    client_state,
    dedup,
    deliveries,
    destinations,
    journal,
    quarantine,
    retention_queries,
)
from relay.ledger.aliases import Alias, AliasReason
from relay.ledger.quarantine import NewQuarantinedBody
from relay.ledger.tables import events as table
from tests.support.samples import RECEIVED_AT, make_call_row, make_event_row

DAY = 86_400 * 1_000_000


@pytest.fixture
async def owing(ledger: Ledger) -> Ledger:
    await ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
    return ledger


async def told(ledger: Ledger, name: str, *, at: int = 0, folded: bool = True) -> int:
    """An event of a call of its own, that came so many microseconds after the first."""
    (seq,) = await ledger.write(lambda c: journal.append(c, [make_event_row(at=at, name=name)]))
    if folded:
        await ledger.write(lambda c: journal.mark_folded(c, [(seq, f"cloudtalk-{name}")]))
    return seq


async def call(ledger: Ledger, name: str, state: str | None = None) -> None:
    row = make_call_row(f"cloudtalk-{name}")
    await ledger.write(lambda c: calls.write(c, [row], []))
    await ledger.write(lambda c: aliases.add(c, [Alias(f"id:{name}", row.id, AliasReason.STATED)]))
    await ledger.write(lambda c: deliveries.enqueue(c, [(row.id, 1)], now=Instant(1)))
    if state:
        await ledger.write(lambda c: c.execute(_state_of(row.id, state)))


def _state_of(call_id: str, state: str) -> Any:
    from relay.ledger.tables import deliveries as marks  # noqa: PLC0415 - a name of the module's own

    return marks.update().where(marks.c.call == call_id).values(state=state)


async def seqs(ledger: Ledger) -> list[int]:
    return list(await ledger.read(lambda c: c.execute(table.select().order_by(table.c.seq)).scalars().all()))


async def prune(ledger: Ledger, *, before: int, after: int = 0, limit: int = 500) -> int | None:
    return await ledger.write(
        lambda c: retention_queries.prune_events(
            c, before=Instant(RECEIVED_AT + before), after=after, now=Instant(7), limit=limit
        )
    )


async def test_old_events_go_and_younger_ones_stay(owing: Ledger) -> None:
    await told(owing, "1")
    young = await told(owing, "2", at=2 * DAY)
    assert await prune(owing, before=DAY) is None
    assert await seqs(owing) == [young]


async def test_what_is_not_folded_is_kept_however_old(owing: Ledger) -> None:
    waiting = await told(owing, "1", folded=False)
    await prune(owing, before=DAY)
    assert await seqs(owing) == [waiting]


async def test_a_portion_says_where_to_go_on(owing: Ledger) -> None:
    numbers = [await told(owing, str(number), at=number) for number in range(4)]
    assert await prune(owing, before=DAY, limit=2) == numbers[1]
    assert await prune(owing, before=DAY, after=numbers[1], limit=2) == numbers[3]
    assert await prune(owing, before=DAY, after=numbers[3], limit=2) is None
    assert await seqs(owing) == []


async def test_a_call_knows_that_its_events_are_gone(owing: Ledger) -> None:
    await call(owing, "1")
    await call(owing, "2")
    await told(owing, "1")
    await told(owing, "2", at=2 * DAY)
    await prune(owing, before=DAY)
    gone = await owing.read(lambda c: calls.list_pruned_ids(c, ["cloudtalk-1", "cloudtalk-2"]))
    assert gone == {"cloudtalk-1"}


async def test_messages_go_with_their_events(owing: Ledger) -> None:
    old = await told(owing, "1")
    young = await told(owing, "2", at=2 * DAY)
    await owing.write(lambda c: dedup.record(c, [("msg:old", old), ("msg:young", young)]))
    await prune(owing, before=DAY)
    assert await owing.read(lambda c: dedup.first_seen(c, {"msg:old", "msg:young"})) == {"msg:young": young}


@pytest.mark.parametrize(("state", "kept"), [("delivered", 0), ("filtered", 0), ("pending", 1), ("dead", 1)])
async def test_an_old_call_goes_unless_something_is_still_to_be_done_about_it(
    owing: Ledger, state: str, kept: int
) -> None:
    await call(owing, "1", state)
    await told(owing, "1")
    assert not await owing.write(
        lambda c: retention_queries.prune_calls(c, before=Instant(RECEIVED_AT + DAY))
    )
    assert await owing.read(calls.count) == kept
    assert len(await owing.read(lambda c: deliveries.list_for_call(c, "cloudtalk-1"))) == kept
    assert len(await owing.read(lambda c: aliases.resolve(c, ["id:1"]))) == kept
    assert len(await seqs(owing)) == kept


async def test_a_young_call_stays(owing: Ledger) -> None:
    await call(owing, "1", "delivered")
    await owing.write(lambda c: retention_queries.prune_calls(c, before=RECEIVED_AT))
    assert await owing.read(calls.count) == 1


async def test_old_bodies_in_quarantine_and_old_memories_go(owing: Ledger) -> None:
    def write(connection: Any) -> None:
        for at in (1, 9):
            quarantine.add(
                connection, NewQuarantinedBody(Instant(at), "json", "no JSON", "", "", "/", "", b"{")
            )
            client_state.set_many(connection, "crm", {f"contact:{at}": "7"}, now=Instant(at))
        retention_queries.prune_quarantine(connection, before=Instant(5))
        retention_queries.prune_client_state(connection, before=Instant(5))

    await owing.write(write)
    assert [row.received_at for row in await owing.read(quarantine.list_all)] == [9]
    kept = await owing.read(lambda c: client_state.get_many(c, "crm", ["contact:1", "contact:9"]))
    assert kept == {"contact:9": "7"}
