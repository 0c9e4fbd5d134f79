"""The format of a recording, recognised by its first bytes.

CloudTalk also declares `application/octet-stream`, and sends pages with the status 200.
"""

from typing import Final

START_BYTES: Final = 12
"""How many bytes are needed."""

_MPEG_SYNC: Final = 0xFFE0
_MPEG_RESERVED_VERSION: Final = 0x0008
_MPEG_LAYER: Final = 0x0006


def find_content_type(start: bytes) -> str | None:
    """Return the media type of WAV, MP3 or Ogg by its first bytes; None if it is something else."""
    if start[:4] == b"RIFF" and start[8:12] == b"WAVE":
        return "audio/wav"
    if start[:4] == b"OggS":
        return "audio/ogg"
    if start[:3] == b"ID3" or _is_mpeg_frame(start):
        return "audio/mpeg"
    return None


def _is_mpeg_frame(start: bytes) -> bool:
    """Whether a frame of MPEG audio begins here: the sync word, a known version, a layer."""
    head = int.from_bytes(start[:2].ljust(2, b"\0"))
    version_is_known = head & 0x0018 != _MPEG_RESERVED_VERSION
    return head & _MPEG_SYNC == _MPEG_SYNC and version_is_known and bool(head & _MPEG_LAYER)
