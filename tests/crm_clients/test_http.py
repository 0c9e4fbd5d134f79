import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from importlib.abc import MetaPathFinder

import httpx
import pytest

from crm_clients.base import Retry, Throttled, Unknown
from crm_clients.http import USER_AGENT, VendorHttp, retry_after
from crm_clients.rate_limit import RateLimiter
from tests.support.fake_time import FakeTime, replace_sleep
from tests.support.servers import Handle, free_port, serving


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
    assert request.headers["accept-encoding"] == "gzip"
    assert request.headers["user-agent"].startswith("cloudtalk-relay/")


@pytest.mark.parametrize(("seconds", "connect"), [(4, 2), (20, 10), (60, 10)])
async def test_a_connection_may_take_half_of_the_time_and_at_most_ten_seconds(
    seconds: float, connect: float
) -> None:
    transport = Failing()
    async with connected(transport=transport, timeout_seconds=seconds) as http:
        await http.send("GET", "/")
    [request] = transport.requests
    assert request.extensions["timeout"] == {
        "connect": connect,
        "pool": connect,
        "read": seconds,
        "write": seconds,
    }


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


async def test_a_connection_that_fails_three_times_is_a_retry() -> None:
    transport = Failing(*[httpx.ConnectError("refused by X.")] * 4)
    async with connected(transport=transport) as http:
        result = await http.send("GET", "/")
    assert result == Retry(
        code="unreachable", message="No connection to http://vendor.example: refused by X."
    )
    assert len(transport.requests) == 3


async def test_between_failed_connections_are_two_short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    time = FakeTime()
    replace_sleep(monkeypatch, time.sleep)
    monkeypatch.setattr("random.uniform", lambda _, longest: longest)
    async with connected(transport=Failing(*[httpx.ConnectError("refused")] * 3)) as http:
        await http.send("GET", "/")
    assert time.slept == pytest.approx([0.05, 0.1])


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


async def test_the_time_of_a_request_ends_although_the_vendor_keeps_sending() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)

    async with serving(drip) as url, connected(url, timeout_seconds=0.2) as http:
        result = await http.send("GET", "/")
    assert result == Unknown(
        code="no_answer", message=f"{url} received a request and did not respond: TimeoutError."
    )


async def test_an_endless_head_is_a_retry() -> None:
    async def interim(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"HTTP/1.1 103 Early Hints\r\nX: %s\r\n\r\n" % (b"x" * 4_096))
                await writer.drain()

    async with serving(interim) as url, connected(url) as http:
        result = await http.send("GET", "/")
    message = f"{url} sent more than 131072 bytes before its response."
    assert result == Retry(code="answer_too_large", message=message)


def respond_after(released: asyncio.Event, opened: list[int]) -> Handle:
    """Count connections in `opened`, and keep each until the client closes it."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(len(opened))
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await released.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
                await writer.drain()

    return respond


@pytest.mark.parametrize(("options", "most"), [({"connections": 2}, 2), ({}, 4)])
async def test_only_so_many_connections_are_open_and_they_are_closed_at_the_end(
    options: dict[str, int], most: int
) -> None:
    released, opened = asyncio.Event(), list[int]()
    async with serving(respond_after(released, opened)) as url:  # ends when its connections are closed
        http = VendorHttp(base_url=url, headers={}, timeout_seconds=20, **options)  # type: ignore[arg-type]
        requests = [asyncio.create_task(http.send("GET", "/")) for _ in range(6)]
        while len(opened) < most:
            await asyncio.sleep(0.01)
        released.set()
        results = await asyncio.gather(*requests)
        await http.aclose()
    assert [r.status_code for r in results if isinstance(r, httpx.Response)] == [200] * 6
    assert len(opened) == most


async def test_a_response_larger_than_the_limit_frees_its_connection() -> None:
    released, opened = asyncio.Event(), list[int]()
    released.set()
    async with serving(respond_after(released, opened)) as url:
        http = VendorHttp(base_url=url, headers={}, timeout_seconds=20, connections=1, max_body_bytes=0)
        results = [await http.send("GET", "/") for _ in range(2)]
        await http.aclose()
    assert [(type(r), r.code) for r in results if not isinstance(r, httpx.Response)] == [
        (Retry, "answer_too_large")
    ] * 2


async def test_by_default_the_rate_of_all_requests_is_one_limit() -> None:
    http = VendorHttp(base_url="http://vendor.example", headers={}, timeout_seconds=1, rate=7)
    assert http.rate_limits.keys() == {"writes"}
    await http.aclose()


async def test_a_request_waits_for_the_rate_limit_that_it_names() -> None:
    time = FakeTime()
    limits = {name: RateLimiter(20, clock=time.clock, sleep=time.sleep) for name in ("writes", "search")}
    async with connected(transport=Failing(), rate_limits=limits) as http:
        for rate_limit in ("search", "writes", "search"):
            await http.send("GET", "/", rate_limit=rate_limit)
        assert time.slept == pytest.approx([0.05])
        limits["search"].block_for(7)
        assert await http.send("GET", "/", rate_limit="search") == Throttled(
            code="rate_limit_reached",
            message="The CRM currently accepts no more requests of the rate limit search.",
            after=7,
            rate_limit="search",
        )
        assert isinstance(await http.send("GET", "/"), httpx.Response)


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
        ("Tue, 24 Nov 2026 11:01:30 +0200", 90),
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


def test_a_date_of_retry_after_is_compared_with_the_present() -> None:
    assert retry_after({"retry-after": "Tue, 24 Nov 2020 09:00:00 GMT"}) == 0
    assert retry_after({"retry-after": "Tue, 24 Nov 2099 09:00:00 GMT"}) == 86_400


def test_without_retry_after_the_wait_is_unknown() -> None:
    assert retry_after({}) is None
    assert retry_after(httpx.Headers({"Retry-After": "3"})) == 3


# --- cost ---------------------------------------------------------------------------------------


class Searched(MetaPathFinder):
    """Keeps the names of modules that Python searches for, and finds none."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def find_spec(self, fullname: str, *_: object) -> None:
        self.names.append(fullname)


async def test_a_request_searches_for_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """httpcore imports `sniffio` several times per request. To search for a missing module takes long."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    searched = Searched()
    async with serving(respond) as url, connected(url) as http:
        await http.send("GET", "/")
        monkeypatch.setattr(sys, "meta_path", [searched, *sys.meta_path])
        result = await http.send("GET", "/")
    assert isinstance(result, httpx.Response)
    assert searched.names == []
