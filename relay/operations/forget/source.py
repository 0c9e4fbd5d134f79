"""Deleting recordings at CloudTalk by its API, within the relay's share of the rate limit."""

import asyncio
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Final

import httpx

from relay.cloudtalk.api import USER_AGENT, ApiAccess, blocked_seconds
from relay.ledger import Ledger
from relay.ledger.request_limit import SharedRequestLimit
from relay.operations.forget.receipt import SourceReceipt
from relay.settings import Settings

_TIMEOUT_SECONDS: Final = 30.0
_TRIES: Final = 3
_RETRY_SECONDS: Final = 2.0
_ABSENT: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_NO_KEY: Final = (
    "set cloudtalk.api.key_id and key_secret, and run it again with the call_ids, or delete the recordings in"
    " CloudTalk's dashboard"
)
_FAILED: Final = "delete the recordings of these calls in CloudTalk's dashboard"


async def delete_at_source(
    ledger: Ledger,
    settings: Settings,
    call_ids: Collection[str],
    on_progress: Callable[[int, int], None],
    *,
    transport: httpx.AsyncBaseTransport | None = None,
) -> SourceReceipt:
    """Delete the recordings of these calls for good. Calls without a recording count as absent."""
    if not call_ids:
        return SourceReceipt()
    access = settings.cloudtalk.api.access()
    if access is None:
        return SourceReceipt(failed=sorted(call_ids), advice=f"there is no API key: {_NO_KEY}")
    limit = SharedRequestLimit(ledger, per_minute=settings.cloudtalk.api.requests_per_minute)
    deleted, absent, failed = 0, 0, dict[str, str]()
    async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, transport=transport) as client:
        for done, call_id in enumerate(sorted(call_ids)):
            on_progress(done, len(call_ids))
            answer = await _delete(client, access, limit, call_id)
            deleted += answer == HTTPStatus.OK
            absent += answer in _ABSENT
            if answer != HTTPStatus.OK and answer not in _ABSENT:
                failed[call_id] = str(answer)
    if not failed:
        return SourceReceipt(deleted, absent)
    reasons = ", ".join(sorted(set(failed.values())))
    return SourceReceipt(deleted, absent, sorted(failed), f"CloudTalk answered {reasons}: {_FAILED}")


async def _delete(
    client: httpx.AsyncClient, access: ApiAccess, limit: SharedRequestLimit, call_id: str
) -> int | str:
    """Return 200, 404 or 410, else the last status or failure after some tries."""
    answer: int | str = "nothing"
    headers = {**access.headers, "User-Agent": USER_AGENT}
    for _ in range(_TRIES):
        while seconds := await limit.acquire():  # noqa: ASYNC110 - the rate limit is a time, no event
            await asyncio.sleep(seconds)
        try:
            response = await client.delete(access.deletion_url(call_id), headers=headers)
        except httpx.HTTPError as error:
            answer = type(error).__name__
        else:
            blocked = blocked_seconds(response.status_code, response.headers, unix_now=limit.unix_now())
            if blocked:
                await limit.block(blocked)
            answer = HTTPStatus.OK if response.is_success else response.status_code
            if answer != HTTPStatus.TOO_MANY_REQUESTS and answer < HTTPStatus.INTERNAL_SERVER_ERROR:
                return answer
        await asyncio.sleep(_RETRY_SECONDS)
    return answer
