"""Checks the packages of a release, and runs the program that they install.

    python -m release.check FOLDER [--tag TAG]

FOLDER has the packages of `release.build`. With a tag, the changelog must have its section, which is written
to FOLDER/notes.md.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from release.build import ROOT, build, find_epoch, git
from release.version import VersionError, read_notes, read_version

_OTHER_UMASK: Final = 0o077
_LOCK: Final = ROOT / "requirements.lock"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m release.check")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tag")
    given = parser.parse_args()
    try:
        if given.tag:
            (given.folder / "notes.md").write_text(read_notes(ROOT, given.tag), "utf-8")
        sdist, wheel = find_packages(given.folder.resolve(), read_version(ROOT))
        with tempfile.TemporaryDirectory(prefix="release-") as scratch:
            require_reproducible(sdist, wheel, Path(scratch))
            print("the packages are built again with the same bytes")
            install_and_run(wheel, Path(scratch))
            print("the wheel is installed in an empty environment, and its demo has run")
    except (VersionError, PackageError) as error:
        sys.exit(f"release: {error}")


class PackageError(Exception):
    """A package is missing, or is not as the commit says."""


def find_packages(folder: Path, version: str) -> tuple[Path, Path]:
    """Return the source package and the wheel of this version. Raises `PackageError`."""
    sdist = folder / f"cloudtalk_relay-{version}.tar.gz"
    wheel = folder / f"cloudtalk_relay-{version}-py3-none-any.whl"
    for file in (sdist, wheel):
        if not file.is_file():
            raise PackageError(f"{file} is missing: make build")
    return sdist, wheel


def require_reproducible(sdist: Path, wheel: Path, scratch: Path) -> None:
    """Build from a copy of what Git has, with another umask, and from the tree. Raises `PackageError`."""
    epoch = find_epoch(ROOT)
    before = os.umask(_OTHER_UMASK)
    try:
        copy = copy_tracked(ROOT, scratch / "copy")
        again = build(copy, scratch / "again", epoch=epoch)
        from_tree = build(copy, scratch / "tree", epoch=epoch, only=["--wheel"])
    finally:
        os.umask(before)
    for first, second in ((wheel, again[0]), (sdist, again[1]), (wheel, from_tree[0])):
        if first.read_bytes() != second.read_bytes():
            raise PackageError(f"{first} and a second build differ: are there files that Git does not have?")


def copy_tracked(source: Path, target: Path) -> Path:
    """Copy the files that Git has, as they are in the work tree."""
    for name in filter(None, git(source, "ls-files", "-z").split("\0")):
        file = target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, file)
        file.chmod(0o700 if os.access(source / name, os.X_OK) else 0o600)
    return target


def install_and_run(wheel: Path, scratch: Path) -> None:
    """Install the wheel with the locked dependencies in an empty environment. Then make a relay with it,
    check it and run the demo in a folder outside the checkout. Raises `PackageError`.
    """
    environment = scratch / "environment"
    uv = (sys.executable, "-m", "uv")
    install = (*uv, "pip", "install", "--quiet", "--python", str(environment / "bin/python"))
    run([*uv, "venv", "--quiet", str(environment)], scratch)
    run([*install, "--require-hashes", "-r", str(_LOCK)], scratch)
    run([*install, "--no-deps", str(wheel)], scratch)
    relay, anywhere = str(environment / "bin/relay"), scratch / "anywhere"
    anywhere.mkdir()
    for command in (
        ["init", "mine", "--yes", "--client", "local", "--port", str(_free_port())],
        ["--settings", "mine/settings.toml", "check"],
        ["demo", "--once"],
    ):
        run([relay, *command], anywhere)


def run(command: list[str], folder: Path) -> None:
    """Run a command that must succeed and print no error. Raises `PackageError`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RELAY_"))}
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode != 0 or done.stderr:
        raise PackageError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
