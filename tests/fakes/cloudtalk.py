"""A fake CloudTalk that serves recordings, and misbehaves in the ways that are known of the real one.

`answer` decides how each request for a recording is answered. The API needs the key `id`, `secret` and the
headers that CloudTalk needs; a public link needs nothing.
"""

import asyncio
import base64
import gzip
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final, NamedTuple

import zstandard

from tests.support.patience import PATIENCE

_CREDENTIALS: Final = "Basic " + base64.b64encode(b"id:secret").decode()
_JSON: Final = b'{"responseData":{"status":%d,"message":"No."}}'
_ENCODE: Final = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}
_REASONS: Final = {200: "OK", 302: "Found", 403: "Forbidden", 404: "Not Found", 406: "Not Acceptable"}


class Asked(NamedTuple):
    """A request: its path and its headers, with names in lower case."""

    path: str
    headers: dict[str, str]


class FakeCloudTalk:
    """`recordings`: by call_id; `deleted`: those that the API deleted. `api` and `link`: how each source
    behaves, one of these words:

    ok, chunked (no size), slow (a piece every `pause` seconds), held (waits for `release` after the first
    piece), missing (404), gone (410), page (HTML under 200), refusal (JSON under 200), empty, truncated,
    endless, large (states a terabyte), throttled (429), used_up (ok, but the last request), broken (500),
    unauthorised (401), silent, `encoded gzip`, `encoded zstd`, or `redirect URL`.
    """

    def __init__(self, recordings: dict[str, bytes] | None = None) -> None:
        self.recordings = recordings or {}
        self.api = self.link = "ok"
        self.asked: list[Asked] = []
        self.pause = 0.01
        self.piece_bytes = 65_536
        self.reset_time = 0
        self.release = asyncio.Event()
        self.url = ""
        self.deleted: list[str] = []

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for, in this order."""
        return [asked.path for asked in self.asked]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and close the connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = (line.partition(": ") for line in head[1:] if line)
            asked = Asked(head[0].split(" ")[1], {name.lower(): value for name, _, value in fields})
            self.asked.append(asked)
            await self._answer(head[0].split(" ")[0], asked, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the relay closed the connection
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def _delete(self, path: str, writer: asyncio.StreamWriter) -> None:
        """Erase a recording for good, as `DELETE /recordings/delete/{callId}.json` does."""
        call_id = path.removeprefix("/api/recordings/delete/").removesuffix(".json")
        if self.recordings.pop(call_id, None) is None:
            return _send(writer, 404, _JSON % 404)
        self.deleted.append(call_id)
        return _send(writer, 200, b'{"responseData":{"status":200}}')

    async def _answer(self, method: str, asked: Asked, writer: asyncio.StreamWriter) -> None:
        is_api = asked.path.startswith("/api/")
        if "user-agent" not in asked.headers:
            return _send(writer, 403, b"<html>edge</html>", "text/html")
        if is_api and asked.headers.get("accept") != "application/json":
            return _send(writer, 406, _JSON % 406)
        if is_api and asked.headers.get("authorization") != _CREDENTIALS:
            return _send(writer, 401, _JSON % 401)
        if method == "DELETE":
            return self._delete(asked.path, writer)
        if asked.path.startswith("/api/agents/"):
            return _send(writer, 200, b'{"responseData":{"data":[]}}')
        audio = self.recordings.get(_call_id(asked.path))
        await self._behave(self.api if is_api else self.link, audio, writer)
        return None

    async def _behave(  # noqa: C901, PLR0912 - one case for each behaviour
        self, behaviour: str, audio: bytes | None, writer: asyncio.StreamWriter
    ) -> None:
        word, _, target = behaviour.partition(" ")
        audio = audio or b""
        if word == "missing" or (not audio and word not in {"redirect", "gone", "endless"}):
            return _send(writer, 404, _JSON % 404)
        match word:
            case "redirect":
                _head(writer, 302, f"location: {target}", "content-length: 0")
            case "gone":
                _send(writer, 410, _JSON % 410)
            case "page":
                _send(writer, 200, b"<!DOCTYPE html><html><body>Log in</body></html>", "text/html")
            case "refusal":
                _send(writer, 200, b'{"success":false}')
            case "empty":
                _send(writer, 200, b"", "audio/x-wav")
            case "large":
                _head(writer, 200, "content-length: 1000000000000")
                writer.write(audio[:1_000])
            case "throttled":
                reset = f"x-cloudtalkapi-resettime: {self.reset_time}"
                _send(writer, 429, _JSON % 429, "application/json", "x-cloudtalkapi-remaining: 0", reset)
            case "broken":
                _send(writer, 500, b"oops", "text/plain")
            case "unauthorised":
                _send(writer, 401, _JSON % 401)
            case "encoded":  # although nobody asked for it
                _send(writer, 200, _ENCODE[target](audio), "audio/wav", f"content-encoding: {target}")
            case "silent":
                await self.release.wait()
            case "endless":
                await _send_endless(audio, writer)
            case _:
                await self._send_audio(word, audio, writer)
        return None

    async def _send_audio(self, word: str, audio: bytes, writer: asyncio.StreamWriter) -> None:
        is_chunked = word == "chunked"
        size = "transfer-encoding: chunked" if is_chunked else f"content-length: {len(audio)}"
        extra = ["x-cloudtalkapi-remaining: 0", f"x-cloudtalkapi-resettime: {self.reset_time}"]
        _head(
            writer, 200, size, "content-type: application/octet-stream", *(extra if word == "used_up" else [])
        )
        end = len(audio) // 2 if word == "truncated" else len(audio)
        for offset in range(0, end, self.piece_bytes):
            piece = audio[offset : min(offset + self.piece_bytes, end)]
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
            await writer.drain()
            if word == "slow":
                await asyncio.sleep(self.pause)
            if word == "held" and offset == 0:
                await self.release.wait()
        if is_chunked:
            writer.write(b"0\r\n\r\n")


def _call_id(path: str) -> str:
    if path.startswith("/api/calls/recording/"):
        return path.removeprefix("/api/calls/recording/").removesuffix(".json")
    encoded = path.split("/")[3] if path.count("/") > 2 else ""
    return base64.b64decode(encoded + "=" * (-len(encoded) % 4)).decode(errors="replace")


def _head(writer: asyncio.StreamWriter, status: int, *headers: str) -> None:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}", "connection: close", *headers, "", ""]
    writer.write("\r\n".join(lines).encode())


def _send(
    writer: asyncio.StreamWriter, status: int, body: bytes, type_: str = "application/json", *headers: str
) -> None:
    _head(writer, status, f"content-type: {type_}", f"content-length: {len(body)}", *headers)
    writer.write(body)


async def _send_endless(audio: bytes, writer: asyncio.StreamWriter) -> None:
    _head(writer, 200, "content-type: audio/x-wav")
    writer.write(audio)
    while not writer.is_closing():
        writer.write(b"\0" * 65_536)
        await writer.drain()


@asynccontextmanager
async def running_cloudtalk(recordings: dict[str, bytes] | None = None) -> AsyncIterator[FakeCloudTalk]:
    """Run a fake CloudTalk in this event loop."""
    fake = FakeCloudTalk(recordings)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(fake.handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def threaded_cloudtalk(recordings: dict[str, bytes]) -> Iterator[FakeCloudTalk]:
    """Run a fake CloudTalk in a thread of its own, for tests that start processes or a browser."""
    started, stop = threading.Event(), asyncio.Event()
    found: list[FakeCloudTalk] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with running_cloudtalk(recordings) as fake:
            found.append(fake)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()], name="cloudtalk")
    thread.start()
    started.wait(PATIENCE)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
        loop.close()
