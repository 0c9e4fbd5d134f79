"""Sessions of the console: a cookie that is signed with the token that opened the session.

No process stores a session, so each process of a relay knows all of them, and a session ends when its token
is removed from the settings. A visitor who is not signed in has a session, too: it protects the form of the
sign-in, and the forms of a console without tokens. Anybody can forge its signature, and gains nothing.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from typing import Final

import msgspec

_COOKIE: Final = re.compile(r"([0-9a-f]{32})\.(\d{1,12})\.(\d{1,12})\.([0-9a-f]{64})", re.ASCII)
_RENEW_SECONDS: Final = 60
"""How old the time of the last request in the cookie may be before the cookie is sent again."""

_VISITOR: Final = ""
"""In place of a token in the signature of a visitor who is not signed in."""


class Limits(msgspec.Struct, frozen=True):
    """How long a session lasts, in seconds."""

    idle: float
    total: float


class Session(msgspec.Struct, frozen=True):
    """A session. `began_at` and `seen_at` are Unix seconds; `token` opened it, empty before the sign-in."""

    id: str
    token: str
    began_at: int
    seen_at: int

    @property
    def is_signed_in(self) -> bool:
        return bool(self.token)

    @property
    def name(self) -> str:
        """The part of the id that the log shows."""
        return self.id[:8]

    @property
    def csrf_token(self) -> str:
        """What each form of this session contains; another page cannot know it."""
        return _sign(self.token, "csrf", self.id)

    @property
    def cookie(self) -> str:
        """The value of the cookie."""
        content = f"{self.id}.{self.began_at}.{self.seen_at}"
        return f"{content}.{_sign(self.token, 'session', content)}"

    def has_csrf_token(self, value: str) -> bool:
        """Compare a token of a form in constant time."""
        return hmac.compare_digest(value.encode(), self.csrf_token.encode())

    def needs_renewal(self, now: int) -> bool:
        """Whether the cookie has to be sent again, so that the session does not become idle."""
        return now - self.seen_at >= _RENEW_SECONDS

    def seen(self, now: int) -> "Session":
        """Return the session after a request."""
        return msgspec.structs.replace(self, seen_at=now)


def begin(now: int, token: str = _VISITOR) -> Session:
    """Begin a session: of the person who signed in with this token, or of a visitor.

    A sign-in begins a new one, so that nobody can prepare the session of another person.
    """
    return Session(secrets.token_hex(16), token, now, now)


def read(cookie: str, tokens: Iterable[str], limits: Limits, now: int) -> Session | None:
    """Return the session of a cookie; None if it is forged, has expired, or its token is not listed."""
    found = _COOKIE.fullmatch(cookie)
    if found is None:
        return None
    id_, began_at, seen_at = found[1], int(found[2]), int(found[3])
    if now - began_at > limits.total or now - seen_at > limits.idle:
        return None
    content, signature = cookie.rpartition(".")[::2]
    for token in (*tokens, _VISITOR):
        if hmac.compare_digest(_sign(token, "session", content), signature):
            return Session(id_, token, began_at, seen_at)
    return None


def find_token(value: str, tokens: Iterable[str]) -> str | None:
    """Return the listed token that equals this value. Each is compared, in constant time."""
    matches = [token for token in tokens if hmac.compare_digest(token.encode(), value.encode())]
    return matches[0] if matches else None


def _sign(token: str, purpose: str, content: str) -> str:
    key = hmac.digest(token.encode(), b"cloudtalk-relay console " + purpose.encode(), hashlib.sha256)
    return hmac.new(key, content.encode(), hashlib.sha256).hexdigest()
