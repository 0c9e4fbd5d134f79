import asyncio

import pytest

from crm_clients.locks import KeyedLock


async def hold_briefly(lock: KeyedLock, *keys: str) -> None:
    async with lock.acquire(keys):
        pass


async def test_tasks_with_a_common_key_run_one_after_the_other_and_others_at_once() -> None:
    lock = KeyedLock()
    events: list[str] = []
    proceed = asyncio.Event()

    async def run(name: str, *keys: str) -> None:
        async with lock.acquire(keys):
            events.append(f"{name} begins")
            await proceed.wait()
            events.append(f"{name} ends")

    async with asyncio.TaskGroup() as group:
        group.create_task(run("first", "a", "b"))
        group.create_task(run("second", "b", "a"))
        other = group.create_task(run("other", "c"))
        while "other begins" not in events:
            await asyncio.sleep(0)
        assert events == ["first begins", "other begins"]
        proceed.set()
        await other
    assert events.index("first ends") < events.index("second begins")
    assert vars(lock)["_locks"] == {}


async def test_a_cancelled_waiter_releases_what_it_holds() -> None:
    lock = KeyedLock()
    async with lock.acquire(["b"]):
        waiting = asyncio.create_task(hold_briefly(lock, "a", "b"))
        while "a" not in vars(lock)["_locks"]:
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(hold_briefly(lock, "a"), 1)
    await asyncio.wait_for(hold_briefly(lock, "a", "b"), 1)
    assert vars(lock)["_locks"] == {}
