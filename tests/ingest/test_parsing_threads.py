"""Large bodies do not stop the event loop."""

import asyncio
import gc
import gzip
import json
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from relay.app import Relay
from relay.cloudtalk.request import RawRequest
from relay.ingest.parsing_threads import ParsingThreads
from tests.support.in_process import in_process_relay, settings_in

WEBHOOK_PATH = "/cloudtalk/webhook"
MIB = 1024 * 1024
LONGEST_GAP = 0.1
"""In seconds of this process's CPU time; twice the limit."""


@pytest.mark.parametrize(
    ("request_", "in_a_thread"),
    [
        (RawRequest(b"x" * 16_384), False),
        (RawRequest(b"x" * 16_385), True),
        (RawRequest(gzip.compress(b"x")), True),
        (RawRequest(b"x", encoding="gzip"), True),
    ],
)
async def test_a_large_or_compressed_body_is_parsed_in_a_thread_for_its_kind_of_sender(
    request_: RawRequest, in_a_thread: bool
) -> None:
    threads, own = ParsingThreads(), threading.get_ident()
    idents = {
        authenticated: await threads.run(threading.get_ident, request_, authenticated=authenticated)
        for authenticated in (True, False)
    }
    assert all((ident != own) is in_a_thread for ident in idents.values())
    assert (idents[True] != idents[False]) is in_a_thread


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[Relay, httpx.AsyncClient]]:
    gc.collect()
    gc.freeze()  # as the server does
    async with in_process_relay(settings_in(tmp_path)) as started:
        yield started
    gc.unfreeze()


async def longest_gap_during(client: httpx.AsyncClient, body: bytes) -> float:
    """Return the longest time for which the event loop did nothing else, in seconds of CPU time.

    The CPU time of all threads: one that keeps the interpreter's lock also stops the event loop. Real time
    would include that of other programs.
    """
    gaps: list[float] = []

    async def beat() -> None:
        while True:
            before = time.process_time()
            await asyncio.sleep(0.001)
            gaps.append(time.process_time() - before)

    heart = asyncio.create_task(beat())
    await asyncio.sleep(0)
    await client.post(WEBHOOK_PATH, content=body)
    heart.cancel()
    return max(gaps)


EVENT = {"event": "call.ended", "secret": "s", "data": {"id": "1", "duration": 10, "x": "y" * 700}}
BODIES = {
    "lists": b"[" + b"[]," * 66_000 + b"[]]",
    "too many lists": b"[" + b"[]," * 349_000 + b"[]]",
    "a compressed list": gzip.compress(b"[" + b"1," * 199_000 + b"1]"),
    "keys": b"{" + b",".join(b'"secret%d":1' % n for n in range(80_000)) + b"}",
    "events": json.dumps([EVENT] * 1_000).encode(),
    "a form": b"a=" + b"%ff" * 200_000,
    "a form with too many escapes": b"a=" + b"%ff" * (MIB // 3 - 1),
    "a text": b'{"call_id":1,"event":"call.ended","note":"' + b"x" * (MIB - 60) + b'"}',
}


@pytest.mark.parametrize("name", BODIES)
async def test_no_body_stops_the_event_loop(running: tuple[Relay, httpx.AsyncClient], name: str) -> None:
    _, client = running
    gaps: list[float] = []
    while len(gaps) < 5 and min(gaps, default=1.0) > LONGEST_GAP:
        gaps.append(await longest_gap_during(client, BODIES[name]))
    assert min(gaps) < LONGEST_GAP
