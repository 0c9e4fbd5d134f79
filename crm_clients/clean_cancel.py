"""Cancels a request so that its connection always leaves the pool."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


async def await_request(request: Coroutine[Any, Any, T]) -> T:
    """Await a request of httpx. If the caller is cancelled, cancel the request and wait for its cleanup.

    httpcore 1.0.9 removes the connection of a failed request from its pool in a block that only scopes of
    anyio respect. `Task.cancel` interrupts the block, for example if the time limits of a request and of
    its caller end together, and then the connection counts as active for good. Therefore the request runs
    in a task of its own, which is cancelled by a scope.
    """
    scope = anyio.CancelScope()
    task = asyncio.create_task(_run_in(scope, request))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        scope.cancel()
        await asyncio.wait([task])
        raise


async def _run_in(scope: anyio.CancelScope, request: Coroutine[Any, Any, T]) -> T:
    with scope:
        return await request
    raise asyncio.CancelledError  # by the scope
