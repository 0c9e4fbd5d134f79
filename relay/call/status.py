"""The status of a call. It is always computed from the facts and never stored as a step."""

from collections.abc import Container
from enum import StrEnum

from relay.call.event import Kind
from relay.call.parties import HasFacts
from relay.call.state import CallState, LegState


class Status(StrEnum):
    """The status in the record."""

    IN_PROGRESS = "in_progress"
    ANSWERED = "answered"
    COMPLETED = "completed"
    MISSED = "missed"
    VOICEMAIL = "voicemail"
    NO_ANSWER = "no_answer"


def compute_status(state: CallState) -> Status:
    """Compute the status, by the first row of this table that fits.

    | facts                                                      | inbound     | outbound, internal |
    |------------------------------------------------------------|-------------|--------------------|
    | ended, and answered or status answered                     | completed   | completed          |
    | answered, and missed or voicemail event                    | completed   | completed          |
    | answered                                                   | answered    | answered           |
    | ended or missed, with a voicemail                          | voicemail   | no_answer          |
    | missed; or ended with status missed or without talking     | missed      | no_answer          |
    | ended                                                      | completed   | completed          |
    | nothing of this                                            | in_progress | in_progress        |

    "Answered" is an Answered event, a time of the answer, or talking time. Only events of a call that is over
    set the stated status, the talking time and the voicemail, see `OUTCOME_FACTS`.
    """
    return _outcome(state, state.seen, state.fact("direction"))


def has_stated_outcome(state: CallState) -> bool:
    """Whether events state how the call went. The status of a call that is not over is a default, and so is
    that of a call that ended without a word about it.
    """
    status = compute_status(state)
    if status is Status.COMPLETED:
        return state.fact("status") == "answered" or _was_answered(state, state.seen)
    return status not in {Status.IN_PROGRESS, Status.ANSWERED}


def has_conversation(state: CallState) -> bool:
    """Whether events prove that somebody talked to the customer. An Ended that does not say so proves
    nothing, and in an internal call there is no customer.
    """
    status = compute_status(state)
    talked = status is Status.ANSWERED or (status is Status.COMPLETED and has_stated_outcome(state))
    return talked and state.fact("direction") != "internal"


def leg_outcome(leg: LegState, direction: str | None) -> Status:
    """Compute how one leg of a call went, by the same table. `direction`: the call's."""
    return _outcome(leg, leg.seen, direction)


def _outcome(source: HasFacts, seen: Container[Kind], direction: str | None) -> Status:
    outbound = direction in {"outbound", "internal"}
    stated = source.fact("status")
    ended = Kind.ENDED in seen
    missed = Kind.MISSED in seen or Kind.VOICEMAIL in seen
    voicemail = Kind.VOICEMAIL in seen or stated == "voicemail" or bool(source.fact("voicemail"))
    answered = _was_answered(source, seen)
    if ended and (answered or stated == "answered"):
        return Status.COMPLETED
    if answered:
        return Status.COMPLETED if missed else Status.ANSWERED
    if voicemail:
        return Status.NO_ANSWER if outbound else Status.VOICEMAIL
    if missed or stated == "missed" or source.fact("talking") == 0:
        return Status.NO_ANSWER if outbound else Status.MISSED
    return Status.COMPLETED if ended else Status.IN_PROGRESS


def _was_answered(source: HasFacts, seen: Container[Kind]) -> bool:
    return bool(source.fact("talking")) or Kind.ANSWERED in seen or source.fact("answered_at") is not None
