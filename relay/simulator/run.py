"""The run: real requests, their pace, and what came of them."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from statistics import fmean, quantiles
from typing import Any, Final

import httpx
import msgspec

from relay.simulator.message import Message, SimulatedCall
from relay.simulator.order import errands
from relay.simulator.scenarios import DEFAULT, scenarios
from relay.simulator.signing import key_of, signature_headers

CONNECTIONS: Final = 16
"""Calls under way at once, each on a connection of its own."""

TIMEOUT_SECONDS: Final = 30
_SAMPLE: Final = 200
"""Calls from which it is told how many messages one has."""

Progress = Callable[[int, int], None]


class Report(msgspec.Struct):
    """What came of a run. `refused` counts answers other than 2xx by their status, `unanswered` the
    requests that got none. Percentiles are of answered requests, None where there were none.

    `expected` is the record of each call. Under chaos, in dialects other than the mission's, it has
    no `id`, which then depends on which of CloudTalk's two ids came first, but `call_uuid` and
    `call_id` to find the record by; nor has it `tags` that were edited more than once.
    """

    seed: int
    dialect: str
    sent: int
    acknowledged: int
    refused: dict[int, int]
    unanswered: int
    seconds: float
    p50_ms: float | None
    p95_ms: float | None
    expected: list[dict[str, Any]]


async def simulate(
    url: str,
    *,
    token: str | None = None,
    signing_secret: str | None = None,
    calls: int = 100,
    rate: float | None = None,
    dialect: str = DEFAULT,
    chaos: bool = False,
    seed: int | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Send the events of `calls` calls to the hook at `url` and say what it answered.

    `rate`: events per second over all connections, as fast as it goes where None. `signing_secret`,
    `whsec_…`, signs native webhooks, which then bear no token; without one the token opens them too.
    Without a `seed` each run has its own, so that its calls are new ones. `on_progress` is told how
    many requests are done, and of how many. No failure of a request raises: the report counts it.
    Raises `httpx.InvalidURL` where `url` is none, and `ValueError` where the secret is none.
    """
    seed = secrets.randbits(32) if seed is None else seed
    voice = _Voice(httpx.URL(url), token, signing_secret)
    planned = scenarios(calls, seed, datetime.now(UTC), spacing=_spacing(rate, dialect), dialect=dialect)
    work = errands(planned, chaos=chaos, seed=seed)
    line = _Line(_Opener(), voice, rate, sum(map(len, work)), on_progress)
    begun = time.perf_counter()
    await line.run(work)
    seconds = time.perf_counter() - begun
    return line.report(seed, dialect, seconds, [_foretold(call, chaos=chaos) for call in planned])


def _foretold(call: SimulatedCall, *, chaos: bool) -> dict[str, Any]:
    return call.expected_in_any_order() if chaos else call.expected


def _spacing(rate: float | None, dialect: str) -> timedelta:
    """How far apart calls begin, so that the last one of a slow run is still fresh when it is sent."""
    if rate is None:
        return timedelta()
    sample = scenarios(_SAMPLE, 0, datetime.now(UTC), dialect=dialect)
    return timedelta(seconds=fmean(len(call.messages) for call in sample) / rate)


class _Opener:
    """Opens clients of one connection each. A pool shared by sixteen costs more than half of the
    pace and, by letting some wait long, tells latencies that are not the relay's.
    """

    def __init__(self) -> None:
        self._certificates = httpx.create_ssl_context()  # once: it reads the machine's whole list

    def __call__(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            limits=httpx.Limits(max_connections=1),
            timeout=TIMEOUT_SECONDS,
            trust_env=False,  # a proxy of the environment would be measured instead of the relay
            verify=self._certificates,
        )


