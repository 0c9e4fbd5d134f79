"""Files with personal data or secrets: they are created for their owner alone, and others are reported."""

import os
import stat
from collections.abc import Iterable, Iterator
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


def review_database(database: Path) -> Iterator[dict[str, str]]:
    """Yield code, problem and hint of each warning about the rights of an SQLite database and its folders."""
    files = [database.with_name(database.name + suffix) for suffix in _SQLITE_SUFFIXES]
    names = [str(file) for file in files if is_readable_by_others(file) or is_writable_by_others(file)]
    if names:
        yield {
            "code": "readable_data",
            "problem": f"other users of this machine may read or write {', '.join(names)}, with"
            " personal data in it",
            "hint": f"chmod 600 {' '.join(names)}, as the user that runs the relay",
        }
    yield from map(explain_writable, find_writable_folders([database]))


def explain_writable(path: Path) -> dict[str, str]:
    """Return code, problem and hint of a warning about a file or folder that others can write."""
    return {
        "code": "writable_path",
        "problem": f"other users of this machine can write {path}, and so replace what the relay reads there",
        "hint": f"chmod go-w {path}, as its owner",
    }


def find_writable_folders(files: Iterable[Path]) -> list[Path]:
    """Return the folders above these files, and above the files that they link to, in which other users can
    replace a file or a folder. In a sticky folder such as /tmp only the owner of a file can do so.
    """
    paths = [path for file in files for path in (file.absolute(), file.resolve())]
    folders = {folder: None for path in paths for folder in path.parents}  # each one once, in this order
    return [folder for folder in folders if not _is_sticky(folder) and is_writable_by_others(folder)]


def is_readable_by_others(file: Path) -> bool:
    """Whether a user other than the owner can read the file: every user, or another member of its group."""
    return _is_granted_to_others(file, stat.S_IRGRP, stat.S_IROTH)


def is_writable_by_others(path: Path) -> bool:
    """Whether a user other than the owner can write the file or folder, as in `is_readable_by_others`."""
    return _is_granted_to_others(path, stat.S_IWGRP, stat.S_IWOTH)


def _is_granted_to_others(path: Path, by_group: int, by_all: int) -> bool:
    try:
        status = path.stat()
    except OSError:  # there is none
        return False
    return bool(status.st_mode & by_all) or (bool(status.st_mode & by_group) and _has_other_members(status))


def _is_sticky(folder: Path) -> bool:
    try:
        return bool(folder.stat().st_mode & stat.S_ISVTX)
    except OSError:  # there is none
        return False


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
