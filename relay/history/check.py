"""What the API key may read of CloudTalk's history, for `relay check`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import httpx

from crm_clients.base import Finding
from crm_clients.http import VendorHttp
from relay.cloudtalk.api import ApiAccess
from relay.history.errors import ApiFailure
from relay.history.pages import check_status, parse_page
from relay.settings import Settings

_TIMEOUT_SECONDS: Final = 10.0
_HISTORY: Final = "cloudtalk.history"
_ANALYTICS: Final = "cloudtalk.analytics"
_UNREACHABLE_HINT: Final = "check cloudtalk.api.base_url, and that this machine can reach it"
_NO_CALL: Final = "1"
"""A call_id that no call of today has: only whether the API accepts the key is asked."""


async def check_history(settings: Settings) -> list[Finding]:
    """Ask for one call of the history, and ask the analytics API, with one request each.

    The history is a failure if the reconciler needs it. Analytics are a warning: without them, rows that
    several calls fit stay calls of their own.
    """
    access = settings.cloudtalk.api.access()
    if access is None:
        return []
    http = VendorHttp(
        base_url=access.base_url, headers=access.headers, timeout_seconds=_TIMEOUT_SECONDS, connections=1
    )
    try:
        return [
            await _check_calls(http, access, is_needed=settings.reconcile.every_minutes > 0),
            await _check_analytics(http, access),
        ]
    finally:
        await http.aclose()


async def _check_calls(http: VendorHttp, access: ApiAccess, *, is_needed: bool) -> Finding:
    try:
        response = await _ask(http, access.calls_url, {"limit": "1", "page": "1"})
        _check(response, access.calls_url)
        parse_page(response.content, access.calls_url)
    except ApiFailure as error:
        problem = f"CloudTalk's history cannot be read: {error.message}"
        return Finding(name=_HISTORY, ok=not is_needed, code=error.code, problem=problem, hint=error.hint)
    return Finding(name=_HISTORY, ok=True)


async def _check_analytics(http: VendorHttp, access: ApiAccess) -> Finding:
    where = access.analytics_url(_NO_CALL)
    try:
        response = await _ask(http, where, {})
        if response.status_code != HTTPStatus.NOT_FOUND:
            _check(response, where)
    except ApiFailure as error:
        problem = f"CloudTalk's analytics cannot be asked which call is which: {error.message}"
        return Finding(name=_ANALYTICS, ok=True, code=error.code, problem=problem, hint=error.hint)
    return Finding(name=_ANALYTICS, ok=True)


async def _ask(http: VendorHttp, url: str, params: Mapping[str, str]) -> httpx.Response:
    response = await http.send("GET", url, params=params)
    if isinstance(response, httpx.Response):
        return response
    raise ApiFailure("unreachable", (response.message or url).rstrip("."), _UNREACHABLE_HINT)


def _check(response: httpx.Response, where: str) -> None:
    check_status(response.status_code, response.content, response.headers.get("content-type", ""), where)
