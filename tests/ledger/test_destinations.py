"""Destinations and their pauses: an automatic pause has an end, a pause by an operator has none."""

import asyncio
import threading
from typing import Any

import pytest

from relay.instants import Instant
from relay.ledger import Ledger, deliveries, destinations
from relay.ledger.connection import Connection
from relay.ledger.destinations import BY_OPERATOR, DestinationRow, Pause
from relay.ledger.tables import destinations as table
from tests.support.deliveries import enqueue
from tests.support.patience import PATIENCE

WRONG_KEY = Pause("unauthorised", 60, "401", "the key is 'wrong'")


async def register(ledger: Ledger, **clients: str) -> None:
    await ledger.write(lambda c: destinations.register(c, clients))


async def get(ledger: Ledger, name: str = "crm") -> DestinationRow:
    return await ledger.read(lambda c: destinations.get(c, name))


async def pause_until(ledger: Ledger, *, now: int = 1) -> None:
    def write(connection: Connection) -> None:
        destinations.pause_until(connection, "crm", WRONG_KEY, until=Instant(9), now=Instant(now))

    await ledger.write(write)


async def pause_of(ledger: Ledger) -> tuple[Any, ...]:
    row = await get(ledger)
    return row.paused_reason, row.paused_until, row.paused_code, row.paused_message


async def test_a_new_destination_is_not_paused(ledger: Ledger) -> None:
    await register(ledger, crm="supabase")
    assert await get(ledger) == DestinationRow(
        name="crm",
        client="supabase",
        delivered_at=None,
        paused_reason=None,
        paused_until=None,
        paused_since=None,
        paused_code=None,
        paused_message=None,
    )


async def test_one_destination_has_the_time_of_its_delivery(ledger: Ledger) -> None:
    await register(ledger, crm="local", other="local")
    await ledger.write(lambda c: destinations.set_delivered_at(c, "crm", now=Instant(7)))
    assert [(await get(ledger, name)).delivered_at for name in ("crm", "other")] == [7, None]


async def test_an_automatic_pause_has_a_reason_and_an_end(ledger: Ledger) -> None:
    await register(ledger, crm="local", other="local")
    await pause_until(ledger)
    assert await pause_of(ledger) == ("unauthorised", 9, "401", "the key is 'wrong'")
    assert (await get(ledger, "other")).paused_until is None


async def test_an_automatic_pause_can_be_ended(ledger: Ledger) -> None:
    await register(ledger, crm="local")
    await pause_until(ledger)
    await ledger.write(lambda c: destinations.end_pause(c, "crm"))
    assert await pause_of(ledger) == (None, None, None, None)


async def test_a_restart_ends_automatic_pauses_now_and_stores_the_new_client(ledger: Ledger) -> None:
    await register(ledger, crm="local")
    await pause_until(ledger)
    await register(ledger, crm="supabase")
    await ledger.write(lambda c: destinations.probe_now(c, "crm", now=Instant(5)))
    row = await get(ledger)
    assert (row.client, row.paused_reason, row.paused_until) == ("supabase", "unauthorised", 5)


async def test_only_an_operator_ends_a_pause_by_an_operator(ledger: Ledger) -> None:
    await register(ledger, crm="local")
    await pause_until(ledger)
    await ledger.write(lambda c: destinations.pause(c, "crm", now=Instant(1)))
    assert await pause_of(ledger) == ("paused", None, None, None)
    await pause_until(ledger)
    await ledger.write(lambda c: destinations.end_pause(c, "crm"))
    assert not await ledger.write(lambda c: destinations.probe_now(c, "crm", now=Instant(5)))
    assert await pause_of(ledger) == (BY_OPERATOR, None, None, None)
    await ledger.write(lambda c: destinations.resume(c, "crm"))
    assert await pause_of(ledger) == (None, None, None, None)


async def test_a_destination_has_the_begin_of_its_pause_whatever_the_reasons(ledger: Ledger) -> None:
    async def paused_since() -> int | None:
        return (await get(ledger)).paused_since

    await register(ledger, crm="local", other="local")
    await pause_until(ledger, now=3)
    await pause_until(ledger, now=4)
    assert await paused_since() == 3
    await ledger.write(lambda c: destinations.pause(c, "crm", now=Instant(5)))
    assert await paused_since() == 3
    await ledger.write(lambda c: destinations.resume(c, "crm"))
    assert await paused_since() is None
    await ledger.write(lambda c: destinations.pause(c, "crm", now=Instant(6)))
    assert await paused_since() == 6
    await ledger.write(lambda c: destinations.resume(c, "crm"))
    await pause_until(ledger, now=7)
    await ledger.write(lambda c: destinations.end_pause(c, "crm"))
    assert await paused_since() is None
    assert (await get(ledger, "other")).paused_since is None


async def test_a_probe_ends_an_automatic_pause_now_and_does_nothing_without_one(ledger: Ledger) -> None:
    await register(ledger, crm="local")
    assert not await ledger.write(lambda c: destinations.probe_now(c, "crm", now=Instant(5)))
    await pause_until(ledger)
    assert await ledger.write(lambda c: destinations.probe_now(c, "crm", now=Instant(5)))
    assert await pause_of(ledger) == ("unauthorised", 5, "401", "the key is 'wrong'")


async def test_a_restart_keeps_the_time_of_the_last_delivery(ledger: Ledger) -> None:
    await register(ledger, crm="local")
    await ledger.write(lambda c: c.execute(table.update().values(delivered_at=5)))
    await register(ledger, crm="local")
    assert (await get(ledger)).delivered_at == 5


async def test_a_destination_that_left_the_settings_keeps_its_pending_deliveries(ledger: Ledger) -> None:
    await register(ledger, old="local", crm="local")
    await enqueue(ledger, ("cloudtalk-1", 1))
    await register(ledger, crm="local")
    names = [row.name for row in await ledger.read(destinations.list_all)]
    assert names == ["crm", "old"]
    assert (await ledger.read(deliveries.counts_by_destination))["old"].pending == 1


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)  # SQLite has no row locks
async def test_a_start_does_not_wait_for_a_process_that_hangs(ledger: Ledger, url: str) -> None:
    await register(ledger, crm="local")
    row_is_locked, may_continue = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hang(connection: Any) -> None:
        connection.execute(table.update().values(delivered_at=5))
        loop.call_soon_threadsafe(row_is_locked.set)
        may_continue.wait(PATIENCE)

    hanging = asyncio.create_task(ledger.write(hang))
    await row_is_locked.wait()
    other = Ledger(url)
    try:
        async with asyncio.timeout(PATIENCE):
            await register(other, crm="local")
            await other.write(lambda c: destinations.probe_now(c, "crm", now=Instant(5)))
    finally:
        may_continue.set()
        await hanging
        await other.close()
