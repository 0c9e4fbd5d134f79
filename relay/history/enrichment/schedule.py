"""When a question about a call is asked again, and when it is given up. Pure."""

from enum import StrEnum
from typing import Final

from relay.instants import SECOND, Duration, Instant, duration
from relay.ledger.enrichments import DueQuestion, Question


class Api(StrEnum):
    """The APIs of which one may fail while the other one answers."""

    ANALYTICS = "analytics"
    AI = "ai"


API_OF: Final = {
    Question.ANALYTICS: Api.ANALYTICS,
    Question.CALL_BACK: Api.ANALYTICS,
    Question.SUMMARY: Api.AI,
    Question.TRANSCRIPT: Api.AI,
    Question.SMART_NOTES: Api.AI,
}

CALL_BACK_AFTER: Final = duration(4 * 3_600)
"""When to ask once more about a missed call whose customer nobody in the ledger has talked to."""

_OF_ANALYTICS: Final = tuple(map(duration, (20, 60, 180, 600, 1_800)))
"""CloudTalk's analytics lag seconds behind the end of a call."""

_OF_AI: Final = tuple(map(duration, (60, 120, 300, 900, 3_600, 14_400)))
"""A long recording takes minutes to be transcribed; a short one never is."""

_DELAYS: Final = {
    Question.ANALYTICS: _OF_ANALYTICS,
    Question.CALL_BACK: (duration(3_600),),
    Question.SUMMARY: _OF_AI,
    Question.TRANSCRIPT: _OF_AI,
    Question.SMART_NOTES: _OF_AI,
}

_SHORTEST_OUTAGE: Final = Duration(60 * SECOND)
_LONGEST_OUTAGE: Final = duration(7 * 86_400)


def is_last(due: DueQuestion) -> bool:
    """Whether the question is not asked again if it has no answer this time."""
    return due.attempts >= len(_DELAYS[due.question])


def next_attempt(due: DueQuestion, now: Instant) -> Instant | None:
    """Return when to ask again what had no answer yet; None to give it up."""
    return None if is_last(due) else Instant(now + _DELAYS[due.question][due.attempts])


def after_outage(due: DueQuestion, now: Instant) -> Instant | None:
    """Return when to ask again if the API failed, whatever the call is. Such a time does not count as an
    attempt: after a quarter of the time so far, so that a long outage costs few requests. None after a week.
    """
    age = Duration(max(now - due.enqueued_at, 0))
    return None if age >= _LONGEST_OUTAGE else Instant(now + max(_SHORTEST_OUTAGE, age // 4))
