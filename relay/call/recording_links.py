"""Signed links to recordings: `{public_url}/recordings/{id}.wav?e={expiry}&s={signature}`.

`id`: the id of the record, percent-encoded. `e`: when the link expires, in Unix seconds; absent if it never
does. `s`: HMAC-SHA256 over id and expiry, in base64url without padding. A link depends only on the call and
the settings, so it is the same each time a record is delivered.
"""

import base64
import hashlib
import hmac
import math
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import quote

import msgspec

from relay.call.record import Call

PATH: Final = "/recordings/"
SUFFIX: Final = ".wav"
"""The name of every recording, whatever its format is."""

EXPIRY: Final = "e"
SIGNATURE: Final = "s"

API_RECORDINGS: Final = "https://my.cloudtalk.io/api/calls/recording/"
"""Where CloudTalk's API has the recordings: `{call_id}.json`. The API answers only to its key, so nobody but
the relay can play such a link.
"""

_DAY_SECONDS: Final = 86_400
_DIGITS: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_PURPOSE: Final = b"cloudtalk-relay recording link 1"
"""A key that signs something else, too, gives no valid link."""


class RecordingLinks(NamedTuple):
    """How links are made. `keys`: the first signs, all verify. `days`: after the call's end; 0: for ever."""

    public_url: str
    keys: tuple[bytes, ...]
    days: float

    @property
    def rendering(self) -> str:
        """A short text that changes if links look different. It does not reveal a key."""
        key = hmac.digest(self.keys[0], _PURPOSE, "sha256").hex()[:12]
        return f"{self.public_url} {self.days:g} {key}"

    def in_record(self, call: Call) -> Call:
        """Return the record with a link to the relay in place of CloudTalk's link, if it has one."""
        if call.recording_url is None:
            return call
        return msgspec.structs.replace(call, recording_url=self.link(call))

    def link(self, call: Call) -> str:
        """Return the link to the recording of this call."""
        expiry = self._expiry(call)
        query = "" if expiry is None else f"{EXPIRY}={expiry}&"
        signature = _sign(self.keys[0], call.id, expiry)
        return f"{self.public_url}{PATH}{quote(call.id, safe='')}{SUFFIX}?{query}{SIGNATURE}={signature}"

    def _expiry(self, call: Call) -> int | None:
        """None also for a call without any time: the age of the call in the ledger limits its link."""
        time = call.ended_at or call.answered_at or call.started_at
        if not self.days or time is None:
            return None
        return math.ceil(datetime.fromisoformat(time).timestamp() + self.days * _DAY_SECONDS)


def needs_api_key(url: str) -> bool:
    """Whether a link to a recording is that of CloudTalk's API."""
    return url.startswith(API_RECORDINGS)


def with_playable_recording(call: Call, links: RecordingLinks | None) -> Call:
    """Return the record with a recording that people can play: the link to the relay if there are `links`,
    else CloudTalk's own public link, else none.
    """
    if call.recording_url is None:
        return call
    if links is not None:
        return links.in_record(call)
    return msgspec.structs.replace(call, recording_url=None) if needs_api_key(call.recording_url) else call


def is_signed(keys: Iterable[bytes], id: str, expiry: str | None, signature: str) -> bool:  # noqa: A002
    """Whether one of the keys signed this id with this expiry, both as they are in the link."""
    if expiry is not None and not _DIGITS.fullmatch(expiry):
        return False
    given = signature.encode(errors="replace")
    # All keys are compared, so that the time does not depend on which one signed.
    matches = [
        hmac.compare_digest(_sign(key, id, None if expiry is None else int(expiry)).encode(), given)
        for key in keys
    ]
    return any(matches)


def _sign(key: bytes, id: str, expiry: int | None) -> str:  # noqa: A002 - the record's own name
    message = b"\0".join((_PURPOSE, str(expiry or "").encode(), id.encode(errors="surrogatepass")))
    return base64.urlsafe_b64encode(hmac.digest(key, message, hashlib.sha256)).rstrip(b"=").decode()
