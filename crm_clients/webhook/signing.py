"""Signatures of Standard Webhooks (standardwebhooks.com), version `v1`: HMAC-SHA256 with a shared key."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

PREFIX: Final = "whsec_"


def key_of(secret: str) -> bytes:
    """The key in `whsec_` and base64, padded or not. Raises ValueError where the secret is none."""
    encoded = secret.removeprefix(PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not key:
        raise ValueError('expected whsec_ and base64; `echo "whsec_$(openssl rand -base64 32)"` makes one')
    return key


class Signer:
    """Signs with every secret, so that a receiver can change from one to another without losing a call."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._keys = [key_of(secret) for secret in secrets]

    def headers(self, id: str, timestamp: int, body: bytes) -> dict[str, str]:  # noqa: A002 - the header's word
        """What proves that this body is ours and of this moment, in unix seconds."""
        signed = f"{id}.{timestamp}.".encode() + body
        return {
            "webhook-id": id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(_signature(key, signed) for key in self._keys),
        }


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
