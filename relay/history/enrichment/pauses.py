"""Which of CloudTalk's APIs is not asked for a while, because it refuses the key or does not answer. Pure."""

import time
from collections.abc import Callable
from typing import Final

import msgspec

from relay.history.enrichment.schedule import Api

UNAUTHORISED: Final = "unauthorised"
_REFUSED_SECONDS: Final = (60.0, 3_600.0)
_FAILED_SECONDS: Final = (30.0, 600.0)
"""The first and the longest pause; each one is twice as long as the one before."""

_FAILURES: Final = 3
"""So many failures in a row, of any calls: one call may fail alone."""


class _Pause(msgspec.Struct):
    """`failures`: in a row. `pauses`: how many there were since the last answer."""

    failures: int = 0
    pauses: int = 0
    until: float = 0.0


class Pauses:
    """The pauses of both APIs. `monotonic` returns seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._of: dict[Api, _Pause] = {api: _Pause() for api in Api}

    def is_paused(self, api: Api) -> bool:
        """Whether nothing is asked now. After a pause one question shows whether the cause is gone."""
        return self._monotonic() < self._of[api].until

    def note_failure(self, api: Api, code: str) -> float:
        """Note that the API failed. Return the seconds of the pause that begins; 0 if none does."""
        pause = self._of[api]
        pause.failures += 1
        if code != UNAUTHORISED and pause.failures < _FAILURES:
            return 0.0
        first, longest = _REFUSED_SECONDS if code == UNAUTHORISED else _FAILED_SECONDS
        seconds = min(first * 2.0 ** min(pause.pauses, 20), longest)
        pause.pauses += 1
        pause.until = self._monotonic() + seconds
        return seconds

    def note_answer(self, api: Api) -> bool:
        """Note that the API works, and return whether it had been paused."""
        had_paused = self._of[api].pauses > 0
        self._of[api] = _Pause()
        return had_paused

    def clear(self) -> None:
        """Ask both APIs at once: there is another key."""
        for pause in self._of.values():
            pause.until = 0.0
