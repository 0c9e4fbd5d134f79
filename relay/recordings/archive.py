"""The archive: recordings in a store, encrypted if there is a key."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from relay.ledger.recordings import ArchivedRecording
from relay.recordings.encryption import (
    CHUNK_BYTES,
    HEADER_BYTES,
    TAG_BYTES,
    Cipher,
    WrongKey,
    last_chunk,
    new_cipher,
    open_cipher,
)
from relay.recordings.failures import FetchFailed, Reason
from relay.recordings.opened import OpenRecording
from relay.recordings.stores import Store, StoreFailed

_ENCRYPTED: Final = ".enc"
_PLAIN: Final = ".audio"
_STRIDE: Final = CHUNK_BYTES + TAG_BYTES
_CHUNKS_AT_ONCE: Final = 16
"""Read with one request of a store, and kept for the next pieces: 1 MiB."""


class Archive:
    """`secrets`: the first encrypts, all decrypt; without any, recordings are stored as they are."""

    def __init__(self, store: Store, secrets: Sequence[bytes]) -> None:
        self.store = store
        self._secrets = secrets

    @property
    def is_encrypted(self) -> bool:
        return bool(self._secrets)

    def name_of(self, key: str) -> str:
        """Return the name of the object for the recording with this key."""
        return key + (_ENCRYPTED if self._secrets else _PLAIN)

    async def put(self, name: str, audio: OpenRecording, scratch: Path) -> int:
        """Store a complete recording, and return its size. `scratch`: an empty file for what is stored.

        Raises `StoreFailed`, `FetchFailed`.
        """
        size = audio.size or 0
        cipher = new_cipher(self._secrets[0], name) if self._secrets else None
        try:
            with scratch.open("wb") as file:
                await _write(audio, size, cipher, file)
        except OSError as error:
            raise StoreFailed(f"{scratch.parent}: {error.strerror}") from error
        await self.store.put(name, scratch)
        return size

    async def open(self, archived: ArchivedRecording, etag: str) -> "OpenArchived":
        """Open a recording. Raises `StoreFailed`."""
        if not archived.object.endswith(_ENCRYPTED):
            await self.store.read(archived.object, 0, 1)  # if it is lost, CloudTalk may still have it
            return OpenArchived(self.store, archived, None, etag)
        header = await self.store.read(archived.object, 0, HEADER_BYTES)
        try:
            cipher = open_cipher(self._secrets, header, archived.object)
        except WrongKey as error:
            raise StoreFailed(str(error)) from error
        return OpenArchived(self.store, archived, cipher, etag)


class OpenArchived:
    """An archived recording that one request reads, see `OpenRecording`."""

    def __init__(self, store: Store, archived: ArchivedRecording, cipher: Cipher | None, etag: str) -> None:
        self.content_type = archived.content_type
        self.etag = etag
        self._size = archived.size
        self._store = store
        self._name = archived.object
        self._cipher = cipher
        self._held_from = 0
        self._held = b""

    @property
    def size(self) -> int:
        return self._size

    async def wait_until_complete(self) -> None:
        """It is complete."""

    async def read(self, offset: int, length: int) -> bytes:
        try:
            if not self._held_from <= offset < self._held_from + len(self._held):
                await self._load(offset // CHUNK_BYTES)
        except (StoreFailed, WrongKey) as error:
            raise FetchFailed(Reason.ARCHIVE, f"the archive cannot be read: {error}") from error
        start = offset - self._held_from
        return self._held[start : start + length]

    async def _load(self, first: int) -> None:
        """Read and decrypt some chunks from this one on."""
        last = min(first + _CHUNKS_AT_ONCE, last_chunk(self._size) + 1) - 1
        self._held_from, self._held = first * CHUNK_BYTES, b""
        if first * CHUNK_BYTES >= self._size:
            return
        if self._cipher is None:
            self._held = await self._store.read(self._name, self._held_from, (last - first + 1) * CHUNK_BYTES)
            return
        start = HEADER_BYTES + first * _STRIDE
        raw = await self._store.read(self._name, start, (last - first + 1) * _STRIDE)
        self._held = await asyncio.to_thread(self._decrypt, raw, first)

    def _decrypt(self, raw: bytes, first: int) -> bytes:
        assert self._cipher is not None  # noqa: S101 - see `_load`
        chunks = [raw[at : at + _STRIDE] for at in range(0, len(raw), _STRIDE)]
        end = last_chunk(self._size)
        return b"".join(
            self._cipher.decrypt(number, chunk, is_last=number == end)
            for number, chunk in enumerate(chunks, first)
        )

    async def close(self) -> None:
        """Nothing is open."""


async def _write(audio: OpenRecording, size: int, cipher: Cipher | None, file: BinaryIO) -> None:
    """Write a recording, encrypted if there is a cipher."""
    if cipher is not None:
        file.write(cipher.header)
    for number in range(last_chunk(size) + 1):
        chunk = await audio.read(number * CHUNK_BYTES, CHUNK_BYTES)
        await asyncio.to_thread(_write_chunk, number, chunk, size, cipher, file)


def _write_chunk(number: int, chunk: bytes, size: int, cipher: Cipher | None, file: BinaryIO) -> None:
    is_last = number == last_chunk(size)
    file.write(chunk if cipher is None else cipher.encrypt(number, chunk, is_last=is_last))
