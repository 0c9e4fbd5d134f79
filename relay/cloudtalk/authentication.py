"""Who may speak: a token in one of five places, a signature, or nobody but this machine.

Tokens are compared in constant time and against every one that is listed, so that an answer's time
tells neither how much of a guess was right nor which token it was.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from relay.cloudtalk.secrets import QUERY_KEY
from relay.cloudtalk.signatures import SignatureVerifier
from relay.standards.addresses import is_loopback

FORWARDING: Final = ("forwarded", "x-forwarded-", "cf-")
"""Headers that a proxy adds: what bears one comes from elsewhere, whatever its address says."""


class RequestHead(msgspec.Struct, frozen=True):
    """What a request shows before its body is read. Header names are lower case."""

    headers: dict[str, str]
    query: str
    client: str | None


class Authenticator:
    """Opens to a listed token, wherever it stands, or to a right signature; where neither is listed,
    to requests made on this machine alone.
    """

    def __init__(
        self, tokens: Iterable[str], signatures: SignatureVerifier, *, body_tokens: bool = False
    ) -> None:
        self._tokens = [token.encode() for token in tokens]
        self._signatures = signatures
        self._body_tokens = body_tokens

    def is_authenticated(self, head: RequestHead) -> bool:
        """Whether this head needs no body to prove who it is."""
        return not self._signatures.applies_to(head.headers) and self._problem(head, []) is None

    def precheck(self, head: RequestHead) -> str | None:
        """Why this head may not pass, whatever its body holds; None where the body may tell."""
        if self._signatures.applies_to(head.headers) or (self._tokens and self._body_tokens):
            return None
        return self._problem(head, [])

    def authenticate(self, head: RequestHead, raw: bytes, body_tokens: list[str], *, now: int) -> str | None:
        """Why this head may not pass; None where it may. `now` in unix seconds. Raises `Stale`.

        A signature that is there and wrong closes the authenticator whatever token comes with it.
        """
        if self._signatures.applies_to(head.headers):
            return None if self._signatures.verify(head.headers, raw, now=now) else "wrong_signature"
        return self._problem(head, body_tokens)

    def _problem(self, head: RequestHead, body_tokens: list[str]) -> str | None:
        if not self._tokens:
            return "no_signature" if self._signatures else _not_local(head)
        presented = [*_presented(head.headers, head.query), *body_tokens]
        if not presented:
            return "no_token"
        return None if self._knows(presented) else "wrong_token"

    def _knows(self, presented: list[str]) -> bool:
        matches = [
            hmac.compare_digest(candidate.encode("utf-8", "surrogateescape"), token)
            for candidate in presented
            for token in self._tokens
        ]
        return any(matches)


def _presented(headers: Mapping[str, str], query: str) -> Iterator[str]:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            yield credentials.strip()
        case "basic":
            yield from _password(credentials)
    if "x-webhook-token" in headers:
        yield headers["x-webhook-token"]
    yield from (value for key, value in parse_qsl(query) if key == QUERY_KEY)


def _password(credentials: str) -> Iterator[str]:
    try:
        decoded = base64.b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return
    yield decoded.partition(":")[2]


def _not_local(head: RequestHead) -> str | None:
    if any(name.startswith(FORWARDING) for name in head.headers):
        return "forwarded"
    if head.client is not None and not is_loopback(head.client):
        return "not_local"
    # A page in a browser can be made to call this machine, but not under a name of this machine, nor
    # without any.
    if "host" not in head.headers:
        return None
    return None if is_loopback(_host_of(head.headers.get("host", ""))) else "foreign_host"


def _host_of(header: str) -> str:
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0]
