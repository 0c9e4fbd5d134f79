"""Files of another user, and processes without the right of root to use them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

_UID = 4321
"""No user of the machine has it."""

_WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


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
        command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
