"""Interim answers (HTTP 1xx) before a response, from a server on loopback."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from crm_clients.base import Retry
from crm_clients.http import HttpResult, VendorHttp
from crm_clients.webhook.transport import DirectTransport
from tests.support.servers import Handle, serving

MOST_SENT = 8 * 1024 * 1024
"""What an endless answer consists of, at most: a client without a limit must fail its test, not hang."""

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
HINT = b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n"

Transport = Callable[[], httpx.AsyncBaseTransport | None]
TRANSPORTS = [
    pytest.param(lambda: None, id="vendor"),
    pytest.param(lambda: DirectTransport(allow_private=True, connections=1), id="webhook"),
]


class Server:
    """Answers each request with the interim answers, then with the response."""

    def __init__(self, interim: bytes, times: int, response: bytes = OK) -> None:
        self.interim, self.times, self.response = interim, times, response
        self.connections = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                for _ in range(self.times):
                    writer.write(self.interim)
                    await writer.drain()
                writer.write(self.response)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass


async def send(handle: Handle, transport: Transport, *, requests: int = 1) -> list[HttpResult]:
    async with serving(handle) as url:
        http = VendorHttp(base_url=url, headers={}, timeout_seconds=30, transport=transport())
        try:
            return [await http.send("GET", "/calls") for _ in range(requests)]
        finally:
            await http.aclose()


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 103 E\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        HINT,
        b"HTTP/1.1 102 P\r\nx: y\r\n\r\n" * 900,
    ],
    ids=["103", "100", "headers", "at once"],
)
async def test_endless_interim_answers_are_too_large(interim: bytes, transport: Transport) -> None:
    server = Server(interim, MOST_SENT // len(interim))
    [result] = await send(server.handle, transport)
    assert isinstance(result, Retry)
    assert result.code == "answer_too_large"
    assert "131072 bytes before its response" in (result.message or "")


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_some_interim_answers_before_each_response_are_read(transport: Transport) -> None:
    server = Server(HINT, 100)
    results = await send(server.handle, transport, requests=60)
    assert [result.status_code for result in results if isinstance(result, httpx.Response)] == [200] * 60
    assert server.connections == 1


@pytest.mark.parametrize("requests", [1, 3])
async def test_a_large_body_is_no_part_of_the_head(requests: int) -> None:
    body = b"x" * 1_000_000
    response = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + body
    results = await send(Server(HINT, 1, response).handle, lambda: None, requests=requests)
    assert [result.content for result in results if isinstance(result, httpx.Response)] == [body] * requests


async def test_the_limit_holds_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(HINT, MOST_SENT // len(HINT))
    async with serving(server.handle) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        http = VendorHttp(base_url="http://vendor.example", headers={}, timeout_seconds=30)
        result = await http.send("GET", "/calls")
        await http.aclose()
    assert isinstance(result, Retry)
    assert (result.code, server.connections) == ("answer_too_large", 1)


async def test_requests_at_the_same_time_have_limits_of_their_own() -> None:
    server = Server(HINT, 1_000)  # 45,000 bytes: three of them are more than the limit
    async with serving(server.handle) as url:
        http = VendorHttp(base_url=url, headers={}, timeout_seconds=30, connections=6)
        results = await asyncio.gather(*(http.send("GET", "/calls") for _ in range(6)))
        await http.aclose()
    assert [type(result) for result in results] == [httpx.Response] * 6
