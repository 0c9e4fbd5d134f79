"""promtool, the checker of Prometheus, from Debian's package `prometheus`.

The package is downloaded and unpacked, not installed: no service is started, and no rights are needed.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import pytest

from tests.support.postgres import CACHE, exclusive_lock

_SECONDS: Final = 300


def run_promtool(*arguments: str, text: str | None = None) -> str:
    """Run promtool and return its output. Fails with the output if promtool finds a fault."""
    ended = subprocess.run(  # noqa: S603 - fixed command
        [_find_promtool(), *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    output = ended.stdout + ended.stderr
    assert ended.returncode == 0, output
    return output


def _find_promtool() -> str:
    cached = CACHE / "promtool"
    with exclusive_lock("promtool"):
        if installed := shutil.which("promtool"):
            return installed
        if not cached.exists():
            _download(cached)
    return str(cached)


def _download(target: Path) -> None:
    if shutil.which("apt-get") is None:
        pytest.fail("promtool is missing, and this is no Debian: install Prometheus", pytrace=False)
    with tempfile.TemporaryDirectory() as folder:
        if not _fetch(folder) and not (
            os.geteuid() == 0 and _run(folder, "apt-get", "update") and _fetch(folder)
        ):
            pytest.fail("promtool is missing: apt-get install prometheus", pytrace=False)
        (package,) = Path(folder).glob("prometheus_*.deb")
        assert _run(folder, "dpkg-deb", "-x", package.name, "unpacked")
        shutil.move(Path(folder) / "unpacked/usr/bin/promtool", target)


def _fetch(folder: str) -> bool:
    return _run(folder, "apt-get", "download", "prometheus")


def _run(folder: str, *command: str) -> bool:
    ended = subprocess.run(  # noqa: S603 - fixed commands
        command, cwd=folder, capture_output=True, timeout=_SECONDS, check=False
    )
    return ended.returncode == 0
