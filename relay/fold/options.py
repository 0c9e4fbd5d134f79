"""What the settings say about the fold."""

from typing import Final

import msgspec

from relay.instants import SECOND, Duration, duration
from relay.settings import Settings

_DAY_SECONDS: Final = 86_400


class FoldOptions(msgspec.Struct, frozen=True):
    """The settings of the fold.

    `grace`: how long an event waits for a link to a call. `call_back_window`: how long after a missed call a
    conversation counts. `archives_recordings`: whether the recordings of calls are enqueued for the archive.
    """

    grace: Duration = Duration(120 * SECOND)
    call_back_window: Duration = Duration(7 * _DAY_SECONDS * SECOND)
    archives_recordings: bool = False


def fold_options(settings: Settings) -> FoldOptions:
    """Return the options of these settings."""
    return FoldOptions(
        grace=duration(settings.cloudtalk.grace_seconds),
        call_back_window=duration(settings.follow_up.window_days * _DAY_SECONDS),
        archives_recordings=settings.recordings.keep,
    )
