"""A recording that is open for one request: in a file, whole or still growing, or in the archive."""

import asyncio
import os
from pathlib import Path
from typing import BinaryIO, Protocol

from relay.recordings.audio import START_BYTES, find_content_type
from relay.recordings.failures import FetchFailed, Reason


class OpenRecording(Protocol):
    """`size`: its bytes; None while that is unknown."""

    content_type: str
    etag: str

    @property
    def size(self) -> int | None: ...

    async def wait_until_complete(self) -> None:
        """Wait until the size is known. Raises `FetchFailed`."""

    async def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes at an offset, b"" at the end. Raises `FetchFailed`."""

    async def close(self) -> None: ...


class RecordingFile:
    """A complete recording in a file. Once it is open, the file may be removed."""

    def __init__(self, file: BinaryIO, content_type: str, etag: str) -> None:
        self.content_type = content_type
        self.etag = etag
        self._file = file
        self._size = os.fstat(file.fileno()).st_size

    @property
    def size(self) -> int:
        return self._size

    async def wait_until_complete(self) -> None:
        """It is complete."""

    async def read(self, offset: int, length: int) -> bytes:
        return await asyncio.to_thread(read_at, self._file, offset, length)

    async def close(self) -> None:
        self._file.close()


def open_file(path: Path, etag: str) -> RecordingFile | None:
    """Open a file of the cache; None if it was removed meanwhile, or is damaged."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    content_type = find_content_type(file.read(START_BYTES))
    if content_type is None:
        file.close()
        return None
    return RecordingFile(file, content_type, etag)


def read_at(file: BinaryIO, offset: int, length: int) -> bytes:
    """Read from a file that no other task uses. Raises `FetchFailed`."""
    try:
        file.seek(offset)
        return file.read(length)
    except OSError as error:
        raise FetchFailed(Reason.DISK, f"the cache cannot be read: {error.strerror}") from error
