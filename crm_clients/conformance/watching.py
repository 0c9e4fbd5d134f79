"""A client, called as the courier calls it, and every answer held against what all clients owe."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn, ParamSpec, TypeVar

import pytest

from crm_clients.base import ClientState, CrmClient, Delivered, Finding, Outcome, Push, Retraction, Unknown
from crm_clients.conformance.calls import ID, push
from crm_clients.conformance.crm import Ability, Crm, Fault
from crm_clients.state import InMemoryClientState
from relay.call import Call

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE: Final = 1.0
"""`timeout_seconds` of the clients that are tried: a fault must not make a kit slow."""


def scenario(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on an event loop of its own, whatever plug-ins pytest has."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def require(held: object, message: str) -> None:
    """Fail with a message that says what to do."""
    __tracebackhide__ = True
    if not held:
        pytest.fail(message)


def needs(crm: Crm, *wanted: Ability | Fault) -> None:
    """Skip where the CRM cannot do it, or cannot be made to."""
    for each in wanted:
        if each in crm.lacks:
            pytest.skip(f"{type(crm).__name__} lacks {type(each).__name__}.{each.name}")


def delivered(outcomes: Iterable[Outcome]) -> None:
    """Fail unless all of them are."""
    __tracebackhide__ = True
    for outcome in outcomes:
        require(isinstance(outcome, Delivered), f"nothing was wrong, and a call came back as {outcome!r}")


def the_record(crm: Crm, call_id: str = ID) -> dict[str, Any]:
    """The one record of a call."""
    __tracebackhide__ = True
    found = crm.records(call_id)
    require(
        len(found) == 1,
        f"the CRM has {len(found)} records of {call_id!r}, where it should have one: find the record by the "
        "call's id, or by `remote_id` or the memory, before a new one is made",
    )
    return found[0]


@asynccontextmanager
async def opened(crm: Crm, memory: ClientState | None = None, **settings: Any) -> AsyncIterator["Watched"]:
    """A client for the length of a block."""
    said = {"timeout_seconds": PATIENCE, **settings}
    client = crm.client(InMemoryClientState() if memory is None else memory, **said)
    try:
        yield Watched(client, crm.secrets(), said["timeout_seconds"])
    finally:
        await client.aclose()


class Watched:
    """A client that is watched: what it returns, how long it takes, and that it tells no secret."""

    def __init__(self, client: CrmClient[Any], secrets: set[str], seconds: float) -> None:
        self.client = client
        self._secrets = secrets
        self._seconds = seconds

    async def upsert(self, *pushes: Push) -> list[Outcome]:
        """What became of each, in their order."""
        return await self._outcomes("upsert", self.client.upsert, pushes)

    async def deliver(self, call: Call) -> Outcome:
        """What the first delivery of a call came back as: delivered."""
        (outcome,) = await self.upsert(push(call))
        delivered([outcome])
        return outcome

    async def retract(self, *retractions: Retraction) -> list[Outcome]:
        """What became of each, in their order."""
        return await self._outcomes("retract", self.client.retract, retractions)

    async def forget(self, *retractions: Retraction) -> list[Outcome]:
        """What became of each, in their order."""
        return await self._outcomes("forget", self.client.forget, retractions)

    async def missing(self, *pushes: Push) -> Collection[str] | Outcome:
        """The ids that the CRM has no more."""
        return self._told("missing", await self._called("missing", self.client.missing(pushes)))

    async def check(self) -> list[Finding]:
        """What a check finds."""
        return self._told("check", await self._called("check", self.client.check()))

    async def setup(self) -> list[str]:
        """What a set-up did."""
        return self._told("setup", await self._called("setup", self.client.setup()))

    async def _outcomes(
        self, method: str, call: Callable[[Sequence[T]], Awaitable[list[Outcome]]], given: Sequence[T]
    ) -> list[Outcome]:
        try:
            async with asyncio.timeout(self._seconds):
                found = await self._called(method, call(given))
        except TimeoutError:  # as the courier does: what it was not told in time, it does not know
            return [Unknown(code="timeout")] * len(given)
        require(
            len(found) == len(given),
            f"`{method}` was given {len(given)} and returned {found!r}: return one outcome for each, in "
            "their order",
        )
        for outcome in found:
            require(
                isinstance(outcome, Outcome),
                f"`{method}` returned {outcome!r}: return outcomes (crm_clients.base.Outcome)",
            )
        return self._told(method, found)

    async def _called(self, method: str, call: Awaitable[T]) -> T:
        try:
            return await call
        except TimeoutError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
            self._told(method, [repr(error)])
            _raised(method, error)

    def _told(self, method: str, said: T) -> T:
        """What it said, if no secret stands in it."""
        text = repr(said)
        for secret in self._secrets:
            require(
                secret not in text,
                f"`{method}` tells a secret of the settings: servers repeat requests in their errors, so cut "
                "every secret out of whatever you pass on",
            )
        return said


def _raised(method: str, error: Exception) -> NoReturn:
    __tracebackhide__ = True
    pytest.fail(
        f"`{method}` raised {type(error).__name__}: {error}. A failure of the CRM or of the way to it is an "
        "outcome (see crm_clients.base); an exception is a fault of the client"
    )
