"""The machine that the figures are measured on, and what makes a commit durable there."""

import os
import platform
import sqlite3
import subprocess
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]  # it has no types, and little of it is used
from sqlalchemy import text

from relay import __version__
from relay.ledger.engine import open_engine, transaction

_FSYNC_SECONDS: Final = 0.5
_PAGE: Final = bytes(4096)
_SYNCHRONOUS: Final = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}
"""The values of SQLite's PRAGMA synchronous."""

_PACKAGES: Final = ("uvicorn", "uvloop", "httptools", "starlette", "sqlalchemy")


def describe_machine() -> str:
    """Return one line about the machine, and a second line if dependencies have no bytecode."""
    line = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    if _has_bytecode("sqlalchemy"):
        return line
    # Without bytecode each start compiles its imports: that takes three times as long, and more memory.
    return (
        f"{line}\nDependencies are not compiled, which slows every start; `make clean setup` compiles them."
    )


def machine_facts(folder: Path) -> dict[str, str]:
    """Return what the figures depend on. `folder`: where the ledgers are."""
    total = psutil.virtual_memory().total / 1e9
    return {
        "machine": ", ".join([*describe_machine().splitlines(), f"{total:.0f} GB", _cpu_model(), _load()]),
        "relay": _commit(),
        "versions": ", ".join(f"{package} {version(package)}" for package in _PACKAGES),
        "disk": f"{file_system(folder)}, {fsyncs_per_second(folder):,.0f} fsyncs/s of one 4 KiB page",
        "SQLite": f"{sqlite3.sqlite_version}, {_sqlite_durability(folder)}",
        "requests": "keep-alive, no pipelining: a connection sends its next request after the response",
    }


def postgres_facts(url: str) -> dict[str, str]:
    """Return the durability of a ledger on PostgreSQL, asked over a connection as the relay opens it."""
    engine = open_engine(url)
    names = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "data_directory")
    with transaction(engine, read_only=True) as connection:
        values: list[Any] = [connection.execute(text(f"SHOW {name}")).scalar_one() for name in names]
    engine.dispose()
    server, *settings, folder = values
    shown = ", ".join(f"{name} = {value}" for name, value in zip(names[1:-1], settings, strict=True))
    return {"PostgreSQL": f"{server}, {shown}, {file_system(Path(folder))}"}


def file_system(folder: Path) -> str:
    """Return the type of the file system that contains this folder, as `ext4`."""
    resolved = folder.resolve()
    mounts = [part for part in psutil.disk_partitions(all=True) if resolved.is_relative_to(part.mountpoint)]
    # Of two mounts at one place the later one is visible.
    return str(max(enumerate(mounts), key=lambda each: (len(each[1].mountpoint), each[0]))[1].fstype)


def fsyncs_per_second(folder: Path) -> float:
    """Append a page to a file and sync it, again and again for half a second."""
    with tempfile.TemporaryFile(dir=folder) as file:
        count, begin = 0, time.perf_counter()
        while time.perf_counter() < begin + _FSYNC_SECONDS:
            file.write(_PAGE)
            file.flush()
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.perf_counter() - begin)


def _sqlite_durability(folder: Path) -> str:
    """Ask a connection as the relay opens it."""
    with tempfile.TemporaryDirectory(dir=folder) as ledger:
        engine = open_engine(f"sqlite:///{ledger}/relay.db")
        with transaction(engine, read_only=True) as connection:
            values = [
                connection.execute(text(f"PRAGMA {name}")).scalar_one()
                for name in ("synchronous", "journal_mode")
            ]
        engine.dispose()
    return f"synchronous = {_SYNCHRONOUS[values[0]]}, journal_mode = {values[1]}"


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f} at the start"


def _commit() -> str:
    """Return the version and the commit of the relay; a `+` if files were changed since."""
    command = ("git", "describe", "--always", "--exclude=*", "--dirty=+")
    folder = Path(__file__).parent
    try:
        commit = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout  # noqa: S603 - fixed
    except (OSError, subprocess.CalledProcessError):  # there is no Git, or this is no checkout
        return __version__
    return f"{__version__}, commit {commit.strip()}"


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _has_bytecode(package: str) -> bool:
    """Whether the interpreter has bytecode of this package. SQLAlchemy is the largest import of a start."""
    spec = find_spec(package)
    return spec is not None and spec.cached is not None and Path(spec.cached).exists()
