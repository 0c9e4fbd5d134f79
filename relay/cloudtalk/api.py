"""CloudTalk's REST API: authentication, URLs, and what its answers say about its rate limit.

CloudTalk accepts 60 requests per minute of a company, and counts those of all its programs. The relay sends
fewer (`relay.ledger.request_limit`), and none until CloudTalk's own reset once nothing is left. The headers
are `X-CloudTalkAPI-Remaining` and `X-CloudTalkAPI-ResetTime` (Unix seconds); there is no `Retry-After`.
"""

import base64
from collections.abc import Mapping
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


class ApiAccess:
    """The headers with an API key, and the URLs of what the relay reads."""

    def __init__(
        self, key_id: str, key_secret: str, base_url: str, analytics_url: str = "", ai_url: str = ""
    ) -> None:
        credentials = base64.b64encode(f"{key_id}:{key_secret}".encode()).decode()
        self.headers: Mapping[str, str] = {
            "Authorization": f"Basic {credentials}",
            # Without it CloudTalk answers 404 or 406, for a recording too.
            "Accept": "application/json",
        }
        self.base_url = base_url
        self._analytics_url = analytics_url
        self._ai_url = ai_url

    def recording_url(self, call_id: str) -> str:
        """Return the URL of the recording of a call."""
        return f"{self.base_url}/calls/recording/{quote(call_id, safe='')}.json"

    def analytics_url(self, call_id: str) -> str:
        """Return the URL of what the analytics API knows of a call, with its uuid."""
        return f"{self._analytics_url}/calls/{quote(call_id, safe='')}"

    def ai_url(self, call_id: str, part: str) -> str:
        """Return the URL of what the AI knows of a call: `summary`, `transcription` or `smart-notes`."""
        return f"{self._ai_url}/calls/{quote(call_id, safe='')}/{part}"

    @property
    def calls_url(self) -> str:
        """The URL of the history of calls."""
        return f"{self.base_url}/calls/index.json"

    def deletion_url(self, call_id: str) -> str:
        """Return the URL whose DELETE erases the recording of a call for good."""
        return f"{self.base_url}/recordings/delete/{quote(call_id, safe='')}.json"

    @property
    def agents_url(self) -> str:
        """The URL of a short answer, to test the key with."""
        return f"{self.base_url}/agents/index.json?limit=1"


def blocked_seconds(status: int, headers: Mapping[str, str], *, unix_now: float) -> float:
    """Return the seconds until CloudTalk accepts requests again, by a response; 0 if it does now."""
    is_used_up = status == 429 or parse_digits(headers.get(_REMAINING, "")) == 0  # noqa: PLR2004
    if not is_used_up:
        return 0.0
    reset = parse_digits(headers.get(_RESET_TIME, ""))
    seconds = _MINUTE if reset is None else reset - unix_now
    return min(max(seconds, 1.0), _LONGEST_BLOCK)
