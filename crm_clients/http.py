"""How clients speak HTTP to their vendors: one connection pool, at a pace, and every failure an outcome.

A request that never left is `Retry`; one that left and was not answered is `Unknown`, since the
vendor may have acted on it. Nothing here sleeps for longer than a moment: when to try again is the
courier's business.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Final

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from crm_clients.base import Retry, Throttled, Unknown
from crm_clients.rate_limit import WRITES, RateLimiter

USER_AGENT: Final = f"cloudtalk-relay/{version('cloudtalk-relay')}"

_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_CONNECT_SECONDS: Final = 10.0
_CONNECT_ATTEMPTS: Final = 3
_LONGEST_WAIT_SECONDS: Final = 0.5

Answer = httpx.Response | Retry | Throttled | Unknown
"""What a request comes back as: the vendor's answer, whatever its status, or why there is none."""


class VendorHttp:
    """The connections of one destination; opened by the first request, let go of by `aclose`.

    `rate_limits`: how many requests of each sort may leave; unless given, `writes` at `rate` a second.
    `timeout_seconds`: how long an answer may take. Redirects are not followed, as they would carry
    the credentials elsewhere.
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
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.rate_limits = {WRITES: RateLimiter(rate)} if rate_limits is None else dict(rate_limits)
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers={**headers, "User-Agent": USER_AGENT},
            timeout=httpx.Timeout(timeout_seconds, connect=min(_CONNECT_SECONDS, timeout_seconds)),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            transport=transport,
        )

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        rate_limit: str = WRITES,
    ) -> Answer:
        """Send it once, connecting up to three times; a failure is an outcome, not an exception.

        Nothing is sent while the rate_limit is spent.
        """
        if seconds := self.rate_limits[rate_limit].blocked_for:
            return Throttled(
                code="rate_limit_reached", message=_spent(rate_limit), after=seconds, rate_limit=rate_limit
            )
        request = self._client.build_request(method, path, params=params, headers=headers, content=content)
        await self.rate_limits[rate_limit].acquire()
        try:
            return await self._send(request)
        except _NOT_SENT as error:
            return Retry(code="unreachable", message=_not_sent(request.url, error))
        except httpx.RequestError as error:
            return Unknown(code="no_answer", message=_not_answered(request.url, error))

    async def _send(self, request: httpx.Request) -> httpx.Response:
        """Only a connection that failed at once is tried again: it costs little, and nothing was sent."""
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(httpx.ConnectError),
            stop=stop_after_attempt(_CONNECT_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.05, max=_LONGEST_WAIT_SECONDS),
            reraise=True,
        )
        return await attempts(self._client.send, request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def retry_after(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """The seconds that a `Retry-After` asks for, said in seconds or as a date (RFC 9110, 10.2.3).

    None where there is none, or none that can be read: then the courier's own schedule holds.
    """
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(said)
    try:
        moment = parsedate_to_datetime(said)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def _spent(rate_limit: str) -> str:
    return f"The CRM permits no more {rate_limit} for now."


def _not_sent(url: httpx.URL, error: httpx.RequestError) -> str:
    return f"No connection to {_origin(url)}: {_reason(error)}."


def _not_answered(url: httpx.URL, error: httpx.RequestError) -> str:
    return f"{_origin(url)} was sent a request and did not answer: {_reason(error)}."


def _origin(url: httpx.URL) -> str:
    """Scheme, host and port: what a message may say of an address, which can bear secrets further on."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _reason(error: httpx.RequestError) -> str:
    """The text of a timeout is empty in httpx; its name says what happened."""
    return (str(error) or type(error).__name__).rstrip(".")
