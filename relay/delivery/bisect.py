"""Push a batch in which one bad record may make the CRM refuse all of them.

Such a CRM says that something is wrong, and not in which record (`Split`). The batch is bisected until each
bad record is alone. If the first half succeeds, a bad record must be in the second, which is bisected
without being tried as a whole.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from crm_clients.base import Delivered, DestinationFailure, Outcome, Push, Rejected, Retry, Split, Unknown
from relay.delivery.pauses import RUN_OF_REJECTIONS

Upsert = Callable[[Sequence[Push]], Awaitable[list[Outcome]]]

UNANSWERED: Final = Unknown(code="unanswered")
"""The outcome of a call while its request is under way."""


async def push_bisecting(upsert: Upsert, pushes: Sequence[Push], outcomes: dict[str, Outcome]) -> None:
    """Push the calls, and write each outcome into `outcomes` (by the id of the call) once it is known.

    If the attempt is cancelled or fails, `outcomes` holds what was known by then. A call that was not tried
    is absent.
    """
    await _push(upsert, pushes, outcomes, suspect=False)


async def _push(
    upsert: Upsert, pushes: Sequence[Push], outcomes: dict[str, Outcome], *, suspect: bool
) -> bool:
    """Return whether each record was delivered by this request. `suspect`: at least one record is bad."""
    if _should_stop(outcomes):
        return False
    if suspect and len(pushes) > 1:
        return await _push_halves(upsert, pushes, outcomes)
    outcomes |= dict.fromkeys((push.call.id for push in pushes), UNANSWERED)
    answers = await upsert(pushes)
    by_call = {push.call.id: answer for push, answer in zip(pushes, answers, strict=True)}
    failed = [push for push in pushes if isinstance(by_call[push.call.id], Split)]
    if len(failed) > 1:
        for push in failed:
            del outcomes[push.call.id]  # the CRM wrote none of them: until the next try there is no outcome
            del by_call[push.call.id]
        outcomes |= by_call
        return await _push_halves(upsert, failed, outcomes)
    outcomes |= {call: _outcome_of_single(answer) for call, answer in by_call.items()}
    return all(isinstance(answer, Delivered) for answer in answers)


def _outcome_of_single(answer: Outcome) -> Outcome:
    """A single record cannot be bisected: its failure is one to retry."""
    return Retry(code=answer.code, message=answer.message) if isinstance(answer, Split) else answer


async def _push_halves(upsert: Upsert, pushes: Sequence[Push], outcomes: dict[str, Outcome]) -> bool:
    middle = len(pushes) // 2
    first_is_clean = await _push(upsert, pushes[:middle], outcomes, suspect=False)
    await _push(upsert, pushes[middle:], outcomes, suspect=first_is_clean)
    return False


def _should_stop(outcomes: Mapping[str, Outcome]) -> bool:
    """Whether the other records are not tried: the whole destination fails, or rejects all with one code."""
    if any(isinstance(outcome, DestinationFailure) for outcome in outcomes.values()):
        return True
    codes = Counter(outcome.code for outcome in outcomes.values() if isinstance(outcome, Rejected))
    rejects_all = any(count >= RUN_OF_REJECTIONS for count in codes.values())
    return rejects_all and not any(isinstance(outcome, Delivered) for outcome in outcomes.values())
