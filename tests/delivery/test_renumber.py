"""A CRM with a higher version than the ledger: the ledger was restored from an older copy."""

import asyncio
from collections.abc import Sequence

import pytest

from crm_clients.base import Delivered, Outcome, Push
from relay.call import Kind
from relay.delivery import worker as worker_module
from relay.ledger import LedgerUnavailable, epochs
from tests.support.delivering import Delivering, wait_until
from tests.support.samples import T0

EPOCH = 2**32


def keeps(version: int) -> object:
    """The answers of a CRM whose record has this version: it keeps the record if a push has a lower one."""

    def answer(pushes: Sequence[Push]) -> list[Outcome]:
        newer = [version if version > push.call.version else None for push in pushes]
        return [Delivered(remote_id="r", newer_version=each) for each in newer]

    return answer


async def test_a_call_that_the_crm_has_in_a_higher_version_is_pushed_again_in_a_new_epoch(
    relay: Delivering,
) -> None:
    await relay.add_event(Kind.STARTED, started_at=T0)
    async with relay.worker() as worker:
        await relay.wait_for("delivered")
        relay.crm.answer = keeps(5)  # type: ignore[assignment]
        await relay.add_event(Kind.MODIFIED, tags=["new"])
        worker.wake()
        await relay.wait_for("delivered", delivered_version=EPOCH + 1)
    *_, vain, last = (batch[0] for batch in relay.crm.pushed)
    assert (vain.call.version, sorted(vain.changed)) == (2, ["tags"])
    assert (last.call.version, sorted(last.changed), last.first) == (EPOCH + 1, ["tags"], False)
    assert await relay.ledger.read(epochs.current) == 1
    await relay.fold_again()
    await relay.add_event(Kind.MODIFIED, tags=["newer"])
    assert (await relay.delivery()).version == EPOCH + 2


async def test_a_push_that_the_crm_ignored_is_repeated_although_the_relay_stops_before_it_renumbers(
    relay: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = asyncio.Event()

    async def stop(*_: object) -> None:
        stopped.set()
        raise LedgerUnavailable("the process ends here")

    relay.crm.answer = keeps(5)  # type: ignore[assignment]
    await relay.add_event(Kind.MODIFIED, tags=["new"])
    monkeypatch.setattr(worker_module, "renumber_calls", stop)
    async with relay.worker():
        await stopped.wait()
    monkeypatch.undo()
    async with relay.worker():
        await relay.wait_for("delivered", delivered_version=EPOCH + 1)
    assert relay.crm.pushed[-1][0].call.tags == ["new"]


@pytest.mark.parametrize("version", [2**53, 2**62, 2**63 - 1, 10**30, -1])
async def test_an_impossible_version_in_the_crm_begins_no_epoch(relay: Delivering, version: int) -> None:
    def keep(pushes: Sequence[Push]) -> list[Outcome]:
        return [Delivered(remote_id="r", newer_version=version) for _ in pushes]

    relay.crm.answer = keep
    await relay.add_event(Kind.MODIFIED, tags=["late"])
    async with relay.worker():
        await relay.wait_for("delivered", delivered_version=1)
    assert await relay.ledger.read(epochs.current) == 0


async def test_the_epoch_is_above_that_of_the_record(relay: Delivering) -> None:
    relay.crm.answer = keeps(7 * EPOCH + 3)  # type: ignore[assignment]
    await relay.add_event(Kind.MODIFIED, tags=["late"])
    async with relay.worker():
        await relay.wait_for("delivered", delivered_version=8 * EPOCH + 1)
    assert [batch[0].call.version for batch in relay.crm.pushed] == [1, 8 * EPOCH + 1]


async def test_a_change_from_before_a_known_restore_replaces_no_newer_record(
    relay: Delivering,
) -> None:
    await relay.add_event(Kind.STARTED, started_at=T0)
    await relay.ledger.write(lambda c: epochs.begin(c, now=relay.ledger.now()))
    relay.crm.answer = keeps(5)  # type: ignore[assignment]
    async with relay.worker() as worker:
        delivery = await relay.wait_for("delivered")
        await worker.finish_round()
    assert (delivery.delivered_version, len(relay.crm.pushed)) == (1, 1)


async def test_a_replay_replaces_a_newer_record_of_an_earlier_epoch(relay: Delivering) -> None:
    await relay.replay_delivered("1")
    await relay.ledger.write(lambda c: epochs.begin(c, now=relay.ledger.now()))
    relay.crm.versions_stored = {"cloudtalk-1": 5}
    relay.crm.answer = keeps(5)  # type: ignore[assignment]
    async with relay.worker():
        await relay.wait_for("delivered", delivered_version=EPOCH + 1)
    assert [batch[0].call.version for batch in relay.crm.pushed] == [1, EPOCH + 1]


async def test_a_replay_writes_a_record_of_another_version_whole(relay: Delivering) -> None:
    for name in "12":
        await relay.add_event(Kind.STARTED, name, started_at=T0)
    relay.crm.versions_stored = {"cloudtalk-1": 1, "cloudtalk-2": 0}
    async with relay.worker() as worker:
        for name in "12":
            await relay.wait_for("delivered", f"cloudtalk-{name}")
        relay.crm.pushed.clear()
        await relay.replay("1", "2")
        worker.wake()
        await wait_until(lambda: bool(relay.crm.pushed))
        await relay.wait_for("delivered", "cloudtalk-1", outcome="found")
    ((push,),) = relay.crm.pushed
    assert (push.call.id, push.first, push.rewrite) == ("cloudtalk-2", False, True)
