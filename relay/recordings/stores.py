"""Where archived recordings are: a folder, or an S3-compatible store (through `obstore`)."""

import asyncio
import os
import secrets
import shutil
from pathlib import Path
from typing import Any, Final, Protocol, cast
from urllib.parse import urlsplit

from relay.settings.recordings import S3_PREFIX, Recordings
from relay.standards.private_files import create_private_folder

_PART_BYTES: Final = 5 * 1024 * 1024
_TIMEOUT: Final = "30s"
_PROBE: Final = "relay-check"


class StoreFailed(Exception):
    """The store cannot be read or written. The message says why, without keys."""


class Store(Protocol):
    """Names consist of letters, digits, `.` and `-`. All methods raise `StoreFailed`."""

    async def put(self, name: str, file: Path) -> None:
        """Store the content of a file, whole or not at all. The file may be moved away."""

    async def read(self, name: str, start: int, length: int) -> bytes:
        """Return up to `length` bytes from `start` on."""

    async def delete(self, name: str) -> None:
        """Delete an object, if it is there."""


def open_store(settings: Recordings) -> Store:
    """Return the store of `keep_url`. Nothing is created before the first write."""
    if settings.keep_url.startswith(S3_PREFIX):
        return S3Store(settings)
    return FolderStore(Path(settings.keep_url))


async def check_store(store: Store, scratch: Path) -> None:
    """Write, read and delete a small object. `scratch`: a folder of this machine. Raises `StoreFailed`."""
    name = f"{_PROBE}-{secrets.token_hex(8)}"
    file = scratch / name
    try:
        file.write_bytes(name.encode())
        await store.put(name, file)
        content = await store.read(name, 0, len(name))
        await store.delete(name)
    finally:
        file.unlink(missing_ok=True)
    if content != name.encode():
        raise StoreFailed("the store returned other bytes than it was given")


class FolderStore:
    """Files for their owner alone, in a folder for each two first letters of a name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, name: str, file: Path) -> None:
        await _in_thread(self._put, name, file)

    def _put(self, name: str, file: Path) -> None:
        path = self._path(name)
        create_private_folder(path.parent)
        part = path.with_name(f"{name}.{secrets.token_hex(8)}.part")
        try:
            part.touch(0o600, exist_ok=False)
            with part.open("wb") as to, file.open("rb") as source:
                shutil.copyfileobj(source, to)
                to.flush()
                os.fsync(to.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    async def read(self, name: str, start: int, length: int) -> bytes:
        def read() -> bytes:
            with self._path(name).open("rb") as file:
                file.seek(start)
                return file.read(length)

        result: bytes = await _in_thread(read)
        return result

    async def delete(self, name: str) -> None:
        await _in_thread(lambda: self._path(name).unlink(missing_ok=True))

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name


async def _in_thread(work: Any, *arguments: Any) -> Any:
    try:
        return await asyncio.to_thread(work, *arguments)
    except OSError as error:
        raise StoreFailed(f"{error.filename or 'the archive'}: {error.strerror}") from error


class S3Store:
    """Objects below the prefix of `s3://BUCKET/PREFIX`."""

    def __init__(self, settings: Recordings) -> None:
        self._settings = settings
        self._opened: Any = None

    def _open(self) -> Any:
        """Connect when it is first used: the library needs 8 MB of memory."""
        if self._opened is None:
            from obstore.store import S3Store as Opened  # noqa: PLC0415

            parts, s3 = urlsplit(self._settings.keep_url), self._settings.s3
            secret = s3.secret_access_key
            config = {
                "endpoint": s3.endpoint,
                "region": s3.region,
                "access_key_id": s3.access_key_id,
                "secret_access_key": secret.get_secret_value() if secret else "",
            }
            self._opened = Opened(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                config=cast("Any", {name: value for name, value in config.items() if value}),
                client_options={"allow_http": s3.endpoint.startswith("http://"), "timeout": _TIMEOUT},
                retry_config={"max_retries": 2},
            )
        return self._opened

    async def put(self, name: str, file: Path) -> None:
        import obstore  # noqa: PLC0415

        await self._call(obstore.put_async, name, file, chunk_size=_PART_BYTES, max_concurrency=2)

    async def read(self, name: str, start: int, length: int) -> bytes:
        import obstore  # noqa: PLC0415

        return bytes(await self._call(obstore.get_range_async, name, start=start, length=length))

    async def delete(self, name: str) -> None:
        import obstore  # noqa: PLC0415

        await self._call(obstore.delete_async, name)

    async def _call(self, function: Any, *arguments: Any, **options: Any) -> Any:
        from obstore.exceptions import BaseError  # noqa: PLC0415

        try:
            return await function(self._open(), *arguments, **options)
        except (BaseError, OSError, ValueError) as error:
            # The first line: the rest repeats the request.
            reason = str(error).strip().partition("\n")[0][:300]
            raise StoreFailed(f"{self._settings.keep_url}: {reason}") from error
