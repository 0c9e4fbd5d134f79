"""HTTP requests to a vendor: one connection pool per destination, rate limits, and outcomes for failures.

If a request was never sent, the outcome is `Retry`. If it was sent and no response came, the outcome
is `Unknown`, since the vendor may have processed it. This module waits at most for some seconds; the
relay schedules the retries. Size and duration of a response, with its head, are limited.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Final

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from crm_clients.base import Retry, Throttled, Unknown
from crm_clients.clean_cancel import await_request
from crm_clients.rate_limit import WRITES, RateLimiter
from crm_clients.response_body import ACCEPTED_ENCODING, MAX_BODY_BYTES, TOO_LARGE, read_response
from crm_clients.response_head import MAX_HEAD_BYTES, HeadTooLarge, LimitedHead, limit_heads

USER_AGENT: Final = f"cloudtalk-relay/{version('cloudtalk-relay')}"

_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_CONNECT_SECONDS: Final = 10.0
_CONNECT_ATTEMPTS: Final = 3
_LONGEST_FIRST_WAIT_SECONDS: Final = 0.05
_CONNECT_SHARE: Final = 0.5
"""Of `timeout_seconds`, at most: a connection that fails is noticed before the whole time is over."""

_LONGEST_RETRY_AFTER_SECONDS: Final = 86_400.0

HttpResult = httpx.Response | Retry | Throttled | Unknown
"""The vendor's response, whatever its status, or the outcome if there is none."""


class VendorHttp:
    """An HTTP client for one destination. The first request opens a connection, `aclose` closes all.

    `rate_limits`: limiters by name. The default is one limiter, `writes`, with `rate` requests per
    second. `timeout_seconds`: how long a request may take, until its response was read. `max_body_bytes`: of
    a response with data, decompressed; a larger one is `Retry`. Redirects are not followed, since they would
    send the credentials to another address.
    """

    def __init__(
        self,
        *,
        base_url: str,
        headers: Mapping[str, str],
        timeout_seconds: float,
        rate: float | None = None,
        rate_limits: Mapping[str, RateLimiter] | None = None,
        connections: int = 4,
        max_body_bytes: int = MAX_BODY_BYTES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.rate_limits = {WRITES: RateLimiter(rate)} if rate_limits is None else dict(rate_limits)
        self._timeout_seconds = timeout_seconds
        self._max_body_bytes = max_body_bytes
        connect_seconds = min(_CONNECT_SECONDS, timeout_seconds * _CONNECT_SHARE)
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers={"Accept-Encoding": ACCEPTED_ENCODING, **headers, "User-Agent": USER_AGENT},
            timeout=httpx.Timeout(timeout_seconds, connect=connect_seconds, pool=connect_seconds),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            transport=transport,
        )
        limit_heads(self._client)

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        rate_limit: str = WRITES,
    ) -> HttpResult:
        """Send one request; a failed connection is tried up to three times.

        While the vendor blocks `rate_limit`, nothing is sent and the result is `Throttled`.
        """
        if seconds := self.rate_limits[rate_limit].blocked_for:
            message = f"The CRM currently accepts no more requests of the rate limit {rate_limit}."
            return Throttled(code="rate_limit_reached", message=message, after=seconds, rate_limit=rate_limit)
        request = self._client.build_request(method, path, params=params, headers=headers, content=content)
        await self.rate_limits[rate_limit].acquire()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await await_request(self._send_with_reconnect(request))
        except _NOT_SENT as error:
            message = f"No connection to {_origin(request.url)}: {_reason(error)}."
            return Retry(code="unreachable", message=message)
        except HeadTooLarge:
            message = f"{_origin(request.url)} sent more than {MAX_HEAD_BYTES} bytes before its response."
            return Retry(code=TOO_LARGE, message=message)
        except (httpx.RequestError, TimeoutError) as error:
            message = f"{_origin(request.url)} received a request and did not respond: {_reason(error)}."
            return Unknown(code="no_answer", message=message)

    async def _send_with_reconnect(self, request: httpx.Request) -> httpx.Response | Retry:
        """Retry only connections that fail at once: a retry is cheap then, and nothing was sent."""
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(httpx.ConnectError),
            stop=stop_after_attempt(_CONNECT_ATTEMPTS),
            wait=wait_random_exponential(multiplier=_LONGEST_FIRST_WAIT_SECONDS),
            reraise=True,
        )
        return await attempts(self._send_once, request)

    async def _send_once(self, request: httpx.Request) -> httpx.Response | Retry:
        with LimitedHead():
            response = await self._client.send(request, stream=True)
        try:
            return await read_response(response, _origin(request.url), max_bytes=self._max_body_bytes)
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def retry_after(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Return the seconds of a `Retry-After` header, given in seconds or as a date (RFC 9110, 10.2.3).

    None if the header is absent or malformed; the relay then uses its own schedule. A day is the most: a
    mistake of the vendor must not stop the destination until a restart.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_RETRY_AFTER_SECONDS)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    seconds = (date - (now or datetime.now(UTC))).total_seconds()
    return min(max(0.0, seconds), _LONGEST_RETRY_AFTER_SECONDS)


def _origin(url: httpx.URL) -> str:
    """Return scheme, host and port. The rest of a URL may contain secrets."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _reason(error: httpx.RequestError | TimeoutError) -> str:
    """Return the error's text, or its class name: timeouts have an empty text."""
    return (str(error) or type(error).__name__).rstrip(".")
