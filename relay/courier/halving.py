"""Bringing a batch when one record in it may spoil it for all.

A CRM that takes a batch whole or not at all says that something is wrong and not what. The batch is
halved until the bad records stand alone. A half need not be tried whole where the other half was
clean: then the fault lies in it.
"""

from collections.abc import Awaitable, Callable, Sequence

from crm_clients.base import Delivered, Outcome, Push, Retry, Split

Upsert = Callable[[Sequence[Push]], Awaitable[list[Outcome]]]


async def bring(upsert: Upsert, pushes: Sequence[Push], outcomes: dict[str, Outcome]) -> None:
    """Push these, and put into `outcomes` what became of each call as it becomes known."""
    await _bring(upsert, pushes, outcomes, guilty=False)


async def _bring(
    upsert: Upsert, pushes: Sequence[Push], outcomes: dict[str, Outcome], *, guilty: bool
) -> bool:
    """Whether every record was taken at once. `guilty`: one of these is known to be bad."""
    if guilty and len(pushes) > 1:
        return await _halve(upsert, pushes, outcomes)
    answers = await upsert(pushes)
    blamed = {push.call.id: answer for push, answer in zip(pushes, answers, strict=True)}
    spoiled = [push for push in pushes if isinstance(blamed[push.call.id], Split)]
    if len(spoiled) > 1:
        outcomes |= {call: answer for call, answer in blamed.items() if not isinstance(answer, Split)}
        return await _halve(upsert, spoiled, outcomes)
    outcomes |= {call: _alone(answer) for call, answer in blamed.items()}
    return all(isinstance(answer, Delivered) for answer in answers)


def _alone(answer: Outcome) -> Outcome:
    """A record that stands alone cannot be halved: its failure is one to try again."""
    return Retry(code=answer.code, message=answer.message) if isinstance(answer, Split) else answer


async def _halve(upsert: Upsert, pushes: Sequence[Push], outcomes: dict[str, Outcome]) -> bool:
    middle = len(pushes) // 2
    clean = await _bring(upsert, pushes[:middle], outcomes, guilty=False)
    await _bring(upsert, pushes[middle:], outcomes, guilty=clean)
    return False
