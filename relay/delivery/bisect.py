"""Bringing a batch when one record in it may spoil it for all.

A CRM that takes a batch whole or not at all says that something is wrong and not what. The batch is
halved until the bad records stand alone. A half need not be tried whole where the other half was
clean: then the fault lies in it.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from crm_clients.base import (
    Delivered,
    DestinationFailure,
    Outcome,
    Push,
    Rejected,
    Retry,
    Split,
    Unknown,
)

Upsert = Callable[[Sequence[Push]], Awaitable[list[Outcome]]]

RUN_OF_REJECTIONS: Final = 20
"""So many rejections in a row with one code, and nothing taken between: the fault is not the records'."""

UNANSWERED: Final = Unknown(code="unanswered")
"""The outcome of a call while its request is under way."""


async def push_bisecting(upsert: Upsert, pushes: Sequence[Push], outcomes: dict[str, Outcome]) -> None:
    """Push these, and put into `outcomes` what became of each call as it becomes known.

    Calls that were not tried have none.
    """
    await _push(upsert, pushes, outcomes, guilty=False)


async def _push(
    upsert: Upsert, pushes: Sequence[Push], outcomes: dict[str, Outcome], *, guilty: bool
) -> bool:
    """Whether every record was taken at once. `guilty`: one of these is known to be bad."""
    if _should_stop(outcomes):
        return False
    if guilty and len(pushes) > 1:
        return await _push_halves(upsert, pushes, outcomes)
    outcomes |= dict.fromkeys((push.call.id for push in pushes), UNANSWERED)
    answers = await upsert(pushes)
    blamed = {push.call.id: answer for push, answer in zip(pushes, answers, strict=True)}
    spoiled = [push for push in pushes if isinstance(blamed[push.call.id], Split)]
    if len(spoiled) > 1:
        for call, answer in blamed.items():
            if isinstance(answer, Split):
                del outcomes[call]  # taken back by the CRM, and to be tried again in a moment
            else:
                outcomes[call] = answer
        return await _push_halves(upsert, spoiled, outcomes)
    outcomes |= {call: _alone(answer) for call, answer in blamed.items()}
    return all(isinstance(answer, Delivered) for answer in answers)


def _alone(answer: Outcome) -> Outcome:
    """A record that stands alone cannot be halved: its failure is one to try again."""
    return Retry(code=answer.code, message=answer.message) if isinstance(answer, Split) else answer


async def _push_halves(upsert: Upsert, pushes: Sequence[Push], outcomes: dict[str, Outcome]) -> bool:
    middle = len(pushes) // 2
    clean = await _push(upsert, pushes[:middle], outcomes, guilty=False)
    await _push(upsert, pushes[middle:], outcomes, guilty=clean)
    return False


def _should_stop(outcomes: Mapping[str, Outcome]) -> bool:
    """Whether the CRM refuses everything for one reason, or takes nothing just now: then the rest is not
    tried.
    """
    if any(isinstance(outcome, DestinationFailure) for outcome in outcomes.values()):
        return True
    codes = Counter(outcome.code for outcome in outcomes.values() if isinstance(outcome, Rejected))
    refused = max(codes.values(), default=0) >= RUN_OF_REJECTIONS
    return refused and not any(isinstance(outcome, Delivered) for outcome in outcomes.values())
