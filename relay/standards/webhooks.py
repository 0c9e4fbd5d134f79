"""Standard Webhooks (standardwebhooks.com), version `v1`: secrets, signing and verification.

The signature is HMAC-SHA256 over `{id}.{timestamp}.{body}`; the timestamp is in Unix seconds. The
headers are `{prefix}id`, `{prefix}timestamp` and `{prefix}signature: v1,<base64> v1,<base64> …`, with
the prefix `webhook-` or `svix-`.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from relay.standards.numbers import parse_digits

KEY_PREFIX: Final = "whsec_"
PREFIXES: Final = ("svix-", "webhook-")
_HEADERS: Final = ("signature", "id", "timestamp")
_ID_HEADERS: Final = tuple(f"{prefix}id" for prefix in PREFIXES)
TOLERANCE_SECONDS: Final = 300
SHORTEST_KEY: Final = 24
"""In bytes: what Standard Webhooks demands of a generated secret."""
_MAX_SIGNATURES: Final = 16
"""A sender that changes its secret signs with two."""


class StaleSignature(Exception):
    """The signature is valid, but its timestamp is too far from the current time.

    `seconds` is the age of the signature, negative for one from the future: one of the two clocks is wrong.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"the signature is {abs(seconds)} s {'old' if seconds > 0 else 'ahead'}")
        self.seconds = seconds


def decode_secret(secret: str) -> bytes:
    """Return the key of a secret: `whsec_` and base64, with or without padding.

    Raises `ValueError`, which does not repeat the secret, if it has another form.
    """
    encoded = secret.removeprefix(KEY_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(KEY_PREFIX) or not key:
        raise ValueError("expected whsec_ and base64")
    return key


class Signer:
    """Signs with every secret, so that a receiver can change from one secret to another."""

    def __init__(self, secrets: Iterable[str], *, prefix: str = "webhook-") -> None:
        self._keys = [decode_secret(secret) for secret in secrets]
        self._prefix = prefix

    def headers(self, id: str, timestamp: int, body: bytes) -> dict[str, str]:  # noqa: A002 - the header's name
        """Return the three headers of a message; `timestamp` in Unix seconds."""
        content = _signed_content(id, str(timestamp), body)
        signatures = [b"v1," + base64.b64encode(_digest(key, content)) for key in self._keys]
        return {
            f"{self._prefix}id": id,
            f"{self._prefix}timestamp": str(timestamp),
            f"{self._prefix}signature": b" ".join(signatures).decode(),
        }


class Verifier:
    """Verifies with any of several keys, so that a secret can be changed without losing a message."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys = list(keys)

    def verify(self, headers: Mapping[str, str], body: bytes, *, now: int) -> bool:
        """Whether a signature is valid; `now` in Unix seconds. Raises `StaleSignature`."""
        prefix = next((prefix for prefix in PREFIXES if f"{prefix}signature" in headers), None)
        if prefix is None:
            return False
        id_, timestamp = headers.get(f"{prefix}id", ""), headers.get(f"{prefix}timestamp", "")
        sent_at = parse_digits(timestamp)
        if not id_ or sent_at is None:
            return False
        content = _signed_content(id_, timestamp, body)
        if not is_signed_by(self._keys, content, _decode_signatures(headers[f"{prefix}signature"])):
            return False
        age = now - sent_at
        if abs(age) > TOLERANCE_SECONDS:
            raise StaleSignature(age)
        return True


def has_headers(headers: Mapping[str, str]) -> bool:
    """Whether the request has any header of a signed message: such a message is verified with its time."""
    return any(f"{prefix}{name}" in headers for prefix in PREFIXES for name in _HEADERS)


def has_signature(headers: Mapping[str, str]) -> bool:
    """Whether the request says that it is signed."""
    return any(f"{prefix}signature" in headers for prefix in PREFIXES)


def message_id(headers: Mapping[str, str]) -> str | None:
    """Return the message's own id, which is the same in each redelivery."""
    return next((headers[name] for name in _ID_HEADERS if headers.get(name)), None)


def is_signed_by(keys: Iterable[bytes], content: bytes, signatures: Iterable[bytes]) -> bool:
    """Whether one of the signatures is the HMAC-SHA256 of the content under one of the keys.

    Each signature is compared with each key, so that the time does not show which key matched.
    """
    expected = [_digest(key, content) for key in keys]
    matches = [hmac.compare_digest(given, digest) for given in signatures for digest in expected]
    return any(matches)


def _digest(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, hashlib.sha256)


def _signed_content(id_: str, timestamp: str, body: bytes) -> bytes:
    return f"{id_}.{timestamp}.".encode("latin-1", "replace") + body


def _decode_signatures(header: str) -> Iterator[bytes]:
    for entry in header.split(maxsplit=_MAX_SIGNATURES)[:_MAX_SIGNATURES]:
        version, _, encoded = entry.partition(",")
        if version == "v1":
            try:
                yield base64.b64decode(encoded, validate=True)
            except ValueError:
                continue
