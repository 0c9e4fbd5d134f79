"""The client state of a destination, as its client sees it."""

from typing import cast

from relay.delivery import LedgerClientState
from relay.ledger import Ledger
from tests.support.clock import Clock
from tests.support.ledgers import open_ledger


async def test_a_value_has_the_age_that_the_ledgers_clock_gives_it(ledger_url: str) -> None:
    clock = Clock()
    async with open_ledger(ledger_url, clock=clock) as ledger:
        state = LedgerClientState(ledger, "crm")
        await state.set_many({"old": "1", "removed": "1"})
        clock.advance(60)
        await state.set_many({"new": "2", "removed": None})
        keys = ["old", "new", "removed", "never"]
        assert await state.get_many(keys) == {"old": "1", "new": "2"}
        assert await state.get_many(keys, max_age_seconds=60) == {"old": "1", "new": "2"}
        assert await state.get_many(keys, max_age_seconds=59.5) == {"new": "2"}
        assert await LedgerClientState(ledger, "other").get_many(keys) == {}


async def test_without_keys_the_ledger_is_not_used() -> None:
    state = LedgerClientState(cast("Ledger", object()), "crm")
    assert await state.get_many([]) == {}
    assert await state.get_many({}, max_age_seconds=1) == {}
    await state.set_many({})
