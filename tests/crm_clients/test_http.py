import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest

from crm_clients.base import Retry, Unknown
from crm_clients.http import USER_AGENT, VendorHttp, retry_after
from tests.support.postgrest import free_port
from tests.support.servers import serving


@asynccontextmanager
async def connected(
    url: str = "http://vendor.example",
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    timeout_seconds: float = 5,
    rate: float | None = None,
) -> AsyncIterator[VendorHttp]:
    http = VendorHttp(
        base_url=url,
        headers={"X-Key": "secret"},
        timeout_seconds=timeout_seconds,
        rate=rate,
        transport=transport,
    )
    try:
        yield http
    finally:
        await http.aclose()


class Failing(httpx.AsyncBaseTransport):
    """Raises so many errors, then answers."""

    def __init__(self, *errors: httpx.RequestError) -> None:
        self.errors = list(errors)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.errors:
            raise self.errors.pop(0)
        return httpx.Response(200)


async def test_a_request_bears_the_clients_headers_its_own_and_our_name() -> None:
    transport = Failing()
    async with connected("http://vendor.example/api", transport=transport) as http:
        await http.send("POST", "/calls", params={"a": "b c"}, headers={"X-Own": "1"}, content=b"{}")
    [request] = transport.requests
    assert str(request.url) in {
        "http://vendor.example/api/calls?a=b%20c",
        "http://vendor.example/api/calls?a=b+c",
    }
    assert request.headers["user-agent"] == USER_AGENT
    assert (request.headers["x-key"], request.headers["x-own"], request.content) == ("secret", "1", b"{}")


async def test_any_status_is_an_answer_and_a_redirect_is_not_followed() -> None:
    transport = httpx.MockTransport(
        lambda _: httpx.Response(302, headers={"Location": "http://other.example"})
    )
    async with connected(transport=transport) as http:
        answer = await http.send("GET", "/")
    assert isinstance(answer, httpx.Response)
    assert answer.status_code == 302


async def test_a_connection_that_fails_twice_is_tried_a_third_time() -> None:
    transport = Failing(httpx.ConnectError("refused"), httpx.ConnectError("refused"))
    async with connected(transport=transport) as http:
        answer = await http.send("GET", "/")
    assert isinstance(answer, httpx.Response)
    assert len(transport.requests) == 3


async def test_a_host_that_refuses_is_a_retry_that_names_it() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with connected(url) as http:
        answer = await http.send("GET", "/secret?token=1")
    assert isinstance(answer, Retry)
    assert answer.code == "unreachable"
    assert answer.message is not None
    assert url in answer.message
    assert "secret" not in answer.message


@pytest.mark.parametrize("error", [httpx.ConnectTimeout(""), httpx.PoolTimeout("")])
async def test_a_request_that_never_left_is_a_retry_and_costs_no_second_wait(
    error: httpx.RequestError,
) -> None:
    transport = Failing(error)
    async with connected(transport=transport) as http:
        answer = await http.send("GET", "/")
    assert isinstance(answer, Retry)
    assert type(error).__name__ in (answer.message or "")
    assert len(transport.requests) == 1


@pytest.mark.parametrize(
    "error",
    [httpx.ReadTimeout(""), httpx.WriteTimeout(""), httpx.ReadError("reset"), httpx.DecodingError("gzip")],
)
async def test_a_request_that_may_have_arrived_is_unknown_and_sent_once(error: httpx.RequestError) -> None:
    transport = Failing(error)
    async with connected(transport=transport) as http:
        answer = await http.send("POST", "/")
    assert isinstance(answer, Unknown)
    assert answer.code == "no_answer"
    assert len(transport.requests) == 1


async def test_a_connection_cut_after_the_request_is_unknown() -> None:
    async def cut(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with serving(cut) as url, connected(url) as http:
        answer = await http.send("POST", "/", content=b"x")
    assert isinstance(answer, Unknown)


async def test_an_answer_that_does_not_come_in_time_is_unknown() -> None:
    async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(hang) as url, connected(url, timeout_seconds=0.1) as http:
        answer = await http.send("GET", "/")
    assert isinstance(answer, Unknown)


async def test_a_client_sends_at_its_rate() -> None:
    async with connected(transport=Failing(), rate=20) as http:
        begin = time.monotonic()
        for _ in range(3):
            await http.send("GET", "/")
    assert time.monotonic() - begin >= 0.099


NOW = datetime(2026, 11, 24, 9, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Tue, 24 Nov 2026 09:01:30 GMT", 90),
        ("Tue, 24 Nov 2026 09:01:30 -0000", 90),
        ("Tue, 24 Nov 2026 08:00:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("Tue, 24 Nov 99999999999 09:00:00 GMT", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(said: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": said}, now=NOW) == seconds


def test_without_retry_after_there_is_no_wait() -> None:
    assert retry_after({}) is None
    assert retry_after(httpx.Headers({"Retry-After": "3"})) == 3
