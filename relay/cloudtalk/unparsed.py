"""What may be stored of a body that cannot be parsed.

A text is stored without its secrets. Bytes that the relay cannot decode, such as those of an unknown
compression, may hide a secret in any form, so only their size and their digest are stored.
"""

import hashlib
import re
import zlib
from typing import Final

from relay.cloudtalk.body_secrets import BodySecrets
from relay.cloudtalk.decoding import to_utf8
from relay.cloudtalk.request import RawRequest

_WINDOWS: Final = (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS)
"""Gzip or zlib, and deflate without a header, which some programs send."""

_SHORTEST_HIDING: Final = 12
"""Fewer bytes hold no secret, in any compression."""

_SLICE_BYTES: Final = 1024
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_PRINTABLE: Final = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_MOST_OTHER: Final = 4
"""A text in an undeclared charset has one character outside ASCII in so many, at most."""


def clean_unparsed(request: RawRequest, secrets: BodySecrets, max_bytes: int) -> bytes:
    """Return the text of the body, decompressed as far as possible and without secrets, or a description."""
    text = to_utf8(_decompress_start(request, max_bytes), request.content_type)
    if len(text) < _SHORTEST_HIDING or _is_text(text):
        return secrets.redact_raw(text)
    digest = hashlib.sha256(request.raw).hexdigest()
    return f"[removed: {len(request.raw)} bytes that are no text; sha256 {digest}]".encode()


def _decompress_start(request: RawRequest, max_bytes: int) -> bytes:
    """Return what can be decompressed; without a compression that is known, the body itself."""
    if not request.is_compressed:
        return request.raw
    starts = (_inflate_start(request.raw, window, max_bytes) for window in _WINDOWS)
    return next(filter(None, starts), request.raw)


def _inflate_start(raw: bytes, window: int, max_bytes: int) -> bytes:
    """Decompress up to the limit, or up to the first error."""
    decompressor, inflated = zlib.decompressobj(window), bytearray()
    for start in range(0, len(raw), _SLICE_BYTES):
        room = max_bytes - len(inflated)
        if room <= 0:
            break
        try:
            inflated += decompressor.decompress(raw[start : start + _SLICE_BYTES], room)
        except zlib.error:
            break
    return bytes(inflated)


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        others = len(raw.translate(None, _PRINTABLE))
        return others * _MOST_OTHER <= len(raw) and not _CONTROL.search(raw)
    return True
