"""One batch on its way: each message once, several at a time, until the time of an attempt is over."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from crm_clients.base import (
    DestinationFailure,
    Outcome,
    Retry,
    Throttled,
    Unknown,
)
from crm_clients.rate_limit import RateLimiter
from crm_clients.webhook.messages import Message

_NO_ANSWER: Final = Unknown(code="no_answer", message="The receiver did not answer in time.")
_NO_TIME: Final = Throttled(
    code="no_time",
    message="Not sent yet: the receiver takes fewer calls within timeout_seconds than a push holds.",
    after=0,
    rate_limit="time",
)
"""These calls alone come again at once: that others took long is no failure of theirs."""


class AdaptiveRateLimiter(asyncio.Semaphore):
    """What all batches of a destination have in common: so many requests at once, so many a second."""

    def __init__(self, concurrency: int, rate: float | None) -> None:
        super().__init__(concurrency)
        self.concurrency = concurrency
        self.rate_limit = RateLimiter(rate)


class Batch:
    """Sends the messages of one batch, for so many seconds at most."""

    def __init__(
        self, post: Callable[[Message], Awaitable[Outcome]], pace: AdaptiveRateLimiter, *, seconds: float
    ) -> None:
        self._post = post
        self._pace = pace
        self._time = asyncio.get_running_loop().time
        self._deadline = self._time() + seconds
        self._halted: Outcome | None = None

    async def send(self, messages: Sequence[Message]) -> list[Outcome]:
        """What became of each, in their order."""
        outcomes: dict[int, Outcome] = {}
        waiting = iter(enumerate(messages))
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._pace.concurrency, len(messages))):
                group.create_task(self._work(waiting, outcomes))
        return [outcomes[index] for index in range(len(messages))]

    async def _work(self, waiting: Iterator[tuple[int, Message]], outcomes: dict[int, Outcome]) -> None:
        for index, message in waiting:
            outcomes[index] = await self._in_time(message)

    async def _in_time(self, message: Message) -> Outcome:
        sent = False
        try:
            async with asyncio.timeout_at(self._deadline), self._pace:
                await self._pace.rate_limit.acquire()
                if self._halted is not None:
                    return self._halted
                sent = self._time() < self._deadline
                if not sent:  # a timeout that is over cancels at the next wait only
                    return _NO_TIME
                outcome = await self._post(message)
        except TimeoutError:
            return _NO_ANSWER if sent else _NO_TIME
        if _meets_all(outcome):
            self._halted = outcome
        return outcome


def _meets_all(outcome: Outcome) -> bool:
    """Whether the next message would come back with the same: then it is not sent."""
    return isinstance(outcome, DestinationFailure) or (
        isinstance(outcome, Retry) and outcome.code == "unreachable"
    )
