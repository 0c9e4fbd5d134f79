"""A fake of CloudTalk's APIs: `GET /calls/index.json`, the analytics and the AI, as strict as the real ones.

It needs the key `id`, `key-of-the-api`, the header `Accept` and a `User-Agent`, and counts requests. Dates
are in a zone that no document states. `faults` are the words of the next answers, one for each request:

throttled (429), broken (500), refused (200 with `success: false`), edge (an HTML page, 403), unauthorised
(401), forbidden (403), gone (410), page (an HTML page, 200), large (8 MiB), truncated, drop (no answer).
"""

import asyncio
import base64
import copy
import json
import math
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta, timezone
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.support.patience import PATIENCE

_CREDENTIALS: Final = "Basic " + base64.b64encode(b"id:key-of-the-api").decode()
_MOST_ROWS: Final = 1_000
_REASONS: Final = {200: "OK", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests"}
_ERRORS: Final = {"throttled": 429, "unauthorised": 401, "forbidden": 403, "gone": 410}
_PAGE: Final = b"<!DOCTYPE html><html><body>Forbidden</body></html>"


class Asked(NamedTuple):
    """A request: when it arrived (seconds of a monotonic clock), its path, and its query."""

    at: float
    path: str
    query: dict[str, str]


class FakeHistory:
    """`rows`: in any order. `uuids`: call_id → call_uuid, as the analytics API knows them. `details`: call_id
    → what else it knows of the call. `ai`: (call_id, `summary`, `transcription` or `smart-notes`) → the
    answer, of a transcription all segments; what is absent is not processed yet. `offset_hours`: of
    the zone of `date_from` and `date_to`. `allowed`: requests in each `period` of seconds. `on_page` is
    called before each page, `change_rows` with the rows of a page. A page after the last one is a 404.
    """

    def __init__(self, rows: Iterable[dict[str, Any]] = (), *, offset_hours: float = 2) -> None:
        self.rows = list(rows)
        self.uuids: dict[str, str] = {}
        self.details: dict[str, dict[str, Any]] = {}
        self.ai: dict[tuple[str, str], dict[str, Any]] = {}
        self.faults: deque[str] = deque()
        self.asked: list[Asked] = []
        self.refused = 0
        self.allowed, self.period = 60, 60.0
        self.on_page: Callable[[], None] = lambda: None
        self.change_rows: Callable[[list[dict[str, Any]]], None] = lambda _: None
        self.url = ""
        self._zone = timezone(timedelta(hours=offset_hours))
        self._period_began, self._in_period = 0.0, 0

    @property
    def pages(self) -> list[tuple[str, str, str]]:
        """The windows and numbers of the pages that were asked for."""
        return [
            (asked.query["date_from"], asked.query["date_to"], asked.query["page"])
            for asked in self.asked
            if "date_from" in asked.query
        ]

    @property
    def looked_up(self) -> list[str]:
        """The call_ids that the analytics API was asked for."""
        paths = (asked.path for asked in self.asked)
        return [path.rpartition("/")[2] for path in paths if path.startswith("/analytics/")]

    def most_within(self, seconds: float) -> int:
        """The largest number of requests in any span of so many seconds."""
        times = [asked.at for asked in self.asked]
        return max((sum(at <= other < at + seconds for other in times) for at in times), default=0)

    # --- answers --------------------------------------------------------------------------------

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and close the connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = (line.partition(": ") for line in head[1:] if line)
            self._answer(head[0].split(" ")[1], {k.lower(): v for k, _, v in fields}, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the relay closed the connection
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def _answer(self, target: str, headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        parts = urlsplit(target)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        self.asked.append(Asked(time.monotonic(), parts.path, query))
        if "user-agent" not in headers:
            self._send(writer, 403, _PAGE, "text/html")
        elif headers.get("accept") != "application/json":
            self._send_error(writer, 406)
        elif headers.get("authorization") != _CREDENTIALS:
            self._send_error(writer, 401)
        elif not self._count():
            self._send_error(writer, 429)
        elif self.faults:
            self._fail(self.faults.popleft(), writer)
        elif parts.path == "/api/calls/index.json":
            self._send_page(query, writer)
        elif parts.path.startswith("/analytics/calls/"):
            self._send_details(parts.path.rpartition("/")[2], writer)
        elif parts.path.startswith("/ai/calls/"):
            self._send_ai(parts.path.split("/")[3:], query, writer)
        elif parts.path == "/api/agents/index.json":
            self._send_json(writer, {"responseData": {"data": []}})
        else:
            self._send_error(writer, 404)

    def _send_page(self, query: dict[str, str], writer: asyncio.StreamWriter) -> None:
        if "call_id" in query:
            found = [row for row in self.rows if str(row["Cdr"]["id"]) == query["call_id"]]
            return self._send_json(writer, {"responseData": {"itemsCount": len(found), "data": found}})
        self.on_page()
        edges = (query.get("date_from", "1970-01-01 00:00:00"), query.get("date_to", "2100-01-01 00:00:00"))
        first, last = map(self._parse, edges)
        limit, number = int(query["limit"]), int(query["page"])
        if not 1 <= limit <= _MOST_ROWS or number < 1:
            return self._send_error(writer, 400)
        found = [row for row in self.rows if first <= _started(row) <= last]
        found.sort(key=_started, reverse=True)
        rows = copy.deepcopy(found[(number - 1) * limit : number * limit])
        if not rows and number > 1:
            return self._send_error(writer, 404)
        self.change_rows(rows)
        data = {
            "itemsCount": len(found),
            "pageCount": math.ceil(len(found) / limit),
            "pageNumber": number,
            "limit": limit,
            "data": rows,
        }
        return self._send_json(writer, {"responseData": data})

    def _send_details(self, call_id: str, writer: asyncio.StreamWriter) -> None:
        uuid = self.uuids.get(call_id)
        if uuid is None:  # it lags
            return self._send_error(writer, 404)
        details = {"cdr_id": int(call_id), "uuid": uuid, "direction": "incoming", "status": "answered"}
        return self._send_json(writer, details | self.details.get(call_id, {}))

    def _send_ai(self, steps: list[str], query: dict[str, str], writer: asyncio.StreamWriter) -> None:
        match steps:
            case [call_id, "summary" | "smart-notes" | "transcription" as part] if call_id.isdigit():
                answer = self.ai.get((call_id, part))
            case _:
                return self._send_json(writer, {"code": "BAD_REQUEST", "message": "No."}, 400)
        if answer is None:
            return self._send_json(writer, {"code": "NOT_FOUND", "message": "No."}, 404)
        return self._send_json(writer, _cut(answer, query) if part == "transcription" else answer)

    def _fail(self, word: str, writer: asyncio.StreamWriter) -> None:
        if word in _ERRORS:
            return self._send_error(writer, _ERRORS[word])
        match word:
            case "broken":
                self._send(writer, 500, b"oops", "text/plain")
            case "refused":
                self._send_json(writer, {"success": False, "message": "Try again."})
            case "edge" | "page":
                self._send(writer, 403 if word == "edge" else 200, _PAGE, "text/html")
            case "large":
                self._send_json(writer, {"summary": "x" * 8 * 1024 * 1024})
            case "truncated":
                body = b'{"responseData":{"itemsCount":1,'
                self._send(writer, 200, body, length=len(body) + 1_000)
            case "drop":
                pass
            case _:
                raise AssertionError(word)
        return None

    def _count(self) -> bool:
        """Count a request; return whether it is allowed."""
        now = time.monotonic()
        if now >= self._period_began + self.period:
            self._period_began, self._in_period = now, 0
        self._in_period += 1
        self.refused += self._in_period > self.allowed
        return self._in_period <= self.allowed

    def _parse(self, written: str) -> datetime:
        return datetime.strptime(written, "%Y-%m-%d %H:%M:%S").replace(tzinfo=self._zone)

    def _send_error(self, writer: asyncio.StreamWriter, status: int) -> None:
        self._send_json(writer, {"responseData": {"status": status, "message": "No."}}, status)

    def _send_json(self, writer: asyncio.StreamWriter, value: Any, status: int = 200) -> None:
        self._send(writer, status, json.dumps(value).encode())

    def _send(
        self,
        writer: asyncio.StreamWriter,
        status: int,
        body: bytes,
        type_: str = "application/json",
        *,
        length: int | None = None,
    ) -> None:
        seconds_left = self._period_began + self.period - time.monotonic()
        lines = [
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}",
            "connection: close",
            f"content-type: {type_}",
            f"content-length: {len(body) if length is None else length}",
            f"X-CloudTalkAPI-Limit: {self.allowed}",
            f"X-CloudTalkAPI-Remaining: {max(self.allowed - self._in_period, 0)}",
            f"X-CloudTalkAPI-ResetTime: {math.ceil(time.time() + seconds_left)}",
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)


def _cut(answer: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
    """A page of a transcription."""
    limit, offset = int(query.get("limit", "10")), int(query.get("offset", "0"))
    assert limit >= 1
    assert offset >= 0
    segments = answer["data"]["segments"]
    page = answer["data"] | {"segments": segments[offset : offset + limit]}
    return {"data": page, "pagination": {"limit": limit, "offset": offset, "total": len(segments)}}


def _started(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row["Cdr"]["started_at"])


@asynccontextmanager
async def running_history(fake: FakeHistory) -> AsyncIterator[FakeHistory]:
    """Run a fake in this event loop."""
    server = await asyncio.start_server(fake.handle, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        server.close()


@contextmanager
def threaded_history(fake: FakeHistory) -> Iterator[FakeHistory]:
    """Run a fake in a thread of its own, for tests that start processes."""
    started, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with running_history(fake):
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()], name="cloudtalk-history")
    thread.start()
    started.wait(PATIENCE)
    try:
        yield fake
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
        loop.close()
