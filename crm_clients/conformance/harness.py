"""A wrapper around the client under test. It calls the client as the relay does and checks every result."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn, ParamSpec, TypeVar

import pytest

from crm_clients.base import ClientState, CrmClient, Finding, Outcome, Push, Retraction, Stored, Unknown
from crm_clients.conformance.crm import Crm
from crm_clients.conformance.require import require, require_delivered
from crm_clients.conformance.sample_calls import first_push
from crm_clients.state import InMemoryClientState
from relay.call import Call

P = ParamSpec("P")
T = TypeVar("T")

_TIMEOUT_SECONDS: Final = 1.0
"""The default `timeout_seconds`: short, because some faults last until the timeout."""


def async_test(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on a new event loop, so that the kit needs no plug-in of pytest."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


@asynccontextmanager
async def open_client(
    crm: Crm, state: ClientState | None = None, **settings: Any
) -> AsyncIterator["ClientHarness"]:
    """Make a client and close it after the block."""
    values = {"timeout_seconds": _TIMEOUT_SECONDS, **settings}
    client = crm.make_client(InMemoryClientState() if state is None else state, **values)
    try:
        yield ClientHarness(client, crm.secrets(), values["timeout_seconds"])
    finally:
        await client.aclose()


class ClientHarness:
    """Calls the client's methods, cancels them after the timeout, and checks what they return."""

    def __init__(self, client: CrmClient[Any], secrets: set[str], timeout_seconds: float) -> None:
        self.client = client
        self._secrets = secrets
        self._timeout_seconds = timeout_seconds

    async def upsert(self, *pushes: Push) -> list[Outcome]:
        """Return one outcome per push."""
        return await self._call_in_time("upsert", self.client.upsert, pushes)

    async def deliver(self, call: Call) -> Outcome:
        """Push a call for the first time and return its outcome, which must be `Delivered`."""
        (outcome,) = await self.upsert(first_push(call))
        require_delivered([outcome])
        return outcome

    async def retract(self, *retractions: Retraction) -> list[Outcome]:
        """Return one outcome per retraction."""
        return await self._call_in_time("retract", self.client.retract, retractions)

    async def forget(self, *retractions: Retraction) -> list[Outcome]:
        """Return one outcome per retraction."""
        return await self._call_in_time("forget", self.client.forget, retractions)

    async def read(self, *pushes: Push) -> Mapping[str, Sequence[Stored]] | Outcome | None:
        """Return the records by call id, or an outcome; None if the client cannot read."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._call("read", self.client.read(pushes))
        except TimeoutError:  # as the relay does when a read takes too long
            return Unknown(code="timeout")

    async def check(self) -> list[Finding]:
        """Return the findings."""
        return await self._call("check", self.client.check())

    async def setup(self) -> list[str]:
        """Return the lines."""
        return await self._call("setup", self.client.setup())

    async def _call_in_time(
        self, method: str, call: Callable[[Sequence[T]], Awaitable[list[Outcome]]], items: Sequence[T]
    ) -> list[Outcome]:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                outcomes = await self._call(method, call(items))
        except TimeoutError:  # as the relay does when an attempt takes too long
            return [Unknown(code="timeout")] * len(items)
        require(
            len(outcomes) == len(items),
            f"`{method}` got {len(items)} items and returned {outcomes!r}: return one outcome for each, in "
            "their order",
        )
        for outcome in outcomes:
            require(
                isinstance(outcome, Outcome),
                f"`{method}` returned {outcome!r}: return outcomes (crm_clients.Outcome)",
            )
        return outcomes

    async def _call(self, method: str, call: Awaitable[T]) -> T:
        try:
            result = await call
        except TimeoutError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it raises is a failure of the test
            self._require_no_secret(method, repr(error))
            _fail_with(method, error)
        self._require_no_secret(method, repr(result))
        return result

    def _require_no_secret(self, method: str, text: str) -> None:
        for secret in self._secrets:
            require(
                secret not in text,
                f"`{method}` returned a secret of the settings: servers repeat requests in their errors, so "
                "remove every secret from the texts that you return",
            )


def _fail_with(method: str, error: Exception) -> NoReturn:
    __tracebackhide__ = True
    pytest.fail(
        f"`{method}` raised {type(error).__name__}: {error}. A failure of the CRM or of the network is an "
        "outcome (see crm_clients.Outcome); an exception is a bug of the client"
    )
