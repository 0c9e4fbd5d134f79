"""Time for a unit test: it moves only when something sleeps."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest


class FakeTime:
    """`clock` and `sleep` for classes that take both; `slept` lists the requested waits in seconds."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def replace_sleep(monkeypatch: pytest.MonkeyPatch, sleep: Callable[[float], Awaitable[None]]) -> None:
    """Replace `asyncio.sleep` in this thread. The servers of other tests run in threads of their own."""
    really_sleep, own_thread = asyncio.sleep, threading.get_ident()

    async def replaced(seconds: float, result: Any = None) -> Any:
        if threading.get_ident() == own_thread:
            await sleep(seconds)
            return result
        return await really_sleep(seconds, result)

    monkeypatch.setattr(asyncio, "sleep", replaced)
