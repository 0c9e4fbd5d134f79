"""The fold worker on a real ledger: what it writes, and what it survives."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import Connection, select
from structlog.testing import capture_logs

from relay.call import CallEvent, Kind
from relay.fold import Changes, FoldWorker
from relay.instants import Instant
from relay.ledger import LeaseLost, Ledger, aliases, calls, destinations, journal, retention_queries
from relay.ledger.calls import CallRow
from relay.ledger.journal import NewEvent
from relay.ledger.tables import deliveries, events, leases
from tests.support.ledgers import open_ledger
from tests.support.samples import T0, make_event


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Ledger]:
    async with open_ledger(ledger_url) as ledger:
        await ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
        yield ledger


def new_worker(ledger: Ledger, on_enqueue: Callable[[], None] = lambda: None) -> FoldWorker:
    return FoldWorker(ledger, grace_seconds=0, has_backlog=lambda: True, on_enqueue=on_enqueue)


@pytest.fixture
async def worker(ledger: Ledger) -> FoldWorker:
    """A worker that holds the lease and folds only when a test calls `fold_batch`."""
    worker = new_worker(ledger)
    await worker.lease.acquire()
    return worker


async def append(ledger: Ledger, *parsed: CallEvent) -> None:
    rows = [
        NewEvent(Instant(ledger.now() + index), "", "/", "", b"{}", event)
        for index, event in enumerate(parsed)
    ]
    await ledger.write(lambda c: journal.append(c, rows))


async def pending(ledger: Ledger) -> dict[str, int]:
    """The version of each pending call."""
    rows = await ledger.read(lambda c: list(c.execute(select(deliveries))))
    return {row.call: row.version for row in rows if row.state == "pending"}


async def event_states(ledger: Ledger) -> list[str]:
    return await ledger.read(
        lambda c: list(c.execute(select(events.c.state).order_by(events.c.seq)).scalars())
    )


# --- one batch --------------------------------------------------------------------------------------


async def test_a_batch_writes_the_call_its_alias_and_a_pending_delivery(
    ledger: Ledger, worker: FoldWorker
) -> None:
    await append(ledger, make_event(Kind.STARTED), make_event(Kind.ENDED))
    assert await worker.fold_batch() == 2
    assert await worker.fold_batch() == 0
    assert await pending(ledger) == {"cloudtalk-1": 1}
    assert await ledger.read(lambda c: aliases.resolve(c, ["id:1"])) == {"id:1": "cloudtalk-1"}
    assert await event_states(ledger) == ["folded", "folded"]


async def test_internal_calls_are_enqueued_too_because_the_delivery_worker_decides(
    ledger: Ledger, worker: FoldWorker
) -> None:
    await append(ledger, make_event(Kind.STARTED, name="a", direction="internal"))
    await worker.fold_batch()
    assert await pending(ledger) == {"cloudtalk-a": 1}


async def test_an_event_of_a_call_that_is_pruned_meanwhile_begins_a_new_record(
    ledger: Ledger, worker: FoldWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await append(ledger, make_event(Kind.STARTED))
    await worker.fold_batch()
    await ledger.write(lambda c: c.execute(deliveries.update().values(state="delivered")))
    await append(ledger, make_event(Kind.ENDED, occurred_at=T0 + 1))
    write = worker._write

    async def write_after_retention_queries(changes: Changes) -> None:
        await ledger.write(lambda c: retention_queries.delete_old_calls(c, before=Instant(2**62)))
        monkeypatch.setattr(worker, "_write", write)
        await write(changes)

    monkeypatch.setattr(worker, "_write", write_after_retention_queries)
    await worker.fold_batch()
    assert await pending(ledger) == {"cloudtalk-1": 1}
    assert "cloudtalk-1" in await ledger.read(lambda c: calls.get_many(c, ["cloudtalk-1"]))


async def test_an_event_whose_call_cannot_be_written_is_set_aside_and_holds_up_no_other(
    ledger: Ledger, worker: FoldWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await append(ledger, *(make_event(name=name) for name in ("a", "poison", "b")))
    write = calls.write

    def fail_on_poison(connection: Connection, new: list[CallRow], changed: list[CallRow]) -> None:
        if any(row.id == "cloudtalk-poison" for row in new):
            raise ValueError("cannot be written")
        write(connection, new, changed)

    monkeypatch.setattr(calls, "write", fail_on_poison)
    with capture_logs() as logs:
        await worker.fold_batch()
    assert await event_states(ledger) == ["folded", "aside", "folded"]
    assert set(await pending(ledger)) == {"cloudtalk-a", "cloudtalk-b"}
    assert [line["event_seq"] for line in logs if line["event"] == "fold.set_aside"] == [2]


async def test_a_worker_that_lost_its_lease_writes_nothing(ledger: Ledger, worker: FoldWorker) -> None:
    await append(ledger, make_event(Kind.STARTED))
    await ledger.write(lambda c: c.execute(leases.update().values(token=99, owner="another")))
    with pytest.raises(LeaseLost):
        await worker.fold_batch()
    assert await event_states(ledger) == ["new"]
    assert await pending(ledger) == {}


# --- the loop ---------------------------------------------------------------------------------------


async def test_the_loop_folds_new_events_and_releases_its_lease_when_cancelled(ledger: Ledger) -> None:
    enqueued = asyncio.Event()
    worker = new_worker(ledger, enqueued.set)
    running = asyncio.create_task(worker.run())
    await append(ledger, make_event(Kind.STARTED))
    worker.wake()
    await asyncio.wait_for(enqueued.wait(), 5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    expires_at = await ledger.read(lambda c: c.execute(select(leases.c.expires_at)).scalar_one())
    assert expires_at == 0


async def test_a_cancellation_at_the_moment_of_a_wake_up_is_not_lost(ledger: Ledger) -> None:
    worker = new_worker(ledger)
    for _ in range(20):
        running = asyncio.create_task(worker.run())
        await asyncio.sleep(0.01)
        worker.wake()
        running.cancel()
        _, still_running = await asyncio.wait([running], timeout=5)
        assert not still_running
