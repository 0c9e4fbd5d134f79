"""The cache on the disk: one file for each recording, those that were played last, for their owner alone.

A file is written under another name and renamed when it is complete, so several processes can share the
folder: at worst two of them fetch the same recording, and one file replaces the other. The relay sets the
times of a file: the modification time is that of the fetch, the access time that of the last use.
"""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from relay.standards.private_files import create_private_folder

_SUFFIX: Final = ".audio"
_PART_SUFFIX: Final = ".part"
_PART_AGE: Final = 3_600
"""In seconds: longer than any fetch takes. An older part was left by a process that was killed."""

_MEGABYTE: Final = 1_000_000
_DAY_SECONDS: Final = 86_400


class _Entry(NamedTuple):
    used_at: float
    fetched_at: float
    size: int
    path: Path


class Cache:
    """The methods do I/O: call them in a thread. They raise `OSError` if the disk fails.

    `max_mb`: megabytes of complete recordings. `max_days`: their age.
    """

    def __init__(self, folder: Path, *, max_mb: float, max_days: float) -> None:
        self.folder = folder
        self._max_bytes = max_mb * _MEGABYTE
        self._max_age = max_days * _DAY_SECONDS

    def find(self, key: str) -> Path | None:
        """Return the file of a recording and count it as used; None if there is none."""
        path = self._path(key)
        try:
            fetched_at = path.stat().st_mtime
            if fetched_at < time.time() - self._max_age:
                return None
            os.utime(path, (time.time(), fetched_at))
        except FileNotFoundError:
            return None
        return path

    def create_part(self) -> Path:
        """Create an empty file for a recording that is being fetched."""
        create_private_folder(self.folder)
        part = self.folder / f"{secrets.token_hex(16)}{_PART_SUFFIX}"
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        return part

    def commit(self, part: Path, key: str) -> Path:
        """Rename a complete part, and remove the recordings that then are too many."""
        path = self._path(key)
        part.replace(path)
        self.remove_excess()
        return path

    def remove(self, key: str) -> None:
        """Remove a recording, if it is there. Who plays it at the moment can go on."""
        self._path(key).unlink(missing_ok=True)

    def remove_excess(self) -> int:
        """Remove old recordings, then those that were used longest ago. Return the bytes that stay."""
        self._remove_parts()
        entries = sorted(self._entries())
        total = sum(entry.size for entry in entries)
        oldest = time.time() - self._max_age
        for entry in entries:
            if total > self._max_bytes or entry.fetched_at < oldest:
                entry.path.unlink(missing_ok=True)
                total -= entry.size
        return total

    def measure(self) -> int:
        """Return the bytes of the complete recordings."""
        return sum(entry.size for entry in self._entries())

    def _remove_parts(self) -> None:
        for part in self.folder.glob(f"*{_PART_SUFFIX}"):
            with suppress(FileNotFoundError):
                if part.stat().st_mtime < time.time() - _PART_AGE:
                    part.unlink()

    def _entries(self) -> Iterator[_Entry]:
        for path in self.folder.glob(f"*{_SUFFIX}"):
            with suppress(FileNotFoundError):  # another process removed it
                status = path.stat()
                yield _Entry(status.st_atime, status.st_mtime, status.st_size, path)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"
