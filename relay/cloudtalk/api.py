"""CloudTalk's REST API: authentication, URLs, and its rate limit.

CloudTalk accepts 60 requests per minute of a company, and counts those of all its programs. So the relay
sends fewer (`requests_per_minute`), and none until CloudTalk's own reset once nothing is left. The headers
are `X-CloudTalkAPI-Remaining` and `X-CloudTalkAPI-ResetTime` (Unix seconds); there is no `Retry-After`.
"""

import base64
import time
from collections import deque
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Final
from urllib.parse import quote

from relay.standards.numbers import parse_digits

USER_AGENT: Final = f"cloudtalk-relay/{version('cloudtalk-relay')}"
"""Without one, CloudTalk's edge answers 403."""

_MINUTE: Final = 60.0
_REMAINING: Final = "x-cloudtalkapi-remaining"
_RESET_TIME: Final = "x-cloudtalkapi-resettime"
_LONGEST_BLOCK: Final = 600.0
"""In seconds. A reset that is later is a mistake, or the clock of this machine is wrong."""


class CloudTalkApi:
    """The requests of one process. `monotonic` returns seconds, `clock` Unix seconds."""

    def __init__(
        self,
        key_id: str,
        key_secret: str,
        base_url: str,
        *,
        requests_per_minute: int,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        credentials = base64.b64encode(f"{key_id}:{key_secret}".encode()).decode()
        self.headers: Mapping[str, str] = {
            "Authorization": f"Basic {credentials}",
            # Without it CloudTalk answers 404 or 406, for a recording too.
            "Accept": "application/json",
        }
        self.base_url = base_url
        self._most = requests_per_minute
        self._monotonic = monotonic
        self._clock = clock
        self._sent: deque[float] = deque()
        self._blocked_until = 0.0

    def recording_url(self, call_id: str) -> str:
        """Return the URL of the recording of a call."""
        return f"{self.base_url}/calls/recording/{quote(call_id, safe='')}.json"

    @property
    def agents_url(self) -> str:
        """The URL of a short answer, to test the key with."""
        return f"{self.base_url}/agents/index.json?limit=1"

    def acquire(self) -> float:
        """Count a request and return 0, or return the seconds until one may be sent."""
        now = self._monotonic()
        if now < self._blocked_until:
            return self._blocked_until - now
        while self._sent and self._sent[0] <= now - _MINUTE:
            self._sent.popleft()
        if len(self._sent) >= self._most:
            return self._sent[0] + _MINUTE - now
        self._sent.append(now)
        return 0.0

    def note_response(self, status: int, headers: Mapping[str, str]) -> float:
        """Read the rate limit of a response. Return the seconds until CloudTalk accepts requests."""
        is_used_up = status == 429 or parse_digits(headers.get(_REMAINING, "")) == 0  # noqa: PLR2004
        if not is_used_up:
            return 0.0
        reset = parse_digits(headers.get(_RESET_TIME, ""))
        seconds = _MINUTE if reset is None else reset - self._clock()
        seconds = min(max(seconds, 1.0), _LONGEST_BLOCK)
        self._blocked_until = self._monotonic() + seconds
        return seconds
