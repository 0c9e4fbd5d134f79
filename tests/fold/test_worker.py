"""The fold worker on a real ledger: what it writes, and what it survives."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from relay.call import CallEvent, Kind
from relay.fold import Changes, FoldOptions, FoldWorker, Snapshot, matching, plan_changes
from relay.instants import Instant, duration
from relay.ledger import (
    LeaseLost,
    Ledger,
    LedgerUnavailable,
    aliases,
    calls,
    destinations,
    journal,
    retention_queries,
)
from relay.ledger.aliases import Alias, AliasReason
from relay.ledger.calls import CallRow
from relay.ledger.connection import Connection
from relay.ledger.errors import LedgerTimeout
from relay.ledger.journal import NewEvent, UnfoldedEvent
from relay.ledger.tables import deliveries, events, leases
from relay.standards.wake_up import WakeUp
from tests.support.clock import Clock
from tests.support.counting import count_transactions
from tests.support.ledgers import open_ledger
from tests.support.patience import PATIENCE
from tests.support.samples import T0, make_event, make_event_with_ids


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Ledger]:
    async with open_ledger(ledger_url) as ledger:
        await ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
        yield ledger


def new_worker(
    ledger: Ledger, on_enqueue: Callable[[], None] = lambda: None, *, grace_seconds: float = 0
) -> FoldWorker:
    options = FoldOptions(grace=duration(grace_seconds))
    return FoldWorker(ledger, options=options, has_backlog=lambda: True, on_enqueue=on_enqueue)


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


# --- waits ------------------------------------------------------------------------------------------

DAY = 86_400


@pytest.mark.parametrize("set_back_by", [0.001, 60, 121, DAY, 800 * DAY])
async def test_a_clock_that_is_set_back_ends_no_wait(ledger_url: str, set_back_by: float) -> None:
    clock = Clock()
    async with open_ledger(ledger_url, clock=clock) as ledger:
        worker = new_worker(ledger, grace_seconds=120)
        await worker.lease.acquire()
        await append(ledger, make_event_with_ids(Kind.RECORDING, "id:1"))
        assert await worker.fold_batch() == 1
        clock.advance(-set_back_by)
        await worker.lease.preempt()
        await worker.fold_batch()
        assert await event_states(ledger) == ["waiting"]
        clock.advance(119)
        assert await worker.fold_batch() == 0
        await append(ledger, make_event_with_ids(Kind.ENDED, "uuid:u", "id:1"))
        assert await worker.fold_batch() == 1
        await worker.fold_batch()
        rows = await ledger.read(lambda c: calls.get_many(c, ["cloudtalk-u"]))
        assert (rows["cloudtalk-u"].record.call_id, await event_states(ledger)) == ("1", ["folded"] * 2)


async def test_a_wait_that_began_again_ends_after_the_grace_period(ledger_url: str) -> None:
    clock = Clock()
    async with open_ledger(ledger_url, clock=clock) as ledger:
        worker = new_worker(ledger, grace_seconds=120)
        await worker.lease.acquire()
        await append(ledger, make_event_with_ids(Kind.RECORDING, "id:1"))
        await worker.fold_batch()
        clock.advance(-DAY)
        await worker.lease.preempt()
        assert [await worker.fold_batch(), await worker.fold_batch()] == [1, 0]
        clock.advance(120)
        await worker.lease.preempt()
        assert await worker.fold_batch() == 1
        assert await event_states(ledger) == ["folded"]


# --- one batch --------------------------------------------------------------------------------------


async def test_a_batch_writes_the_call_its_alias_and_a_pending_delivery(
    ledger: Ledger, worker: FoldWorker
) -> None:
    await append(ledger, make_event(Kind.STARTED), make_event(Kind.ENDED))
    assert await worker.fold_batch() == 2
    assert await worker.fold_batch() == 0
    assert await pending(ledger) == {"cloudtalk-1": 1}
    assert await ledger.read(lambda c: aliases.get_many(c, ["id:1"])) == [
        Alias("id:1", "cloudtalk-1", AliasReason.STATED)
    ]
    assert await event_states(ledger) == ["folded", "folded"]


async def test_internal_calls_are_enqueued_too_because_the_delivery_worker_decides(
    ledger: Ledger, worker: FoldWorker
) -> None:
    await append(ledger, make_event(Kind.STARTED, name="a", direction="internal"))
    await worker.fold_batch()
    assert await pending(ledger) == {"cloudtalk-a": 1}


async def test_an_event_of_a_call_that_is_pruned_meanwhile_continues_it(
    ledger: Ledger, worker: FoldWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await append(ledger, make_event(Kind.STARTED))
    await worker.fold_batch()
    await ledger.write(
        lambda c: c.execute(deliveries.update().values(state="delivered", delivered_version=1))
    )
    await append(ledger, make_event(Kind.ENDED, occurred_at=T0 + 1))
    write = worker._write

    async def write_after_retention_queries(changes: Changes) -> None:
        await ledger.write(
            lambda c: retention_queries.delete_old_calls(c, before=Instant(2**62), now=Instant(7))
        )
        monkeypatch.setattr(worker, "_write", write)
        await write(changes)

    monkeypatch.setattr(worker, "_write", write_after_retention_queries)
    await worker.fold_batch()
    assert await pending(ledger) == {"cloudtalk-1": 2}
    assert "cloudtalk-1" in await ledger.read(lambda c: calls.get_many(c, ["cloudtalk-1"]))


@pytest.mark.parametrize("is_woken", [False, True])
async def test_an_event_whose_call_cannot_be_written_is_set_aside_and_holds_up_no_other(
    ledger: Ledger, worker: FoldWorker, monkeypatch: pytest.MonkeyPatch, is_woken: bool
) -> None:
    await append(ledger, *(make_event(name=name) for name in ("a", "poison", "b")))
    if is_woken:
        worker.wake()
    write = calls.write

    def fail_on_poison(
        connection: Connection, new: list[CallRow], changed: list[CallRow], *, same_terms: set[str]
    ) -> None:
        if any(row.id == "cloudtalk-poison" for row in new):
            raise ValueError("cannot be written")
        write(connection, new, changed, same_terms=same_terms)

    monkeypatch.setattr(calls, "write", fail_on_poison)
    with capture_logs() as logs:
        await worker.fold_batch()
    assert await event_states(ledger) == ["folded", "aside", "folded"]
    assert set(await pending(ledger)) == {"cloudtalk-a", "cloudtalk-b"}
    assert [line["event_seq"] for line in logs if line["event"] == "fold.set_aside"] == [2]


# --- faults of the machine --------------------------------------------------------------------------


MACHINE_FAULTS = [MemoryError(), RecursionError("too deep"), OSError(28, "No space left on device")]


@pytest.mark.parametrize("error", MACHINE_FAULTS, ids=repr)
@pytest.mark.parametrize("place", ["plan", "write"])
async def test_a_fault_of_the_machine_sets_no_event_aside(
    ledger: Ledger, worker: FoldWorker, monkeypatch: pytest.MonkeyPatch, error: Exception, place: str
) -> None:
    await append(ledger, make_event(name="a"), make_event(name="b"))

    def fail(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        if place == "plan":
            patch.setattr("relay.fold.changes.join_event", lambda *_, **__: fail())
        else:
            patch.setattr(calls, "write", fail)
        for _ in range(12):  # more often than batches can be made smaller
            worker.wake()
            with pytest.raises(LedgerUnavailable):
                await worker.fold_batch()
    assert await event_states(ledger) == ["new", "new"]
    while await worker.fold_batch():
        pass
    assert await event_states(ledger) == ["folded", "folded"]


def fail_on(name: str, patch: pytest.MonkeyPatch, most: int = 1) -> list[int]:
    """Let each batch that has this event, or more than `most` events, time out; return the sizes of all."""
    sizes: list[int] = []
    plan = plan_changes

    def plan_or_time_out(batch: Sequence[UnfoldedEvent], snapshot: Snapshot) -> Changes:
        sizes.append(len(batch))
        if len(batch) > most or any(event.parsed.name == name for event in batch):
            raise LedgerTimeout("it takes too long")
        return plan(batch, snapshot)

    patch.setattr("relay.fold.worker.plan_changes", plan_or_time_out)
    return sizes


async def fold_through_failures(worker: FoldWorker, tries: int = 100) -> None:
    """Fold until nothing is left, again after each failure, as the loop does."""
    for _ in range(tries):
        try:
            if not await worker.fold_batch():
                return
        except LedgerUnavailable:
            await worker.lease.acquire()
    raise AssertionError("the fold makes no progress")


async def test_a_batch_that_times_out_is_made_smaller_until_it_can_be_folded(
    ledger: Ledger, worker: FoldWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await append(ledger, *(make_event(name=str(n)) for n in range(20)))
    sizes = fail_on("none", monkeypatch, most=3)
    await fold_through_failures(worker)
    assert await event_states(ledger) == ["folded"] * 20
    assert max(sizes) == 20
    assert 3 in sizes


async def test_an_event_that_times_out_alone_is_set_aside_and_the_others_are_folded(
    ledger: Ledger, worker: FoldWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await append(ledger, *(make_event(name=name) for name in ("a", "poison", "b")))
    fail_on("poison", monkeypatch)
    await fold_through_failures(worker)
    assert await event_states(ledger) == ["folded", "aside", "folded"]


async def test_batches_grow_again_after_a_fault(
    ledger: Ledger, worker: FoldWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await append(ledger, *(make_event(name=str(n)) for n in range(40)))
    with monkeypatch.context() as patch:
        patch.setattr(calls, "write", lambda *_, **__: (_ for _ in ()).throw(OSError(5, "I/O error")))
        for _ in range(12):
            with pytest.raises(LedgerUnavailable):
                await worker.fold_batch()
    sizes = [await worker.fold_batch() for _ in range(6)]
    assert sizes[:4] == [1, 1, 3, 6]
    assert sum(sizes) == 40


async def test_a_worker_that_lost_its_lease_writes_nothing(ledger: Ledger, worker: FoldWorker) -> None:
    await append(ledger, make_event(Kind.STARTED))
    await ledger.write(lambda c: c.execute(leases.update().values(token=99, owner="another")))
    with pytest.raises(LeaseLost):
        await worker.fold_batch()
    assert await event_states(ledger) == ["new"]
    assert await pending(ledger) == {}


# --- counted work -----------------------------------------------------------------------------------


async def fold_all(worker: FoldWorker, patch: pytest.MonkeyPatch) -> None:
    """Wake the loop, and run it until it waits for another wake-up."""
    idle = asyncio.Event()

    async def wait(wake_up: WakeUp, _seconds: float) -> None:
        if not wake_up.is_set():
            idle.set()
            await asyncio.Event().wait()

    patch.setattr(WakeUp, "wait", wait)
    worker.wake()
    serving = asyncio.create_task(worker._serve())
    await asyncio.wait_for(idle.wait(), 10)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


def calls_of(count: int, *kinds: Kind) -> list[CallEvent]:
    """Events of so many calls, each of these kinds for all calls before the next kind."""
    return [
        make_event(kind, name=str(number), occurred_at=T0 + at)
        for at, kind in enumerate(kinds)
        for number in range(count)
    ]


@pytest.fixture
def folds_few(ledger: Ledger) -> bool:
    """Whether the fold of a few events is one transaction: not on PostgreSQL, where it sees no snapshot."""
    return ledger.path is not None


async def test_an_event_that_arrives_alone_costs_one_transaction(
    ledger: Ledger, worker: FoldWorker, monkeypatch: pytest.MonkeyPatch, folds_few: bool
) -> None:
    await append(ledger, make_event(Kind.STARTED))
    with count_transactions(ledger) as first:
        await fold_all(worker, monkeypatch)
    await append(ledger, make_event(Kind.ENDED))
    with count_transactions(ledger) as later:
        await fold_all(worker, monkeypatch)
    # PostgreSQL needs a statement to notify other relays of a delivery.
    assert first == ([("write", 14)] if folds_few else [("read", 6), ("write", 9)])
    assert later == ([("write", 10)] if folds_few else [("read", 5), ("write", 6)])
    assert await event_states(ledger) == ["folded", "folded"]


async def test_many_events_cost_two_transactions_and_no_statement_each(
    ledger: Ledger, worker: FoldWorker, monkeypatch: pytest.MonkeyPatch, folds_few: bool
) -> None:
    await append(ledger, *calls_of(100, Kind.STARTED))
    with count_transactions(ledger) as first:
        await fold_all(worker, monkeypatch)
    await append(ledger, *calls_of(100, Kind.ENDED))
    with count_transactions(ledger) as later:
        await fold_all(worker, monkeypatch)
    assert first == ([("write", 14), ("read", 6), ("write", 8)] if folds_few else [("read", 6), ("write", 9)])
    assert later == [("read", 5), ("write", 5 if folds_few else 6)]
    assert set(await event_states(ledger)) == {"folded"}


async def test_an_event_that_changes_no_record_enqueues_nothing(
    ledger: Ledger, worker: FoldWorker, monkeypatch: pytest.MonkeyPatch, folds_few: bool
) -> None:
    await append(ledger, make_event(Kind.STARTED))
    await worker.fold_batch()
    await append(ledger, make_event(Kind.STARTED))
    with count_transactions(ledger) as counted:
        await fold_all(worker, monkeypatch)
    assert counted == ([("write", 8)] if folds_few else [("read", 5), ("write", 3)])


async def test_the_loop_looks_again_after_a_full_batch_without_a_wake_up(
    ledger: Ledger, worker: FoldWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await append(ledger, *calls_of(120, Kind.STARTED, Kind.RINGING, Kind.ANSWERED, Kind.ENDED, Kind.MODIFIED))
    await fold_all(worker, monkeypatch)
    assert await event_states(ledger) == ["folded"] * 600


async def test_the_loop_folds_events_whose_wait_a_batch_ended_without_a_wake_up(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = new_worker(ledger, grace_seconds=120)
    await worker.lease.acquire()
    await append(ledger, make_event_with_ids(Kind.RECORDING, "id:1"))
    await worker.fold_batch()
    await append(ledger, make_event_with_ids(Kind.ENDED, "uuid:u", "id:1"))
    await fold_all(worker, monkeypatch)
    assert await event_states(ledger) == ["folded", "folded"]


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
        _, still_running = await asyncio.wait([running], timeout=PATIENCE)
        assert not still_running


# --- the limit of aliases -------------------------------------------------------------------------


async def test_ids_beyond_the_limit_are_stored_nowhere_and_logged_once_per_batch(
    ledger: Ledger, worker: FoldWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "MOST_ALIASES", 3)
    uuid = "0f6a3c1e-2b4d-4c8e-9a51-7d2e8b3c4f60"
    legs = [make_event_with_ids(Kind.MODIFIED, f"uuid:{uuid}", f"id:{n}", notes=f"{n}") for n in range(6)]
    with capture_logs() as logs:
        for parsed in (legs[:1], legs[1:]):
            await append(ledger, *parsed)
            await worker.fold_batch()
    stored = [f"uuid:{uuid}", "id:0", "id:1"]
    found = await ledger.read(lambda c: aliases.get_many(c, [*stored, "id:2", "id:3", "id:4", "id:5"]))
    assert {alias.alias: alias.call for alias in found} == dict.fromkeys(stored, f"cloudtalk-{uuid}")
    (row,) = (await ledger.read(lambda c: calls.get_many(c, [f"cloudtalk-{uuid}"]))).values()
    assert (row.state.aliases, row.record.notes) == (sorted(stored), "5")
    assert await event_states(ledger) == ["folded"] * 6
    assert [line for line in logs if line["event"] == "fold.too_many_ids"] == [
        {"event": "fold.too_many_ids", "log_level": "warning", "call": f"cloudtalk-{uuid}", "events": 4}
    ]
