"""Where a recording is read from: CloudTalk's API if there is a key, else the public link of the event.

If the API does not give it, the link is tried, which does not count for the API's rate limit. A recording
that the API calls gone is not looked for elsewhere.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from relay.call import Call, needs_api_key
from relay.cloudtalk.api import ApiAccess, blocked_seconds
from relay.cloudtalk.identity import parse_recording_call_id
from relay.ledger import LedgerError
from relay.ledger.request_limit import SharedRequestLimit
from relay.recordings.audio import START_BYTES, find_content_type
from relay.recordings.decoding import decode, encoding_of
from relay.recordings.failures import FetchFailed, Reason, most_hopeful
from relay.recordings.lazy_download import LazyDownloader
from relay.recordings.statuses import check_status

if TYPE_CHECKING:
    import httpx


class Recording(NamedTuple):
    """What identifies the recording of a call: the id of its record, its call_id, and its public link."""

    id: str
    call_id: str | None
    url: str | None

    @property
    def key(self) -> str:
        """The name of its files. Another recording of the same call has another name."""
        return hashlib.sha256("\0".join((self.id, self.call_id or "", self.url or "")).encode()).hexdigest()


def recording_of(call: Call) -> Recording | None:
    """Return the recording of a call; None if no event announced one. `call` has CloudTalk's own link."""
    if call.recording_url is None:
        return None
    return Recording(call.id, parse_recording_call_id(call.recording_url) or call.call_id, call.recording_url)


class Download(NamedTuple):
    """A recording that is being received. `total`: its size, if stated; `chunks`: its bytes."""

    content_type: str
    total: int | None
    chunks: AsyncIterator[bytes]


class Sources:
    """Opens recordings. `api` is None without an API key. `max_bytes`: of one recording."""

    def __init__(
        self, downloader: LazyDownloader, api: ApiAccess | None, limit: SharedRequestLimit, *, max_bytes: int
    ) -> None:
        self._downloader = downloader
        self.api = api
        self._limit = limit
        self._max_bytes = max_bytes

    @asynccontextmanager
    async def open(self, recording: Recording) -> AsyncIterator[Download]:
        """Yield the recording of the first source that has it. Raises `FetchFailed`, in the block too."""
        failures: list[FetchFailed] = []
        async with AsyncExitStack() as stack:
            for url, headers in self._candidates(recording):
                attempt = AsyncExitStack()
                try:
                    download = await attempt.enter_async_context(self._open(url, headers))
                except FetchFailed as error:
                    failures.append(error)
                    if error.reason is Reason.GONE:
                        break
                else:
                    await stack.enter_async_context(attempt)
                    yield download
                    return
        if not failures:
            message = "there is no link, and no API key with a call_id, to read the recording with"
            raise FetchFailed(Reason.NO_SOURCE, message)
        raise most_hopeful(failures)

    def _candidates(self, recording: Recording) -> list[tuple[str, Mapping[str, str]]]:
        candidates: list[tuple[str, Mapping[str, str]]] = []
        if self.api is not None and recording.call_id is not None and recording.call_id.isdigit():
            candidates.append((self.api.recording_url(recording.call_id), self.api.headers))
        if recording.url is not None and not needs_api_key(recording.url):
            candidates.append((recording.url, {}))
        return candidates

    @asynccontextmanager
    async def _open(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[Download]:
        is_api = bool(headers)
        if is_api:
            await self._count_request()
        async with self._downloader.get(url, headers) as response:
            blocked = await self._note_rate_limit(response) if is_api else 0.0
            try:
                check_status(response)
            except FetchFailed as error:
                error.retry_after = blocked or None
                raise
            yield await self._read_start(response)

    async def _count_request(self) -> None:
        try:
            seconds = await self._limit.acquire()
        except LedgerError as error:
            raise FetchFailed(Reason.UNAVAILABLE, f"the request cannot be counted: {error}") from error
        if seconds:
            raise FetchFailed(Reason.THROTTLED, "cloudtalk.api.requests_per_minute is reached", seconds)

    async def _note_rate_limit(self, response: "httpx.Response") -> float:
        """Return the seconds until CloudTalk accepts requests of this API; 0 if it does."""
        unix_now = self._limit.unix_now()
        seconds = blocked_seconds(response.status_code, response.headers, unix_now=unix_now)
        if seconds:
            with suppress(LedgerError):  # the recording is there
                await self._limit.block(seconds)
        return seconds

    async def _read_start(self, response: "httpx.Response") -> Download:
        total = _stated_size(response)
        if total is not None and total > self._max_bytes:
            raise self._too_large()
        chunks = decode(response)
        start = b""
        while len(start) < START_BYTES and (chunk := await anext(chunks, b"")):
            start += chunk
        content_type = find_content_type(start)
        if content_type is None:
            what = "an empty body" if not start else f"{response.headers.get('content-type', 'no type')[:80]}"
            raise FetchFailed(Reason.NOT_AUDIO, f"CloudTalk sent {what} instead of audio")
        return Download(content_type, total, self._limited(start, chunks))

    async def _limited(self, start: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        size = len(start)
        yield start
        async for chunk in chunks:
            size += len(chunk)
            if size > self._max_bytes:
                raise self._too_large()
            yield chunk

    def _too_large(self) -> FetchFailed:
        return FetchFailed(
            Reason.TOO_LARGE, f"the recording has more than recordings.max_mb, {self._max_bytes / 1e6:g} MB"
        )


def _stated_size(response: "httpx.Response") -> int | None:
    """The size of the recording; None if it is not stated, or if it is that of a compressed body."""
    length = response.headers.get("content-length", "")
    is_plain = encoding_of(response) == "identity"
    return int(length) if length.isascii() and length.isdigit() and is_plain else None
