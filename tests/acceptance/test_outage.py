"""The ledger's database stops or hangs: no event is acknowledged without being stored, and the relay
continues by itself.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from crm_clients.local import LocalSettings
from relay.app import Relay
from relay.ledger import LeaseLost, Ledger, LedgerError, LedgerUnavailable, calls, journal
from relay.ledger.connection import Connection
from relay.ledger.errors import LedgerTimeout
from relay.ledger.group_commit import GroupCommit
from relay.ledger.write_check import check_writable
from relay.settings import Settings
from relay.standards.worker_thread import busy_threads
from tests.support.in_process import in_process_relay, ingest_of, settings_in
from tests.support.patience import PATIENCE
from tests.support.postgres import Postgres, running_postgres
from tests.support.relay import WEBHOOK_PATH, crm_rows
from tests.support.samples import make_event_row


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server for these tests only, because they stop it."""
    with running_postgres() as server:
        yield server


@pytest.fixture
async def empty_server(server: Postgres) -> Postgres:
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS cloudtalk_relay CASCADE")
    return server


@pytest.fixture
def settings(empty_server: Postgres, tmp_path: Path) -> Settings:
    crm = LocalSettings(client="local", path=tmp_path / "crm.db")
    return settings_in(tmp_path, ledger={"url": empty_server.dsn}, destinations={"crm": crm})


@pytest.fixture
async def running(settings: Settings) -> AsyncIterator[tuple[Relay, httpx.AsyncClient]]:
    async with in_process_relay(settings) as relay_and_client:
        yield relay_and_client


async def post(client: httpx.AsyncClient, call: str) -> httpx.Response:
    return await client.post(WEBHOOK_PATH, json={"event": "call.started", "data": {"id": call}})


async def wait_for_rows(folder: Path, *ids: str) -> None:
    """Wait until the CRM has these calls."""
    async with asyncio.timeout(PATIENCE):
        while not {f"cloudtalk-{call}" for call in ids} <= crm_rows(folder / "crm.db").keys():
            await asyncio.sleep(0.05)


