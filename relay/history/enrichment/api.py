"""Requests about single calls to CloudTalk's analytics and AI, within the limit of all processes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import httpx

from crm_clients.base import Retry, Throttled, Unknown
from crm_clients.http import VendorHttp
from crm_clients.response_body import TOO_LARGE
from relay.cloudtalk.ai_texts import Segments, read_page, read_segments
from relay.cloudtalk.api import ApiAccess, blocked_seconds
from relay.cloudtalk.text_limits import LONGEST_TEXT
from relay.history.enrichment.schedule import API_OF, Api
from relay.history.errors import ApiFailure, Passing
from relay.history.pages import check_status, parse_object
from relay.ledger.enrichments import Question
from relay.ledger.request_limit import SharedRequestLimit
from relay.measurements import HISTORY_REQUESTS

_TIMEOUT_SECONDS: Final = 20.0
_MAX_BODY_BYTES: Final = 4 * 1024 * 1024
_SEGMENTS_PER_PAGE: Final = 500
_MOST_PAGES: Final = 40
_LARGE_HINT: Final = "the answer is left out"
_UNREACHABLE_HINT: Final = "check that this machine can reach it, and cloudtalk.api.analytics_url and ai_url"

_PARTS: Final = {Question.SUMMARY: "summary", Question.SMART_NOTES: "smart-notes"}


class Gone(Exception):
    """CloudTalk deleted what was asked for."""


class EnrichmentApi:
    """Asks about one call at a time. `sleep` waits while the limit is used up."""

    def __init__(
        self,
        access: ApiAccess,
        limit: SharedRequestLimit,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._access = access
        self._limit = limit
        self._sleep = sleep
        self._http = VendorHttp(
            base_url=access.base_url,
            headers=access.headers,
            timeout_seconds=_TIMEOUT_SECONDS,
            connections=2,
            max_body_bytes=_MAX_BODY_BYTES,
        )

    async def ask(self, question: Question, call_id: str) -> Mapping[str, Any] | None:
        """Return CloudTalk's answer, of a transcript `{"segments": …}`; None if there is none yet.

        Raises `Gone`, `ApiFailure`, `LedgerError`.
        """
        if question is Question.TRANSCRIPT:
            return await self._read_transcript(call_id)
        if API_OF[question] is Api.ANALYTICS:
            return await self._get(Api.ANALYTICS, self._access.analytics_url(call_id), {})
        return await self._get(Api.AI, self._access.ai_url(call_id, _PARTS[question]), {})

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _read_transcript(self, call_id: str) -> Mapping[str, Any] | None:
        """Read pages until the transcript is complete, or as long as a record keeps."""
        url = self._access.ai_url(call_id, "transcription")
        segments: Segments = []
        offset = characters = 0
        for _ in range(_MOST_PAGES):
            page = await self._get(Api.AI, url, {"limit": str(_SEGMENTS_PER_PAGE), "offset": str(offset)})
            if page is None:
                break
            read = read_segments(page)
            segments += read
            characters += sum(len(text) for _, text in read)
            number, total = read_page(page)
            offset += number
            if not number or characters > LONGEST_TEXT or (total is not None and offset >= total):
                break
        return {"segments": _shorten(segments)} if segments else None

    async def _get(self, api: Api, url: str, params: Mapping[str, str]) -> dict[str, Any] | None:
        response = await self._send(api, url, params)
        content_type = response.headers.get("content-type", "")
        match response.status_code:
            case HTTPStatus.NOT_FOUND if "html" not in content_type:
                return None
            case HTTPStatus.GONE:
                raise Gone
        check_status(response.status_code, response.content, content_type, url)
        return parse_object(response.content, url)

    async def _send(self, api: Api, url: str, params: Mapping[str, str]) -> httpx.Response:
        """Send one request when the limit allows it."""
        while seconds := await self._limit.acquire():
            await self._sleep(seconds)
        response = await self._http.send("GET", url, params=params)
        if isinstance(response, Retry | Throttled | Unknown):
            HISTORY_REQUESTS.add((api, "unreachable"))
            message = (response.message or url).rstrip(".")
            if response.code == TOO_LARGE:
                raise ApiFailure(TOO_LARGE, message, _LARGE_HINT)
            raise Passing("unreachable", message, _UNREACHABLE_HINT)
        HISTORY_REQUESTS.add((api, str(response.status_code)))
        unix_now = self._limit.unix_now()
        if seconds := blocked_seconds(response.status_code, response.headers, unix_now=unix_now):
            await self._limit.block(seconds)
        return response


def _shorten(segments: Segments) -> Segments:
    """Leave out what no record keeps: the journal stores each segment, too."""
    kept: Segments = []
    left = LONGEST_TEXT + 1
    for speaker, text in segments:
        if left <= 0:
            break
        kept.append([speaker, text[:left]])
        left -= len(kept[-1][1]) + 1
    return kept
