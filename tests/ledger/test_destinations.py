"""Who calls are owed to, and why one waits."""

from typing import Any

from relay.ledger import Ledger, deliveries, destinations
from relay.ledger.tables import destinations as table


async def register(ledger: Ledger, **clients: str) -> None:
    await ledger.write(lambda c: destinations.register(c, clients))


async def one(ledger: Ledger, name: str = "crm") -> Any:
    return await ledger.read(lambda c: destinations.one(c, name))


async def pause(ledger: Ledger, name: str = "crm") -> None:
    await ledger.write(
        lambda c: destinations.pause(c, name, reason="unauthorised", until=9, message="the key is 'wrong'")
    )


async def test_a_new_destination_is_known_and_does_not_wait(ledger: Ledger) -> None:
    await register(ledger, crm="supabase")
    assert (await one(ledger))._asdict() == {
        "name": "crm",
        "client": "supabase",
        "delivered_at": None,
        "paused_reason": None,
        "paused_until": None,
        "paused_message": None,
    }


async def test_a_paused_destination_says_why_and_until_when(ledger: Ledger) -> None:
    await register(ledger, crm="local", other="local")
    await pause(ledger)
    row = await one(ledger)
    assert (row.paused_reason, row.paused_until, row.paused_message) == (
        "unauthorised",
        9,
        "the key is 'wrong'",
    )
    assert (await one(ledger, "other")).paused_until is None


async def test_a_resumed_destination_waits_no_more(ledger: Ledger) -> None:
    await register(ledger, crm="local")
    await pause(ledger)
    await ledger.write(lambda c: destinations.resume(c, "crm"))
    row = await one(ledger)
    assert (row.paused_reason, row.paused_until, row.paused_message) == (None, None, None)


async def test_a_restart_tries_at_once_what_waited_and_takes_the_new_client(ledger: Ledger) -> None:
    await register(ledger, crm="local")
    await pause(ledger)
    await register(ledger, crm="supabase")
    row = await one(ledger)
    assert (row.client, row.paused_until) == ("supabase", None)


async def test_a_restart_keeps_when_it_was_delivered_to(ledger: Ledger) -> None:
    await register(ledger, crm="local")
    await ledger.write(lambda c: c.execute(table.update().values(delivered_at=5)))
    await register(ledger, crm="local")
    assert (await one(ledger)).delivered_at == 5


async def test_one_that_left_the_settings_stays_with_what_it_is_owed(ledger: Ledger) -> None:
    await register(ledger, old="local", crm="local")
    await ledger.write(lambda c: deliveries.mark(c, [("cloudtalk-1", 1)], now=1))
    await register(ledger, crm="local")
    names = [row.name for row in await ledger.read(destinations.all_of)]
    assert names == ["crm", "old"]
    assert (await ledger.read(deliveries.tallies))["old"].owed == 1
