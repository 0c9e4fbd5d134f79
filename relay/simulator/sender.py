"""Sends messages as HTTP requests, at a steady rate, and counts the responses."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import httpx
import msgspec

from relay.simulator.message import Message
from relay.standards.webhooks import Signer

CONNECTIONS: Final = 16
"""The number of sequences that are sent concurrently, each over a connection of its own."""

TIMEOUT_SECONDS: Final = 30

OnProgress = Callable[[int, int], None]
"""Called after each request with the number of finished requests and of all requests."""


class ClientFactory:
    """Creates HTTP clients with one connection each.

    A pool that sixteen senders share would cost more than half of the rate; waiting for a connection
    would count as latency of the relay.
    """

    def __init__(self) -> None:
        self._certificates = httpx.create_ssl_context()  # only once: it reads all certificates of the machine

    def __call__(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            limits=httpx.Limits(max_connections=1),
            timeout=TIMEOUT_SECONDS,
            trust_env=False,  # a proxy would be measured instead of the relay
            verify=self._certificates,
        )


class RequestBuilder:
    """Builds the URL, the headers and the content of a message's request.

    Raises `ValueError` if `signing_secret` is invalid.
    """

    def __init__(self, url: httpx.URL, token: str | None, signing_secret: str | None) -> None:
        self._url = url
        self._content_type = {b"Content-Type": b"application/json"}
        self._token = {b"Authorization": f"Bearer {token}".encode()} if token else {}
        self._signer = Signer([signing_secret], prefix="svix-") if signing_secret else None
        self._urls: dict[tuple[str, str], httpx.URL] = {}

    def build(self, message: Message) -> tuple[httpx.URL, dict[bytes, bytes], bytes]:
        """Call this for each attempt: a signature is valid for a few minutes only."""
        content = msgspec.json.encode(message.body)
        return self._url_of(message), self._content_type | self._credentials(message, content), content

    def _credentials(self, message: Message, content: bytes) -> dict[bytes, bytes]:
        if self._signer is None or message.id is None:
            return self._token
        signed = self._signer.headers(message.id, int(time.time()), content)
        return {name.encode(): value.encode() for name, value in signed.items()}

    def _url_of(self, message: Message) -> httpx.URL:
        key = message.path, message.query
        if key not in self._urls:
            url = self._url.copy_with(path=self._url.path + message.path) if message.path else self._url
            self._urls[key] = url.copy_merge_params(httpx.QueryParams(message.query))
        return self._urls[key]


class Sender:
    """Sends the sequences of one run and counts the responses. No failure of a request raises.

    `rate`: requests per second over all connections; None for no limit.
    """

    def __init__(
        self,
        create_client: Callable[[], httpx.AsyncClient],
        requests: RequestBuilder,
        *,
        rate: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.sent = self.acknowledged = self.unanswered = 0
        self.refused: dict[int, int] = {}
        self.latencies: list[float] = []
        """Seconds from request to response, of each answered request."""

        self._create_client = create_client
        self._requests = requests
        self._interval = 0.0 if rate is None else 1 / rate
        self._next_send_at = time.perf_counter()
        self._on_progress = on_progress
        self._total = 0

    async def send_all(self, sequences: Sequence[Sequence[Message]]) -> None:
        """Send each sequence in its order, up to `CONNECTIONS` sequences at a time."""
        self._total = sum(map(len, sequences))
        remaining = iter(sequences)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(CONNECTIONS, len(sequences))):
                workers.create_task(self._work(remaining))

    async def _work(self, remaining: Iterator[Sequence[Message]]) -> None:
        async with self._create_client() as client:
            for sequence in remaining:
                for message in sequence:
                    await self._wait_for_rate()
                    await self._send(client, message)

    async def _wait_for_rate(self) -> None:
        """Reserve the next send time at once, so that a slow response delays its own call only."""
        send_at, self._next_send_at = self._next_send_at, self._next_send_at + self._interval
        delay = send_at - time.perf_counter()
        if self._interval and delay > 0:
            await asyncio.sleep(delay)

    async def _send(self, client: httpx.AsyncClient, message: Message) -> None:
        self.sent += 1
        url, headers, content = self._requests.build(message)
        sent_at = time.perf_counter()
        try:
            response = await client.post(url, headers=headers, content=content)
        except httpx.HTTPError:
            self.unanswered += 1
        else:
            self.latencies.append(time.perf_counter() - sent_at)
            self._count(response)
        if self._on_progress:
            done = self.acknowledged + self.unanswered + sum(self.refused.values())
            self._on_progress(done, self._total)

    def _count(self, response: httpx.Response) -> None:
        if response.is_success:
            self.acknowledged += 1
        else:
            self.refused[response.status_code] = self.refused.get(response.status_code, 0) + 1
