"""Who calls are owed to, why one waits, and what only a person ends."""

import asyncio
import threading
from typing import Any

import pytest

from relay.instants import Instant
from relay.ledger import Ledger, deliveries, destinations
from relay.ledger.destinations import BY_OPERATOR, DestinationRow, Pause
from relay.ledger.tables import destinations as table

WRONG_KEY = Pause("unauthorised", 60, "401", "the key is 'wrong'")


async def register(ledger: Ledger, **clients: str) -> None:
    await ledger.write(lambda c: destinations.register(c, clients))


async def one(ledger: Ledger, name: str = "crm") -> DestinationRow:
    return await ledger.read(lambda c: destinations.get(c, name))


async def wait(ledger: Ledger, name: str = "crm") -> None:
    await ledger.write(lambda c: destinations.pause_until(c, name, WRONG_KEY, until=Instant(9)))


async def why(ledger: Ledger, name: str = "crm") -> tuple[Any, ...]:
    row = await one(ledger, name)
    return row.paused_reason, row.paused_until, row.paused_code, row.paused_message


async def test_a_new_destination_is_known_and_does_not_wait(ledger: Ledger) -> None:
    await register(ledger, crm="supabase")
    assert await one(ledger) == DestinationRow(
        name="crm",
        client="supabase",
        delivered_at=None,
        paused_reason=None,
        paused_until=None,
        paused_code=None,
        paused_message=None,
    )


async def test_one_that_waits_says_why_and_until_when(ledger: Ledger) -> None:
    await register(ledger, crm="local", other="local")
    await wait(ledger)
    assert await why(ledger) == ("unauthorised", 9, "401", "the key is 'wrong'")
    assert (await one(ledger, "other")).paused_until is None


async def test_a_wait_ends(ledger: Ledger) -> None:
    await register(ledger, crm="local")
    await wait(ledger)
    await ledger.write(lambda c: destinations.end_pause(c, "crm"))
    assert await why(ledger) == (None, None, None, None)


async def test_a_restart_tries_at_once_what_waited_and_takes_the_new_client(ledger: Ledger) -> None:
    await register(ledger, crm="local")
    await wait(ledger)
    await register(ledger, crm="supabase")
    await ledger.write(lambda c: destinations.probe_all_now(c, now=Instant(5)))
    row = await one(ledger)
    assert (row.client, row.paused_reason, row.paused_until) == ("supabase", "unauthorised", 5)


async def test_only_a_person_ends_a_pause(ledger: Ledger) -> None:
    await register(ledger, crm="local")
    await wait(ledger)
    await ledger.write(lambda c: destinations.pause(c, "crm"))
    assert await why(ledger) == (BY_OPERATOR, None, None, None)
    await wait(ledger)
    await ledger.write(lambda c: destinations.end_pause(c, "crm"))
    await ledger.write(lambda c: destinations.probe_all_now(c, now=Instant(5)))
    assert not await ledger.write(lambda c: destinations.probe_now(c, "crm", now=Instant(5)))
    assert await why(ledger) == (BY_OPERATOR, None, None, None)
    await ledger.write(lambda c: destinations.resume(c, "crm"))
    assert await why(ledger) == (None, None, None, None)


async def test_a_probe_is_due_at_once_where_there_is_a_wait(ledger: Ledger) -> None:
    await register(ledger, crm="local")
    assert not await ledger.write(lambda c: destinations.probe_now(c, "crm", now=Instant(5)))
    await wait(ledger)
    assert await ledger.write(lambda c: destinations.probe_now(c, "crm", now=Instant(5)))
    assert await why(ledger) == ("unauthorised", 5, "401", "the key is 'wrong'")


async def test_a_restart_keeps_when_it_was_delivered_to(ledger: Ledger) -> None:
    await register(ledger, crm="local")
    await ledger.write(lambda c: c.execute(table.update().values(delivered_at=5)))
    await register(ledger, crm="local")
    assert (await one(ledger)).delivered_at == 5


async def test_one_that_left_the_settings_stays_with_what_it_is_owed(ledger: Ledger) -> None:
    await register(ledger, old="local", crm="local")
    await ledger.write(lambda c: deliveries.enqueue(c, [("cloudtalk-1", 1)], now=Instant(1)))
    await register(ledger, crm="local")
    names = [row.name for row in await ledger.read(destinations.list_all)]
    assert names == ["crm", "old"]
    assert (await ledger.read(deliveries.counts_by_destination))["old"].pending == 1


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)  # SQLite's writers take turns anyway
async def test_a_start_waits_for_no_relay_that_hangs_in_a_settlement(ledger: Ledger, url: str) -> None:
    await register(ledger, crm="local")
    holds, thaws = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hang(connection: Any) -> None:
        connection.execute(table.update().values(delivered_at=5))
        loop.call_soon_threadsafe(holds.set)
        thaws.wait(10)

    hanging = asyncio.create_task(ledger.write(hang))
    await holds.wait()
    other = Ledger(url)
    try:
        async with asyncio.timeout(2):
            await register(other, crm="local")
            await other.write(lambda c: destinations.probe_all_now(c, now=Instant(5)))
    finally:
        thaws.set()
        await hanging
        await other.close()
