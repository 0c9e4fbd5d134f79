"""The format of a recording."""

import pytest

from relay.recordings.audio import find_content_type
from tests.support.recordings import wav


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (wav(1)[:12], "audio/wav"),
        (b"RIFF\x00\x00\x00\x00AVI ", None),
        (b"OggS\x00\x02\x00\x00\x00\x00\x00\x00", "audio/ogg"),
        (b"ID3\x04\x00\x00\x00\x00\x00\x00\x00\x00", "audio/mpeg"),
        (b"\xff\xfb\x90\x44\x00\x00\x00\x00\x00\x00\x00\x00", "audio/mpeg"),
        (b"\xff\xf1\x50\x80\x00\x00\x00\x00\x00\x00\x00\x00", None),  # AAC has the layer 0
        (b"\xff\xeb\x50\x80\x00\x00\x00\x00\x00\x00\x00\x00", None),  # a reserved version
        (b"<!DOCTYPE html>", None),
        (b'{"success":false}', None),
        (b"", None),
        (b"\xff", None),
    ],
)
def test_the_first_bytes_decide(start: bytes, expected: str | None) -> None:
    assert find_content_type(start) == expected
