"""The heartbeat of a relay."""

import asyncio
import os
from contextlib import suppress

from relay.instants import SECOND
from relay.ledger import HEAD, Ledger, relays
from relay.ledger.heartbeat import Heartbeat
from relay.ledger.relays import RelayRow
from tests.support.clock import Clock
from tests.support.patience import PATIENCE


async def list_rows(ledger: Ledger) -> list[RelayRow]:
    return await ledger.read(lambda c: relays.list_running(c, now=ledger.now()))


async def test_a_relay_is_listed_while_it_renews_its_row(ledger: Ledger, clock: Clock) -> None:
    started_at = clock.now
    running = asyncio.create_task(Heartbeat(ledger, os.getpid(), interval_seconds=0.01).run())
    async with asyncio.timeout(PATIENCE):
        while not await list_rows(ledger):
            await asyncio.sleep(0.01)
        clock.advance(60)
        while (await list_rows(ledger))[0:] == []:
            await asyncio.sleep(0.01)
    (row,) = await list_rows(ledger)
    assert (row.pid, row.started_at, row.last_seen_at) == (os.getpid(), started_at, started_at + 60 * SECOND)
    assert row.schema_version == HEAD
    assert row.host == row.owner.split("/")[0].split("@")[0]
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert await list_rows(ledger) == []
