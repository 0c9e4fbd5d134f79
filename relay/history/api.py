"""Requests for CloudTalk's history: within the limit of all processes, and tried again if that may help."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar

import httpx
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from crm_clients.base import Retry, Throttled, Unknown
from crm_clients.http import VendorHttp
from relay.cloudtalk.api import ApiAccess, blocked_seconds
from relay.history.errors import ApiFailure, Passing
from relay.history.pages import AFTER_THE_LAST, ROWS_PER_PAGE, Page, check_status, parse_page, parse_uuid
from relay.history.windows import Window
from relay.ledger.request_limit import SharedRequestLimit
from relay.logs import get_logger
from relay.measurements import HISTORY_REQUESTS

T = TypeVar("T")

log = get_logger("relay.history")

_TIMEOUT_SECONDS: Final = 60.0
_MAX_BODY_BYTES: Final = 32 * 1024 * 1024
_ATTEMPTS: Final = 8
_LONGEST_WAIT_SECONDS: Final = 60.0
_UNREACHABLE_HINT: Final = "check that this machine can reach it, and cloudtalk.api.base_url"


class HistoryApi:
    """Reads pages and uuids. `requests`: how many it sent.

    `on_wait` is called with the seconds for which the limit is used up. `sleep` waits.
    """

    def __init__(
        self,
        access: ApiAccess,
        limit: SharedRequestLimit,
        *,
        on_wait: Callable[[float], None] = lambda _: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.requests = 0
        self.on_wait = on_wait
        self._access = access
        self._limit = limit
        self._sleep = sleep
        self._http = VendorHttp(
            base_url=access.base_url,
            headers=access.headers,
            timeout_seconds=_TIMEOUT_SECONDS,
            connections=1,
            max_body_bytes=_MAX_BODY_BYTES,
        )

    async def read_page(self, window: Window, number: int) -> Page:
        """Return a page of the calls in a window, the newest first. Raises `ApiFailure`, `LedgerError`."""
        params = {
            "date_from": window.date_from,
            "date_to": window.date_to,
            "limit": str(ROWS_PER_PAGE),
            "page": str(number),
        }
        where = self._access.calls_url
        return await self._retry(self._read_page, where, params)

    async def find_uuid(self, call_id: str) -> str | None:
        """Ask the analytics API for the call_uuid; None if it does not know the call, or not yet.

        Raises `ApiFailure`, `LedgerError`.
        """
        where = self._access.analytics_url(call_id)
        return await self._retry(self._find_uuid, where)

    async def has_call(self, call_id: str) -> bool:
        """Ask whether the history has a call with this number. Raises `ApiFailure`, `LedgerError`."""
        params = {"call_id": call_id, "limit": "1", "page": "1"}
        page = await self._retry(self._read_page, self._access.calls_url, params)
        return bool(page.rows)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _read_page(self, where: str, params: Mapping[str, str]) -> Page:
        response = await self._send("history", where, params)
        if response.status_code == HTTPStatus.NOT_FOUND and params["page"] != "1":
            return AFTER_THE_LAST
        _check(response, where)
        return parse_page(response.content, where)

    async def _find_uuid(self, where: str) -> str | None:
        response = await self._send("analytics", where, {})
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        _check(response, where)
        return parse_uuid(response.content, where)

    async def _retry(self, attempt: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(Passing),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=1, max=_LONGEST_WAIT_SECONDS),
            sleep=self._sleep,
            before_sleep=_log_retry,
            reraise=True,
        )
        return await attempts(attempt, *arguments)

    async def _send(self, api: str, url: str, params: Mapping[str, str]) -> httpx.Response:
        """Send one request when the limit allows it. Raises `Passing` if no answer came."""
        while seconds := await self._limit.acquire():
            self.on_wait(seconds)
            await self._sleep(seconds)
        self.requests += 1
        response = await self._http.send("GET", url, params=params)
        if isinstance(response, Retry | Throttled | Unknown):
            HISTORY_REQUESTS.add((api, "unreachable"))
            raise Passing("unreachable", (response.message or url).rstrip("."), _UNREACHABLE_HINT)
        HISTORY_REQUESTS.add((api, str(response.status_code)))
        unix_now = self._limit.unix_now()
        if seconds := blocked_seconds(response.status_code, response.headers, unix_now=unix_now):
            await self._limit.block(seconds)
        return response


def _check(response: httpx.Response, where: str) -> None:
    check_status(response.status_code, response.content, response.headers.get("content-type", ""), where)


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ApiFailure) and state.next_action is not None:
        seconds = round(state.next_action.sleep, 1)
        log.warning("history.retried", code=error.code, error=str(error), seconds=seconds)
