"""Files with personal data or secrets: they are created for their owner alone, and others are reported."""

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_SQLITE_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")


def create_private_folder(folder: Path) -> None:
    """Create a folder and the missing ones above it, for their owner alone. Raises `OSError`."""
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        with suppress(FileExistsError):  # another process was faster
            missing.mkdir(_FOLDER_MODE)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder")


def create_private_file(file: Path) -> None:
    """Create an empty file for its owner alone, if it is missing and can be created.

    SQLite would create it with the rights that the umask leaves. It gives its other files, such as the WAL,
    the rights of the database.
    """
    with suppress(OSError):  # it exists, or opening it will say why it cannot be created
        os.close(os.open(file.resolve(), os.O_CREAT | os.O_EXCL | os.O_WRONLY, _FILE_MODE))


def find_open_sqlite_files(database: Path) -> list[Path]:
    """Return the files of an SQLite database that other users may read or write."""
    files = (database.with_name(database.name + suffix) for suffix in _SQLITE_SUFFIXES)
    return [file for file in files if _mode(file) & (stat.S_IRWXG | stat.S_IRWXO)]


def explain_open_files(files: Sequence[Path]) -> dict[str, str]:
    """Return problem and hint of a warning about these files."""
    names = " ".join(map(str, files))
    return {
        "problem": f"other users of this machine may read or write {', '.join(map(str, files))}, with"
        " personal data in it",
        "hint": f"chmod 600 {names}, as the user that runs the relay",
    }


def is_readable_by_others(file: Path) -> bool:
    """Whether a user other than the owner can read the file: every user, or another member of its group."""
    try:
        status = file.stat()
    except OSError:  # there is none
        return False
    readable_by_group = bool(status.st_mode & stat.S_IRGRP)
    return bool(status.st_mode & stat.S_IROTH) or (readable_by_group and _has_other_members(status))


def _has_other_members(status: os.stat_result) -> bool:
    """Whether the group of a file has a member besides the owner, the user of this process, and root."""
    # Imported here: Windows has neither, and there every file counts as readable by every user.
    import grp  # noqa: PLC0415
    import pwd  # noqa: PLC0415

    try:
        members = set(grp.getgrgid(status.st_gid).gr_mem)
    except KeyError:  # a group without a name, as in a container
        members = set()
    accounts = pwd.getpwall()
    members |= {account.pw_name for account in accounts if account.pw_gid == status.st_gid}
    harmless = {account.pw_name for account in accounts if account.pw_uid in {0, os.geteuid(), status.st_uid}}
    return not members <= harmless


def _mode(file: Path) -> int:
    try:
        return file.stat().st_mode
    except OSError:  # there is none
        return 0
