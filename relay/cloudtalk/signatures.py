"""CloudTalk's signed webhooks: HMAC-SHA256 over what came, in the way of Standard Webhooks.

`svix-id`, `svix-timestamp` (unix seconds) and `svix-signature: v1,<base64> v1,<base64>…`, also under
the names `webhook-…`; signed is `{id}.{timestamp}.{raw body}` with the base64 after `whsec_` as key.
Some accounts send `X-CloudTalk-Signature`, hex over the raw body alone; it bears no time.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

TOLERANCE_SECONDS: Final = 300
_PREFIXES: Final = ("svix-", "webhook-")
_PLAIN: Final = "x-cloudtalk-signature"


class StaleSignature(Exception):
    """The signature is right and its time is not: one of the two clocks is off. `seconds` says how far."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"the signature is {abs(seconds)} s {'old' if seconds > 0 else 'ahead'}")
        self.seconds = seconds


class Signatures:
    """Verifies with any of several secrets, so that one can be changed without losing an event."""

    def __init__(self, secrets: Iterable[str]) -> None:
        given = list(secrets)
        self._keys = [base64.b64decode(secret.partition("_")[2]) for secret in given]
        self._plain_keys = [*self._keys, *(secret.encode() for secret in given)]

    def __bool__(self) -> bool:
        """Whether there is any secret to verify with."""
        return bool(self._keys)

    def apply(self, headers: Mapping[str, str]) -> bool:
        """Whether this request is signed, and can be verified."""
        return bool(self) and any(name in headers for name in _signature_headers())

    def verify(self, headers: Mapping[str, str], raw: bytes, *, now: int) -> bool:
        """Return whether the signature is valid; `now` in Unix seconds. Raises `StaleSignature`."""
        if _PLAIN in headers and not any(f"{prefix}signature" in headers for prefix in _PREFIXES):
            return self._verify_plain(headers[_PLAIN], raw)
        prefix = next(prefix for prefix in _PREFIXES if f"{prefix}signature" in headers)
        message_id, timestamp = headers.get(f"{prefix}id", ""), headers.get(f"{prefix}timestamp", "")
        if not message_id or not (timestamp.isascii() and timestamp.isdigit()):
            return False
        signed = f"{message_id}.{timestamp}.".encode("latin-1", "replace") + raw
        if not self._matches(signed, _entries(headers[f"{prefix}signature"]), self._keys):
            return False
        age = now - int(timestamp)
        if abs(age) > TOLERANCE_SECONDS:
            raise StaleSignature(age)
        return True

    def _verify_plain(self, header: str, raw: bytes) -> bool:
        try:
            given = bytes.fromhex(header.strip().removeprefix("sha256="))
        except ValueError:
            return False
        return self._matches(raw, [given], self._plain_keys)

    @staticmethod
    def _matches(signed: bytes, entries: Iterable[bytes], keys: Iterable[bytes]) -> bool:
        """Every entry against every key: the time tells nothing of which one fits."""
        expected = [hmac.digest(key, signed, hashlib.sha256) for key in keys]
        compared = [hmac.compare_digest(entry, digest) for entry in entries for digest in expected]
        return any(compared)


def _signature_headers() -> tuple[str, ...]:
    return (*(f"{prefix}signature" for prefix in _PREFIXES), _PLAIN)


def _entries(header: str) -> Iterator[bytes]:
    for entry in header.split():
        version, _, encoded = entry.partition(",")
        if version == "v1":
            try:
                yield base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                continue


def message_id(headers: Mapping[str, str]) -> str | None:
    """The message's own id, the same on each redelivery."""
    return next((headers[f"{prefix}id"] for prefix in _PREFIXES if headers.get(f"{prefix}id")), None)
