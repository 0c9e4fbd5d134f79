"""Send the messages of one batch: several at once, each one once, until the time of the attempt is over."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from crm_clients.base import DestinationFailure, Outcome, Retry, Throttled, Unknown
from crm_clients.rate_limit import RateLimiter
from crm_clients.webhook.messages import Message

_NO_ANSWER: Final = Unknown(code="no_answer", message="The receiver did not answer in time.")
_NO_TIME: Final = Throttled(
    code="no_time",
    message="Not sent yet: the receiver takes fewer calls within timeout_seconds than a push holds.",
    after=0,
    rate_limit="time",
)
"""For calls that were not sent because others took long. They are pushed again at once. The outcome names a
rate limit of its own, `time`, so that the destination does not pause."""


class SendLimits:
    """Limits that all batches of a destination share: requests in flight, and requests per second."""

    def __init__(self, concurrency: int, rate: float | None) -> None:
        self.concurrency = concurrency
        self.in_flight = asyncio.Semaphore(concurrency)
        self.rate_limiter = RateLimiter(rate)


class Batch:
    """One batch. `post` sends a message; `seconds`: the time for the whole batch."""

    def __init__(
        self, post: Callable[[Message], Awaitable[Outcome]], limits: SendLimits, *, seconds: float
    ) -> None:
        self._post = post
        self._limits = limits
        self._time = asyncio.get_running_loop().time
        self._deadline = self._time() + seconds
        self._shared_failure: Outcome | None = None

    async def send(self, messages: Sequence[Message]) -> list[Outcome]:
        """Return one outcome per message, in their order."""
        outcomes: dict[int, Outcome] = {}
        queue = iter(enumerate(messages))
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._limits.concurrency, len(messages))):
                group.create_task(self._send_from(queue, outcomes))
        return [outcomes[index] for index in range(len(messages))]

    async def _send_from(self, queue: Iterator[tuple[int, Message]], outcomes: dict[int, Outcome]) -> None:
        for index, message in queue:
            outcomes[index] = await self._send_in_time(message)

    async def _send_in_time(self, message: Message) -> Outcome:
        sent = False
        try:
            async with asyncio.timeout_at(self._deadline), self._limits.in_flight:
                await self._limits.rate_limiter.acquire()
                if self._shared_failure is not None:
                    return self._shared_failure
                sent = self._time() < self._deadline
                if not sent:  # an expired timeout cancels at the next await only
                    return _NO_TIME
                outcome = await self._post(message)
        except TimeoutError:
            return _NO_ANSWER if sent else _NO_TIME
        if _is_shared_failure(outcome):
            self._shared_failure = outcome
        return outcome


def _is_shared_failure(outcome: Outcome) -> bool:
    """Whether the next message would fail alike, so that it need not be sent."""
    if isinstance(outcome, DestinationFailure):
        return True
    return isinstance(outcome, Retry) and outcome.code == "unreachable"
