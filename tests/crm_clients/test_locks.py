"""One at a time per name, nobody in a circle, and nothing kept afterwards."""

import asyncio

import pytest

from crm_clients.locks import KeyedLock


async def test_who_shares_a_name_waits_and_who_does_not_goes_on() -> None:
    turns = KeyedLock()
    inside: list[str] = []

    async def take(who: str, *names: str) -> None:
        async with turns.of(names):
            inside.append(who)
            await asyncio.sleep(0.02)
            inside.append(f"{who} left")

    await asyncio.gather(take("one", "a", "b"), take("two", "b", "a"), take("three", "c"))
    assert inside.index("one left") < inside.index("two")
    assert inside.index("three") < inside.index("one left")
    assert vars(turns)["_locks"] == {}


async def test_one_that_is_cancelled_while_it_waits_holds_nobody_up() -> None:
    turns = KeyedLock()
    async with turns.of(["b"]):
        waiting = asyncio.create_task(_take(turns, "a", "b"))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(_take(turns, "a"), 1)
    await asyncio.wait_for(_take(turns, "a", "b"), 1)
    assert vars(turns)["_locks"] == {}


async def _take(turns: KeyedLock, *names: str) -> None:
    async with turns.of(names):
        pass
