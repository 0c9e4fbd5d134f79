"""Requests that are given up, in any way and at any moment, free their connections."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import httpx
import pytest

from crm_clients.clean_cancel import await_request
from crm_clients.http import HttpResult, VendorHttp
from tests.support.servers import serving

_CONNECTIONS = 40
_SECONDS = 0.1


class _Vendor:
    """Does not respond while it hangs. Afterwards it responds once all connections of the pool are in use."""

    def __init__(self) -> None:
        self.hangs = True
        self._all_in_use = asyncio.Barrier(_CONNECTIONS)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            if self.hangs:
                await reader.read()
                return
            await self._all_in_use.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()


async def _in_time(http: VendorHttp) -> HttpResult:
    return await http.send("GET", "/")


async def _as_an_attempt(http: VendorHttp) -> HttpResult | None:
    try:
        async with asyncio.timeout(_SECONDS):
            return await http.send("GET", "/")
    except TimeoutError:
        return None


async def _in_a_scope(http: VendorHttp) -> HttpResult | None:
    with anyio.move_on_after(_SECONDS):
        return await http.send("GET", "/")
    return None


async def _by_a_group(http: VendorHttp) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(http.send("GET", "/"))


async def _twice(http: VendorHttp) -> None:
    request = asyncio.create_task(http.send("GET", "/"))
    await asyncio.sleep(_SECONDS)
    for _ in range(3):
        request.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([request])


@pytest.mark.parametrize("give_up", [_in_time, _as_an_attempt, _in_a_scope, _by_a_group, _twice])
async def test_requests_that_are_given_up_free_their_connections(
    give_up: Callable[[VendorHttp], Awaitable[object]],
) -> None:
    vendor = _Vendor()
    async with serving(vendor.handle) as url:
        http = VendorHttp(base_url=url, headers={}, timeout_seconds=_SECONDS, connections=_CONNECTIONS)
        for _ in range(3):
            await asyncio.gather(*(give_up(http) for _ in range(_CONNECTIONS)))
        vendor.hangs = False
        # The pool must be the same.
        http._timeout_seconds = http._client.timeout = 20
        results = await asyncio.gather(*(http.send("GET", "/") for _ in range(_CONNECTIONS)))
        await http.aclose()
    assert [r.status_code for r in results if isinstance(r, httpx.Response)] == [200] * _CONNECTIONS


async def test_the_result_and_the_error_of_a_request_are_those_of_the_caller() -> None:
    async def answer(value: int) -> int:
        await asyncio.sleep(0)
        return 10 // value

    assert await await_request(answer(5)) == 2
    with pytest.raises(ZeroDivisionError):
        await await_request(answer(0))


async def test_a_cancelled_caller_waits_for_the_cleanup() -> None:
    steps: list[str] = []

    async def request() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            with anyio.CancelScope(shield=True):
                await asyncio.sleep(0.05)
                steps.append("cleaned up")

    caller = asyncio.create_task(await_request(request()))
    await asyncio.sleep(0.01)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert steps == ["cleaned up"]
