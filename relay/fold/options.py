"""What the settings say about the fold."""

from typing import Final

import msgspec

from relay.instants import SECOND, Duration, duration
from relay.ledger.enrichments import Question
from relay.settings import Settings

_DAY_SECONDS: Final = 86_400


class FoldOptions(msgspec.Struct, frozen=True):
    """The settings of the fold.

    `grace`: how long an event waits for a link to a call. `call_back_window`: how long after a missed call a
    conversation counts. `archives_recordings`: whether the recordings of calls are enqueued for the archive.
    `questions`: what CloudTalk is asked about calls; nothing without an API key.
    """

    grace: Duration = Duration(120 * SECOND)
    call_back_window: Duration = Duration(7 * _DAY_SECONDS * SECOND)
    archives_recordings: bool = False
    questions: frozenset[Question] = frozenset()


def questions_of(settings: Settings) -> frozenset[Question]:
    """Return what these settings ask CloudTalk about calls when they are over."""
    if settings.cloudtalk.api.access() is None:
        return frozenset()
    enrich = settings.enrich
    switches = {
        Question.ANALYTICS: enrich.analytics,
        Question.SUMMARY: enrich.summary,
        Question.TRANSCRIPT: enrich.transcript,
        Question.SMART_NOTES: enrich.smart_notes,
    }
    return frozenset(question for question, is_on in switches.items() if is_on)


def fold_options(settings: Settings) -> FoldOptions:
    """Return the options of these settings."""
    return FoldOptions(
        grace=duration(settings.cloudtalk.grace_seconds),
        call_back_window=duration(settings.follow_up.window_days * _DAY_SECONDS),
        archives_recordings=settings.recordings.keep,
        questions=questions_of(settings),
    )
