"""What the benchmark does if rows do not arrive."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import pytest

from bench import freshness
from bench.result import BenchError


class SilentCrm:
    """A CRM that never has a new row."""

    settings = ""

    def rows(self) -> list[dict[str, Any]]:
        return []

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[list[str]]]:
        async with aclosing(self._wait()) as rows:
            yield rows

    async def _wait(self) -> AsyncGenerator[list[str], None]:
        await asyncio.Event().wait()
        yield []


async def test_rows_that_do_not_arrive_end_the_benchmark_with_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def send(*_: Any, on_send: Callable[[bytes, float], None], **__: Any) -> None:
        del on_send

    monkeypatch.setattr(freshness, "send", send)
    monkeypatch.setattr(freshness, "_TIMEOUT_SECONDS", 0.01)
    with pytest.raises(BenchError, match="only 0 of 3 calls reached the CRM"):
        await freshness._send_and_watch(cast("Any", None), SilentCrm(), 200, 3)
