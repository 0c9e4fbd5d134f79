"""Builds the wheel and the source package: the same bytes from the same commit, at any time and anywhere.

python -m release.build TARGET
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]


def build(source: Path, target: Path, *, epoch: int, only: Iterable[str] = ()) -> list[Path]:
    """Build the source package, and the wheel from it, or only what is named (`--sdist`, `--wheel`: from the
    tree). Return the files. `epoch`: the time of all entries, in Unix seconds.
    """
    options = ("--quiet", "--offline", "--no-build-isolation", "--out-dir", str(target), *only)
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch)}
    subprocess.run(  # noqa: S603 - a command of the project
        [sys.executable, "-m", "uv", "build", *options, str(source)], env=environment, check=True
    )
    return sorted(file for file in target.iterdir() if file.suffix in {".whl", ".gz"})


def find_epoch(source: Path) -> int:
    """Return the time of the packages: SOURCE_DATE_EPOCH, or else that of the commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return int(given) if given else int(git(source, "log", "-1", "--format=%ct"))


def git(source: Path, *arguments: str) -> str:
    """Run a command of Git in the checkout and return its output."""
    done = subprocess.run(  # noqa: S603 - a fixed command
        ["git", "-C", str(source), *arguments],  # noqa: S607 - that of the person
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def main() -> None:
    target = Path(sys.argv[1])
    for old in (*target.glob("*.whl"), *target.glob("*.tar.gz")):
        old.unlink()
    for file in build(ROOT, target, epoch=find_epoch(ROOT)):
        print(file)


if __name__ == "__main__":
    main()
