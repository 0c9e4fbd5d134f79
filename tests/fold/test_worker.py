"""The fold: whose an event is, what it makes of its call, and what breaks nothing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection, select
from structlog.testing import capture_logs

from relay.call import CallEvent, Kind
from relay.fold import FoldWorker
from relay.ledger import LeaseLost, Ledger, calls, destinations, journal, pruning
from relay.ledger.calls import CallRow
from relay.ledger.journal import EventRow
from relay.ledger.tables import deliveries, events, leases

T0 = 1_732_789_800_000_000


def said(kind: Kind, name: str = "1", occurred_at: int | None = T0, **facts: Any) -> CallEvent:
    return CallEvent(
        kind, "mission", name, (f"other:{name}",), occurred_at, facts, {"id": name}, single_id=True
    )


# --- over a ledger --------------------------------------------------------------------------------


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Ledger]:
    opened = Ledger(ledger_url)
    await opened.open()
    await opened.write(lambda c: destinations.register(c, {"crm": "local"}))
    yield opened
    await opened.close()


async def fold_of(ledger: Ledger) -> FoldWorker:
    fold = FoldWorker(
        ledger,
        grace_seconds=0,
        has_backlog=lambda: False,
        on_enqueue=lambda: None,
    )
    await fold._lease.acquire()
    return fold


async def append(ledger: Ledger, *readings: CallEvent) -> None:
    rows = [EventRow(ledger.now() + n, "", "/", "", b"{}", reading) for n, reading in enumerate(readings)]
    await ledger.write(lambda c: journal.append(c, rows))


async def owed(ledger: Ledger) -> dict[str, int]:
    found = await ledger.read(lambda c: list(c.execute(select(deliveries))))
    return {row.call: row.version for row in found if row.state == "pending"}


async def test_news_of_a_call_that_was_dropped_for_its_age_meanwhile_begin_it_anew(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold = await fold_of(ledger)
    await append(ledger, said(Kind.STARTED))
    await fold.fold()
    await ledger.write(lambda c: c.execute(deliveries.update().values(state="delivered")))
    await append(ledger, said(Kind.ENDED, occurred_at=T0 + 1))
    write = fold._write

    async def late(found: Any) -> None:
        await ledger.write(lambda c: pruning.prune_calls(c, before=2**62))
        monkeypatch.setattr(fold, "_write", write)
        await write(found)

    monkeypatch.setattr(fold, "_write", late)
    await fold.fold()
    assert await owed(ledger) == {"cloudtalk-1": 1}
    assert "cloudtalk-1" in await ledger.read(lambda c: calls.by_id(c, ["cloudtalk-1"]))


async def states(ledger: Ledger) -> list[str]:
    return await ledger.read(
        lambda c: list(c.execute(select(events.c.state).order_by(events.c.seq)).scalars())
    )


async def test_folding_writes_the_call_its_alias_and_a_mark(ledger: Ledger) -> None:
    await append(ledger, said(Kind.STARTED), said(Kind.ENDED))
    fold = await fold_of(ledger)
    assert await fold.fold() == 2
    assert await fold.fold() == 0
    assert await owed(ledger) == {"cloudtalk-1": 1}
    assert await ledger.read(lambda c: calls.by_alias(c, ["other:1"])) == {"other:1": "cloudtalk-1"}
    assert await states(ledger) == ["folded", "folded"]


async def test_internal_calls_are_enqueued_too_because_the_delivery_worker_decides(ledger: Ledger) -> None:
    await append(ledger, said(Kind.STARTED, "a", direction="internal"))
    await (await fold_of(ledger)).fold()
    assert await owed(ledger) == {"cloudtalk-a": 1}


async def test_a_call_that_cannot_be_written_holds_up_no_other(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await append(ledger, said(Kind.STARTED, "a"), said(Kind.STARTED, "poison"), said(Kind.STARTED, "b"))
    write = calls.write

    def picky(connection: Connection, new: list[CallRow], known: list[CallRow]) -> None:
        if any(row.id == "cloudtalk-poison" for row in new):
            raise ValueError("cannot be written")
        write(connection, new, known)

    monkeypatch.setattr(calls, "write", picky)
    with capture_logs() as logs:
        await (await fold_of(ledger)).fold()
    assert await states(ledger) == ["folded", "aside", "folded"]
    assert set(await owed(ledger)) == {"cloudtalk-a", "cloudtalk-b"}
    assert [line["event_seq"] for line in logs if line["event"] == "fold.set_aside"] == [2]


async def test_a_holder_whose_lease_has_passed_on_writes_nothing(ledger: Ledger) -> None:
    fold = await fold_of(ledger)
    await append(ledger, said(Kind.STARTED))
    await ledger.write(lambda c: c.execute(leases.update().values(token=99, owner="another")))
    with pytest.raises(LeaseLost):
        await fold.fold()
    assert await states(ledger) == ["new"]
    assert await owed(ledger) == {}


async def test_the_loop_folds_what_comes_and_stops_when_told(ledger: Ledger) -> None:
    marked = asyncio.Event()
    fold = FoldWorker(ledger, grace_seconds=0, has_backlog=lambda: True, on_enqueue=marked.set)
    running = asyncio.create_task(fold.run())
    await append(ledger, said(Kind.STARTED))
    fold.wake()
    await asyncio.wait_for(marked.wait(), 5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    held = await ledger.read(lambda c: c.execute(select(leases.c.expires_at)).scalar_one())
    assert held == 0


async def test_a_cancellation_that_meets_the_wake_up_is_not_lost(ledger: Ledger) -> None:
    fold = FoldWorker(ledger, grace_seconds=0, has_backlog=lambda: False, on_enqueue=lambda: None)
    for _ in range(20):
        running = asyncio.create_task(fold.run())
        await asyncio.sleep(0.01)
        fold.wake()
        running.cancel()
        _, pending = await asyncio.wait([running], timeout=5)
        assert not pending