class _Voice:
    """Makes a request of a message: where it goes, and what proves whose it is."""

    def __init__(self, url: httpx.URL, token: str | None, signing_secret: str | None) -> None:
        self._url = url
        self._plain = {b"Content-Type": b"application/json"}
        self._token = {b"Authorization": f"Bearer {token}".encode()} if token else {}
        self._key = key_of(signing_secret) if signing_secret else None
        self._urls: dict[tuple[str, str], httpx.URL] = {}

    def request(self, message: Message) -> tuple[httpx.URL, dict[bytes, bytes], bytes]:
        """URL, headers and body. A signature is made anew for each attempt: it holds for minutes."""
        content = msgspec.json.encode(message.body)
        return self._to(message), self._plain | self._proof(message, content), content

    def _proof(self, message: Message, content: bytes) -> dict[bytes, bytes]:
        if self._key is None or message.id is None:
            return self._token
        return signature_headers(self._key, message.id, int(time.time()), content)

    def _to(self, message: Message) -> httpx.URL:
        place = message.path, message.query
        if place not in self._urls:
            url = self._url.copy_with(path=self._url.path + message.path) if message.path else self._url
            self._urls[place] = url.copy_merge_params(httpx.QueryParams(message.query))
        return self._urls[place]


class _Line:
    """The requests of one run: their pace, and the count of what came of them."""

    def __init__(
        self,
        open_client: Callable[[], httpx.AsyncClient],
        voice: _Voice,
        rate: float | None,
        total: int,
        on_progress: Progress | None,
    ) -> None:
        self._open_client = open_client
        self._voice = voice
        self._interval = 0.0 if rate is None else 1 / rate
        self._turn = time.perf_counter()
        self._total = total
        self._on_progress = on_progress
        self._sent = self._acknowledged = self._unanswered = 0
        self._refused: dict[int, int] = {}
        self._latencies: list[float] = []

    async def run(self, work: Sequence[tuple[Message, ...]]) -> None:
        waiting = iter(work)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(CONNECTIONS, len(work))):
                workers.create_task(self._work(waiting))

    async def _work(self, waiting: Iterator[tuple[Message, ...]]) -> None:
        async with self._open_client() as client:
            for errand in waiting:
                for message in errand:
                    await self._take_turn()
                    await self._send(client, message)

    async def _take_turn(self) -> None:
        """Turns are given out ahead, so that a slow answer delays its own call and not the pace."""
        turn, self._turn = self._turn, self._turn + self._interval
        delay = turn - time.perf_counter()
        if self._interval and delay > 0:
            await asyncio.sleep(delay)

    async def _send(self, client: httpx.AsyncClient, message: Message) -> None:
        self._sent += 1
        url, headers, content = self._voice.request(message)
        begun = time.perf_counter()
        try:
            response = await client.post(url, headers=headers, content=content)
        except httpx.HTTPError:
            self._unanswered += 1
        else:
            self._latencies.append(time.perf_counter() - begun)
            self._count(response)
        if self._on_progress:
            self._on_progress(
                self._acknowledged + self._unanswered + sum(self._refused.values()), self._total
            )

    def _count(self, response: httpx.Response) -> None:
        if response.is_success:
            self._acknowledged += 1
        else:
            self._refused[response.status_code] = self._refused.get(response.status_code, 0) + 1

    def report(self, seed: int, dialect: str, seconds: float, expected: list[dict[str, Any]]) -> Report:
        p50, p95 = _percentiles(self._latencies)
        return Report(
            seed=seed,
            dialect=dialect,
            sent=self._sent,
            acknowledged=self._acknowledged,
            refused=self._refused,
            unanswered=self._unanswered,
            seconds=round(seconds, 3),
            p50_ms=p50,
            p95_ms=p95,
            expected=expected,
        )


def _percentiles(latencies: Sequence[float]) -> tuple[float | None, float | None]:
    """The 50th and 95th, in milliseconds."""
    if not latencies:
        return None, None
    cuts = quantiles(latencies, n=100, method="inclusive") if len(latencies) > 1 else list(latencies) * 99
    return round(cuts[49] * 1000, 2), round(cuts[94] * 1000, 2)
