"""The headers of CloudTalk's native webhooks, as Standard Webhooks has them."""

import base64
import binascii
import hmac
from hashlib import sha256


def key_of(secret: str) -> bytes:
    """The key in `whsec_…`. Raises `ValueError` where the secret is none."""
    prefix, _, encoded = secret.partition("_")
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    if prefix != "whsec" or not key:
        raise ValueError("expected whsec_ and base64, as CloudTalk shows it once the webhook is made")
    return key


def signature_headers(key: bytes, id: str, timestamp: int, content: bytes) -> dict[bytes, bytes]:  # noqa: A002 - the header's own word
    """What proves that these bytes are CloudTalk's and of this moment, in unix seconds."""
    digest = hmac.digest(key, f"{id}.{timestamp}.".encode() + content, sha256)
    return {
        b"svix-id": id.encode(),
        b"svix-timestamp": str(timestamp).encode(),
        b"svix-signature": b"v1," + base64.b64encode(digest),
    }
