"""The signatures of CloudTalk's webhooks: Standard Webhooks, or `X-CloudTalk-Signature`.

Some accounts send `X-CloudTalk-Signature`: hex HMAC-SHA256 of the raw body alone, without a timestamp.
Its key is the decoded secret or the whole secret as text. Standard Webhooks sign `{id}.{timestamp}.{body}`
with the same key. A person who recorded such a message could send this text as a body, with its old
signature, and no timestamp would be checked. So this signature counts only for a body that cannot be such a
text: JSON begins with a brace or a bracket, and no message id does.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from relay.standards import webhooks

_BODY_SIGNATURE: Final = "x-cloudtalk-signature"
_STARTS_OF_BODIES: Final = frozenset({b"", b"{", b"[", b"\xef", b"\x1f"})
"""First bytes of a body that is empty, JSON, JSON after a byte order mark, or compressed."""


class SignatureVerifier:
    """Verifies a request with any of the listed secrets (`whsec_…`)."""

    def __init__(self, secrets: Iterable[str]) -> None:
        listed = list(secrets)
        keys = [webhooks.decode_secret(secret) for secret in listed]
        self._verifier = webhooks.Verifier(keys)
        self._body_keys = [*keys, *(secret.encode() for secret in listed)]

    def __bool__(self) -> bool:
        """Whether there is a secret to verify with."""
        return bool(self._body_keys)

    def applies_to(self, headers: Mapping[str, str]) -> bool:
        """Whether the request is signed and there is a secret to verify it with."""
        return bool(self) and (webhooks.has_signature(headers) or _BODY_SIGNATURE in headers)

    def verify(self, headers: Mapping[str, str], raw: bytes, *, now: int) -> bool:
        """Whether the signature is valid; `now` in Unix seconds. Raises `StaleSignature`."""
        if webhooks.has_headers(headers):
            return self._verifier.verify(headers, raw, now=now)
        return _can_be_body(raw) and self._verify_body(headers[_BODY_SIGNATURE], raw)

    def _verify_body(self, header: str, raw: bytes) -> bool:
        try:
            signature = bytes.fromhex(header.strip().removeprefix("sha256="))
        except ValueError:
            return False
        return webhooks.is_signed_by(self._body_keys, raw, [signature])


def _can_be_body(raw: bytes) -> bool:
    return raw.lstrip()[:1] in _STARTS_OF_BODIES
