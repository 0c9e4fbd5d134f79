"""Read what one CRM has of some calls, and try again if that may help. One request at a time: deliveries use
the same rate limits, and come first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from crm_clients.base import CrmClient, Outcome, Push, Retry, Split, Stored, Throttled, Unknown
from relay.logs import get_logger

log = get_logger("relay.audit")

_TRIES: Final = 5
_FIRST_WAIT_SECONDS: Final = 2.0
_LONGEST_WAIT_SECONDS: Final = 60.0
_PASSING: Final = (Retry, Throttled, Unknown)


class CannotRead(Exception):
    """The client has no way to read records."""


class ReadFailed(Exception):
    """The CRM could not be read. The message is for a person."""


async def read_records(
    client: CrmClient[Any],
    pushes: Sequence[Push],
    *,
    timeout_seconds: float,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> dict[str, Sequence[Stored]]:
    """Return the records of these calls by call id. Raises `CannotRead`, `ReadFailed`."""
    wait = _FIRST_WAIT_SECONDS
    for tries_left in reversed(range(_TRIES)):
        found = await _read(client, pushes, timeout_seconds)
        if found is None:
            raise CannotRead
        if not isinstance(found, Outcome):
            return dict(found)
        if isinstance(found, Split) and len(pushes) > 1:
            return await _read_halves(client, pushes, timeout_seconds, sleep)
        if not isinstance(found, _PASSING) or not tries_left:
            raise ReadFailed(_describe(found))
        asked = found.after if isinstance(found, Retry | Throttled) else None
        await sleep(min(max(asked or 0, wait), _LONGEST_WAIT_SECONDS))
        wait *= 2
    raise AssertionError  # the last try returns or raises


async def _read_halves(
    client: CrmClient[Any],
    pushes: Sequence[Push],
    timeout_seconds: float,
    sleep: Callable[[float], Awaitable[None]],
) -> dict[str, Sequence[Stored]]:
    middle = len(pushes) // 2
    halves = [
        await read_records(client, half, timeout_seconds=timeout_seconds, sleep=sleep)
        for half in (pushes[:middle], pushes[middle:])
    ]
    return halves[0] | halves[1]


async def _read(
    client: CrmClient[Any], pushes: Sequence[Push], timeout_seconds: float
) -> Mapping[str, Sequence[Stored]] | Outcome | None:
    try:
        async with asyncio.timeout(timeout_seconds):
            return await client.read(pushes)
    except TimeoutError:
        return Retry(code="timeout", message="no answer within timeout_seconds")
    except Exception as error:
        # An exception is a defect of the client.
        log.exception("audit.client_failed", destination=client.name)
        raise ReadFailed(repr(error)) from error


def _describe(outcome: Outcome) -> str:
    code = f" ({outcome.code})" if outcome.code else ""
    return f"{outcome.name}{code}: {outcome.message or 'the CRM gave no reason'}"
