import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest

from crm_clients.base import Retry, Throttled, Unknown
from crm_clients.http import USER_AGENT, VendorHttp, retry_after
from crm_clients.rate_limit import RateLimiter
from tests.support.fake_time import FakeTime
from tests.support.servers import free_port, serving


@asynccontextmanager
async def connected(
    url: str = "http://vendor.example",
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    timeout_seconds: float = 5,
    rate_limits: Mapping[str, RateLimiter] | None = None,
) -> AsyncIterator[VendorHttp]:
    http = VendorHttp(
        base_url=url,
        headers={"X-Key": "secret"},
        timeout_seconds=timeout_seconds,
        rate_limits=rate_limits,
        transport=transport,
    )
    try:
        yield http
    finally:
        await http.aclose()


class Failing(httpx.AsyncBaseTransport):
    """Raises these errors one after the other, then responds."""

    def __init__(self, *errors: httpx.RequestError) -> None:
        self.errors = list(errors)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.errors:
            raise self.errors.pop(0)
        return httpx.Response(200)


async def test_a_request_has_the_headers_of_the_client_and_its_own_and_the_user_agent() -> None:
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


async def test_any_status_is_returned_as_a_response_and_a_redirect_is_not_followed() -> None:
    transport = httpx.MockTransport(
        lambda _: httpx.Response(302, headers={"Location": "http://other.example"})
    )
    async with connected(transport=transport) as http:
        result = await http.send("GET", "/")
    assert isinstance(result, httpx.Response)
    assert result.status_code == 302


async def test_a_failed_connection_is_tried_three_times() -> None:
    transport = Failing(httpx.ConnectError("refused"), httpx.ConnectError("refused"))
    async with connected(transport=transport) as http:
        result = await http.send("GET", "/")
    assert isinstance(result, httpx.Response)
    assert len(transport.requests) == 3


async def test_a_refused_connection_is_a_retry_whose_message_names_the_host() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with connected(url) as http:
        result = await http.send("GET", "/secret?token=1")
    assert isinstance(result, Retry)
    assert result.code == "unreachable"
    assert result.message is not None
    assert url in result.message
    assert "secret" not in result.message


@pytest.mark.parametrize("error", [httpx.ConnectTimeout(""), httpx.PoolTimeout("")])
async def test_a_connect_timeout_is_a_retry_without_a_second_attempt(
    error: httpx.RequestError,
) -> None:
    transport = Failing(error)
    async with connected(transport=transport) as http:
        result = await http.send("GET", "/")
    assert isinstance(result, Retry)
    assert type(error).__name__ in (result.message or "")
    assert len(transport.requests) == 1


@pytest.mark.parametrize(
    "error",
    [httpx.ReadTimeout(""), httpx.WriteTimeout(""), httpx.ReadError("reset"), httpx.DecodingError("gzip")],
)
async def test_a_failure_after_sending_is_unknown_and_the_request_is_not_repeated(
    error: httpx.RequestError,
) -> None:
    transport = Failing(error)
    async with connected(transport=transport) as http:
        result = await http.send("POST", "/")
    assert isinstance(result, Unknown)
    assert result.code == "no_answer"
    assert len(transport.requests) == 1


async def test_a_connection_closed_after_the_request_is_unknown() -> None:
    async def close_at_once(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with serving(close_at_once) as url, connected(url) as http:
        result = await http.send("POST", "/", content=b"x")
    assert isinstance(result, Unknown)


async def test_a_response_that_takes_too_long_is_unknown() -> None:
    async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(hang) as url, connected(url, timeout_seconds=0.1) as http:
        result = await http.send("GET", "/")
    assert isinstance(result, Unknown)


async def test_requests_wait_for_their_rate_limit() -> None:
    time = FakeTime()
    limiter = RateLimiter(20, clock=time.clock, sleep=time.sleep)
    async with connected(transport=Failing(), rate_limits={"writes": limiter}) as http:
        for _ in range(3):
            await http.send("GET", "/")
    assert time.slept == pytest.approx([0.05, 0.05])


async def test_a_blocked_rate_limit_is_throttled_and_nothing_is_sent() -> None:
    time = FakeTime()
    limiter = RateLimiter(clock=time.clock, sleep=time.sleep)
    limiter.block_for(7)
    transport = Failing()
    async with connected(transport=transport, rate_limits={"writes": limiter}) as http:
        result = await http.send("GET", "/")
    assert isinstance(result, Throttled)
    assert (result.after, result.rate_limit) == (7, "writes")
    assert transport.requests == []


NOW = datetime(2026, 11, 24, 9, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Tue, 24 Nov 2026 09:01:30 GMT", 90),
        ("Tue, 24 Nov 2026 09:01:30 -0000", 90),
        ("Tue, 24 Nov 2026 08:00:00 GMT", 0),
        ("9" * 5_000, 86_400),
        ("86401", 86_400),
        ("Tue, 24 Nov 2099 09:00:00 GMT", 86_400),
        ("", None),
        ("soon", None),
        ("Tue, 24 Nov 99999999999 09:00:00 GMT", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
    ],
)
def test_retry_after_is_parsed_as_seconds_or_as_a_date(header: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": header}, now=NOW) == seconds


def test_without_retry_after_the_wait_is_unknown() -> None:
    assert retry_after({}) is None
    assert retry_after(httpx.Headers({"Retry-After": "3"})) == 3
