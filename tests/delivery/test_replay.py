"""A replay makes calls pending again, page by page, beside a relay that serves."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from relay.delivery.replay import Replay, ReplayResult
from relay.instants import Duration, Instant
from relay.ledger import LeaseLost, Ledger, calls, deliveries, destinations, leases
from tests.support.clock import Clock
from tests.support.ledgers import open_ledger
from tests.support.samples import make_call_row

NOW = 1_000


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    """Seven calls that began a microsecond apart; the last one is internal."""
    rows = [msgspec.structs.replace(make_call_row(f"call-{at}", 1), began_at=at) for at in range(1, 7)]
    internal = msgspec.structs.replace(make_call_row("call-7", 1, direction="internal"), began_at=7)
    async with open_ledger(f"sqlite:///{tmp_path / 'relay.db'}", clock=Clock(NOW)) as ledger:
        await ledger.write(lambda c: calls.write(c, [*rows, internal], []))
        yield ledger


def replay_of(ledger: Ledger, *names: str, forward_internal: bool = False) -> Replay:
    clients = dict.fromkeys(names, "local")
    return Replay(ledger, clients, forward_internal=forward_internal, calls_per_transaction=3)


async def pending(ledger: Ledger, name: str = "crm") -> list[str]:
    def list_pending(connection: Any) -> list[str]:
        ids = [f"call-{at}" for at in range(1, 8)]
        rows = [row for id_ in ids for row in deliveries.list_for_call(connection, id_)]
        return [row.call[5:] for row in rows if row.destination == name and row.state == "pending"]

    return await ledger.read(list_pending)


def ignore(_done: int, _total: int) -> None:
    """Show no progress."""


async def test_every_external_call_is_pending_for_every_destination(ledger: Ledger) -> None:
    done = await replay_of(ledger, "crm", "other").replay_between(None, None, ignore)
    assert done == ReplayResult(["crm", "other"], calls=6, left_out=1)
    assert await pending(ledger) == await pending(ledger, "other") == list("123456")


async def test_internal_calls_are_pending_if_they_are_forwarded(ledger: Ledger) -> None:
    done = await replay_of(ledger, "crm", forward_internal=True).replay_between(None, None, ignore)
    assert (done.calls, done.left_out) == (7, 0)
    assert await pending(ledger) == list("1234567")


async def test_only_calls_that_began_in_the_period_are_pending(ledger: Ledger) -> None:
    done = await replay_of(ledger, "crm").replay_between(Instant(2), Instant(6), ignore)
    assert done.calls == 4
    assert await pending(ledger) == list("2345")


async def test_progress_is_reported_after_each_page(ledger: Ledger) -> None:
    seen: list[tuple[int, int]] = []
    await replay_of(ledger, "crm").replay_between(
        Instant(2), None, lambda done, total: seen.append((done, total))
    )
    assert seen == [(3, 6), (6, 6), (6, 6)]


async def test_a_period_without_calls_makes_nothing_pending(ledger: Ledger) -> None:
    assert await replay_of(ledger, "crm").replay_between(Instant(8), None, ignore) == ReplayResult(["crm"])


async def test_only_the_calls_with_these_ids_are_pending(ledger: Ledger) -> None:
    done = await replay_of(ledger, "crm").replay_calls(["call-2", "call-4", "call-7", "unknown"])
    assert done == ReplayResult(["crm"], calls=2, left_out=1)
    assert await pending(ledger) == ["2", "4"]


async def test_a_merged_call_is_left_out(ledger: Ledger) -> None:
    row = make_call_row("call-2", 2)
    merged = msgspec.structs.replace(row, record=msgspec.structs.replace(row.record, merged_into="call-1"))
    await ledger.write(lambda c: calls.write(c, [], [merged]))
    await replay_of(ledger, "crm").replay_between(None, Instant(4), ignore)
    assert await pending(ledger) == ["1", "3"]
    assert (await replay_of(ledger, "crm").replay_calls(["call-2"])).left_out == 1


async def test_a_pending_delivery_is_raised_to_the_newest_version(ledger: Ledger) -> None:
    await ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
    await ledger.write(lambda c: deliveries.enqueue(c, [("call-1", 1)], now=Instant(1)))
    await ledger.write(lambda c: calls.write(c, [], [make_call_row("call-1", 5)]))
    await replay_of(ledger, "crm").replay_calls(["call-1"])
    (delivery,) = await ledger.read(lambda c: deliveries.list_for_call(c, "call-1"))
    assert delivery.version == 5


async def test_a_destination_that_the_ledger_does_not_know_is_registered(ledger: Ledger) -> None:
    await replay_of(ledger, "crm").replay_between(None, None, ignore)
    assert [(row.name, row.client) for row in await ledger.read(destinations.list_all)] == [("crm", "local")]


async def test_it_preempts_the_lease_of_the_fold_and_releases_it(ledger: Ledger) -> None:
    def acquire(connection: Any, owner: str) -> int | None:
        return leases.acquire(connection, "fold", owner, now=Instant(NOW), length=Duration(9_000_000))

    token = await ledger.write(lambda c: acquire(c, "elsewhere/1/1"))
    assert token is not None
    await replay_of(ledger, "crm").replay_calls(["call-1"])
    with pytest.raises(LeaseLost):
        await ledger.write(lambda c: leases.check(c, "fold", token, now=Instant(NOW), length=Duration(1)))
    assert await ledger.write(lambda c: acquire(c, "elsewhere/1/1")) == token + 2