async def test_a_restart_within_the_hold_time_delays_requests_only(
    server: Postgres,
    running: tuple[Relay, httpx.AsyncClient],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    relay, client = running
    monkeypatch.setattr(ingest_of(relay).group_commit, "_hold_seconds", 60)
    assert (await post(client, "before")).status_code == 200
    await asyncio.to_thread(server.stop, signal.SIGQUIT)
    waiting = asyncio.create_task(post(client, "meanwhile"))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await asyncio.to_thread(server.start)
    assert (await waiting).status_code == 200
    await wait_for_rows(tmp_path, "before", "meanwhile")


async def test_after_the_hold_time_requests_get_503_until_the_database_is_back(
    server: Postgres,
    running: tuple[Relay, httpx.AsyncClient],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    relay, client = running
    monkeypatch.setattr(ingest_of(relay).group_commit, "_hold_seconds", 0.3)
    await asyncio.to_thread(server.stop, signal.SIGQUIT)
    try:
        refused = await asyncio.gather(*(post(client, f"refused-{n}") for n in range(5)))
        ready = await client.get("/readyz")
    finally:
        await asyncio.to_thread(server.start)
    assert {(response.status_code, response.headers["Retry-After"]) for response in refused} == {(503, "5")}
    assert ready.status_code == 503
    assert (await post(client, "after")).status_code == 200
    await wait_for_rows(tmp_path, "after")
    assert not any("refused" in call for call in crm_rows(tmp_path / "crm.db"))


async def test_requests_get_503_while_the_database_hangs_and_200_afterwards(
    server: Postgres,
    running: tuple[Relay, httpx.AsyncClient],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    relay, client = running
    monkeypatch.setattr(ingest_of(relay).group_commit, "_hold_seconds", 0.1)
    monkeypatch.setattr(relay.ledger._writer, "_seconds", 0.5)
    assert (await post(client, "before")).status_code == 200
    with server.frozen():
        async with asyncio.timeout(15):
            refused = await asyncio.gather(*(post(client, str(n)) for n in range(3)))
    assert {response.status_code for response in refused} == {503}
    monkeypatch.setattr(relay.ledger._writer, "_seconds", 6.0)
    assert (await post(client, "after")).status_code == 200
    await wait_for_rows(tmp_path, "before", "after")


async def test_a_rollback_that_hangs_ends_with_its_time_limit(
    server: Postgres, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(settings.ledger.url.get_secret_value())
    await ledger.open()
    monkeypatch.setattr(ledger._writer, "_seconds", 0.5)
    frozen = ExitStack()

    def fail(connection: Connection) -> None:
        connection.execute(select(1))
        frozen.enter_context(server.frozen())
        raise LeaseLost("fold")

    with frozen:
        with pytest.raises(LedgerTimeout):
            await ledger.write(fail)
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(LedgerError):  # the thread is free: it waits for the server again
                await ledger.write(lambda c: c.execute(select(1)))
            while "ledger-writer" in busy_threads():
                await asyncio.sleep(0.05)
    monkeypatch.setattr(ledger._writer, "_seconds", 6.0)
    await check_writable(ledger)
    await ledger.close()


async def test_a_database_that_is_read_only_is_respected(server: Postgres, settings: Settings) -> None:
    url = settings.ledger.url.get_secret_value()
    ledger = Ledger(url)
    await ledger.open()
    await ledger.close()
    name = make_url(url).database
    with psycopg.connect(server.dsn, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
        refused = Ledger(f"{url}{'&' if '?' in url else '?'}target_session_attrs=any")
        with pytest.raises(LedgerUnavailable, match="read-only"):
            await check_writable(refused)
        admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
        await check_writable(refused)
    await refused.close()


async def test_a_relay_stops_although_its_database_hangs(
    server: Postgres, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.ledger.executor._FINISH_SECONDS", 0.2)
    ledger = Ledger(settings.ledger.url.get_secret_value())
    await ledger.open()
    with server.frozen():
        hanging = asyncio.create_task(check_writable(ledger))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(PATIENCE):
            await ledger.close()
        with pytest.raises(Exception, match="cannot be used"):
            await hanging


async def test_a_failed_group_in_an_outage_waits_once_and_not_once_per_event(
    empty_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(empty_server.dsn)
    await ledger.open()
    group = GroupCommit(ledger, on_append=lambda: None, hold_seconds=0.4)
    rows = [make_event_row(at=n) for n in range(40)] + [make_event_row(at=99, content_type=None)]
    write = ledger.write

    async def fail_and_stop_the_server(work: Any) -> Any:
        try:
            return await write(work)
        finally:
            monkeypatch.setattr(ledger, "write", write)
            await asyncio.to_thread(empty_server.stop, signal.SIGQUIT)

    monkeypatch.setattr(ledger, "write", fail_and_stop_the_server)
    task = asyncio.create_task(group.run())
    try:
        async with asyncio.timeout(12):  # once per event it would be 16 s
            results = await asyncio.gather(*(group.append([row]) for row in rows), return_exceptions=True)
    finally:
        task.cancel()
        await asyncio.to_thread(empty_server.start)
    assert {type(result).__name__ for result in results} == {"LedgerUnavailable"}
    await ledger.close()


async def test_a_commit_without_a_response_makes_no_second_call(
    running: tuple[Relay, httpx.AsyncClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, client = running
    _lose_one_commit_response(relay.ledger, monkeypatch)
    assert (await post(client, "twice")).status_code == 200
    await wait_for_rows(tmp_path, "twice")
    assert await relay.ledger.read(journal.count_accepted) == 2
    assert await relay.ledger.read(calls.count) == 1
    assert crm_rows(tmp_path / "crm.db")["cloudtalk-twice"]["version"] == 1


def _lose_one_commit_response(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next commit of an event succeed, and break the connection before its response."""
    lost: list[bool] = []
    commit = Connection.commit

    def commit_and_fail(connection: Connection) -> None:
        # Other commits pass: only the one that appends sees more events than another connection.
        with psycopg.connect(ledger.url) as other:
            before = _count_events(other.cursor())
        appends = _count_events(connection.driver.cursor()) > before
        commit(connection)
        if appends and not lost:
            lost.append(True)
            reason = psycopg.OperationalError("server closed the connection unexpectedly")
            raise OperationalError(None, None, reason)

    monkeypatch.setattr(Connection, "commit", commit_and_fail)


def _count_events(cursor: Any) -> int:
    cursor.execute("SELECT count(*) FROM cloudtalk_relay.events")
    return int(cursor.fetchone()[0])
