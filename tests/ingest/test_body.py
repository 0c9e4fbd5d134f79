"""Receiving a body: complete, too slow, too large, or cut off."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from relay.ingest import limits
from relay.ingest.body import ReceivedBody, receive_body
from relay.ingest.limits import AdmissionControl, Evicted, Overloaded


def sender(*chunks: bytes, last: bool = True, pause: float = 0) -> Callable[[], Awaitable[Any]]:
    """A sender of these chunks, which sends nothing more afterwards; `last`: it says so."""
    left = list(chunks)

    async def receive() -> Any:
        if not left:
            await asyncio.Event().wait()
        await asyncio.sleep(pause)
        chunk = left.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(left) or not last}

    return receive


async def receive_from(
    receive: Callable[[], Awaitable[Any]], *, max_bytes: int = 100, authenticated: bool = False
) -> ReceivedBody:
    admission = AdmissionControl(max_requests=4, max_bytes=1_000)
    with admission.permit("192.0.2.1", authenticated=authenticated) as permit:
        return await receive_body(receive, permit, max_bytes)


async def test_a_body_in_several_chunks_is_received_as_a_whole() -> None:
    assert await receive_from(sender(b"abc", b"", b"def")) == ReceivedBody(b"abcdef")


async def test_a_body_may_have_the_size_of_the_limit() -> None:
    assert (await receive_from(sender(b"x" * 60, b"y" * 40))).error is None
    received = await receive_from(sender(b"x" * 60, b"y" * 41, b"z" * 50))
    assert received.error is not None
    assert (received.raw, received.error.status) == (b"x" * 60, 413)


@pytest.mark.parametrize("authenticated", [False, True])
async def test_a_sender_that_stops_is_too_slow(monkeypatch: pytest.MonkeyPatch, authenticated: bool) -> None:
    monkeypatch.setattr(limits, "GRACE_SECONDS", 0.05)
    received = await receive_from(sender(b"begin", last=False), authenticated=authenticated)
    assert received.error is not None
    assert (received.raw, received.error.status, received.error.reason) == (b"begin", 408, "timeout")


async def test_a_slow_sender_that_is_fast_enough_is_received(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GRACE_SECONDS", 1.0)
    monkeypatch.setattr(limits, "MIN_BYTES_PER_SECOND", 0.1)
    chunks = [b"x"] * 4
    assert await receive_from(sender(*chunks, pause=0.3)) == ReceivedBody(b"xxxx")


async def test_a_body_takes_at_most_its_longest_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LONGEST_SECONDS", 0.1)
    received = await receive_from(sender(*[b"x"] * 100, pause=0.01), max_bytes=1_000)
    assert received.error is not None
    assert received.error.reason == "timeout"


async def test_a_request_is_evicted_while_its_body_arrives() -> None:
    admission = AdmissionControl(max_requests=4, max_bytes=1_000)

    async def receive_slowly() -> ReceivedBody:
        with admission.permit("192.0.2.1", authenticated=False) as permit:
            return await receive_body(sender(b"x", last=False), permit, 100)

    slow = asyncio.create_task(receive_slowly())
    await asyncio.sleep(0.01)
    with admission.permit("192.0.2.2", authenticated=False) as permit:
        assert await receive_body(sender(b"fast"), permit, 100) == ReceivedBody(b"fast")
        with pytest.raises(Evicted):
            await slow


async def test_more_bytes_than_all_requests_may_use_are_not_received() -> None:
    with pytest.raises(Overloaded):
        await receive_from(sender(b"x" * 500, b"x" * 501), max_bytes=5_000, authenticated=True)
