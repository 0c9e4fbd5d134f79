"""Whether this process may use a file, and whose it is if not."""

import os
from pathlib import Path
from typing import Final

_READ_AND_WRITE: Final = os.R_OK | os.W_OK


def explain_denied(file: Path, *, writes: bool = True) -> str | None:
    """Return which file or folder this process may not use, and whose it is; None if it may use the file.

    The file may be missing: it is then to be created in its folder, if `writes`.
    """
    needed = _READ_AND_WRITE if writes else os.R_OK
    file = file.absolute()
    for folder in reversed(file.parents):
        if not folder.is_dir():
            return None  # to be created, or no folder, which is another error
        if not _may(folder, os.X_OK):
            return _explain(folder)
    if file.exists():
        return None if _may(file, needed) else _explain(file)
    return _explain(file.parent) if writes and not _may(file.parent, os.W_OK) else None


def explain_uncreatable(file: Path) -> str | None:
    """Return why this process cannot create the missing file with its missing folders; None if it can."""
    folder = next(each for each in file.absolute().parents if not is_missing(each))
    if not folder.is_dir():
        return f"{folder} is no folder"
    return None if _may(folder, os.W_OK | os.X_OK) else _explain(folder)


def is_missing(path: Path) -> bool:
    """Whether there is no such file. Behind a folder that this process may not use, every file counts as
    existing: to open it then fails with the reason.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _may(path: Path, needed: int) -> bool:
    """Whether the effective user has these rights."""
    return os.access(path, needed, effective_ids=os.access in os.supports_effective_ids)


def _explain(path: Path) -> str:
    status = path.stat()
    owner = _name(status.st_uid)
    if status.st_uid == os.geteuid():
        return f"{path} is yours and has the mode {status.st_mode & 0o777:03o}; run `chmod u+rwX {path}`"
    return f"{path} belongs to {owner}, and you are {_name(os.geteuid())}; run the command as {owner}"


def _name(uid: int) -> str:
    import pwd  # noqa: PLC0415 - not available on Windows

    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:  # a user of another machine or container
        return f"the user {uid}"
