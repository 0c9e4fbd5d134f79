"""Locks by key: holders of one key wait for each other, nothing deadlocks, no unused lock is kept."""

import asyncio

import pytest

from crm_clients.locks import KeyedLock


async def test_holders_of_a_common_key_wait_and_others_run_at_once() -> None:
    locks = KeyedLock()
    log: list[str] = []
    proceed = asyncio.Event()

    async def hold(name: str, *keys: str) -> None:
        async with locks.acquire(keys):
            log.append(f"{name} begins")
            await proceed.wait()
            log.append(f"{name} ends")

    holders = asyncio.gather(hold("first", "a", "b"), hold("second", "b", "a"), hold("other", "c"))
    await asyncio.sleep(0)
    proceed.set()
    await holders
    assert log.index("first ends") < log.index("second begins")
    assert log.index("other begins") < log.index("first ends")
    assert vars(locks)["_locks"] == {}


async def test_a_waiter_that_is_cancelled_blocks_nobody() -> None:
    locks = KeyedLock()
    async with locks.acquire(["b"]):
        waiting = asyncio.create_task(_acquire(locks, "a", "b"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(_acquire(locks, "a"), 1)
    await asyncio.wait_for(_acquire(locks, "a", "b"), 1)
    assert vars(locks)["_locks"] == {}


async def _acquire(locks: KeyedLock, *keys: str) -> None:
    async with locks.acquire(keys):
        pass
