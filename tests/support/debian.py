"""Programs of Debian's packages: root installs a missing one; without root the test fails in one line."""

import os
import shutil
import subprocess
from typing import Final

import pytest

from tests.support.postgres import exclusive_lock

_SECONDS: Final = 600
_PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
"""Debian's daemons are in folders that the PATH of a user does not have."""


def require_program(name: str, *, package: str) -> str:
    """Return the path of a program, whose package is installed if need be."""
    with exclusive_lock("apt"):
        found = shutil.which(name, path=_PATH)
        if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
            for command in (["update"], ["install", "--yes", "--no-install-recommends", package]):
                environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
                subprocess.run(  # noqa: S603 - fixed commands
                    ["apt-get", "--quiet", *command],  # noqa: S607 - Debian's
                    env=environment,
                    capture_output=True,
                    timeout=_SECONDS,
                    check=False,
                )
            found = shutil.which(name, path=_PATH)
    if found is None:
        pytest.fail(f"{name} is missing: as root, apt-get install {package}", pytrace=False)
    return found
