"""Files of another user, and processes without the right of root to use them."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.patience import PATIENCE

_UID = 4321
"""No user of the machine has it."""

_WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


_CAPABILITY_VERSION = 0x20080522
"""Of the call of the kernel: each set of rights has two words, the effective one first."""


class Foreign(NamedTuple):
    """A folder that only its owner may use. `owner`: as messages name him."""

    path: Path
    owner: str


def make_foreign(folder: Path) -> Foreign:
    """Give a folder with its files to another user; without the rights of root, return root's home."""
    if os.geteuid() != 0:
        return Foreign(Path("/root"), "the user root")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, _UID, _UID)
    folder.chmod(0o700)
    return Foreign(folder, f"the user {_UID}")


def run_without_rights_of_root(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments as a user whom the modes of files concern."""
    prefix = _WITHOUT_RIGHTS if os.geteuid() == 0 else ()
    command = [*prefix, sys.executable, *arguments]
    return subprocess.run(  # noqa: S603 - fixed command
        command, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@contextmanager
def without_rights_of_root() -> Iterator[None]:
    """In this thread, the modes of files concern root as they concern every user."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, rights = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, rights) == 0
    effective = rights[0], rights[3]
    rights[0] = rights[3] = 0
    assert libc.capset(header, rights) == 0
    try:
        yield
    finally:
        rights[0], rights[3] = effective
        assert libc.capset(header, rights) == 0
