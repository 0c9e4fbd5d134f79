"""The database goes away for a while: nobody is told that an event is kept that is not, and nobody has
to restart anything.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from crm_clients.local import LocalSettings
from relay.app import Relay
from relay.ledger import Ledger, calls, journal
from relay.ledger.group_commit import GroupCommit
from relay.settings import Settings
from tests.support.in_process import in_process_relay, settings_in
from tests.support.postgres import Postgres, running_server
from tests.support.relay import WEBHOOK_PATH, crm_rows
from tests.support.samples import make_event_row


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server of these tests' own: they stop it."""
    with running_server() as server:
        yield server


@pytest.fixture
async def fresh(server: Postgres) -> Postgres:
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS cloudtalk_relay CASCADE")
    return server


@pytest.fixture
def settings(fresh: Postgres, tmp_path: Path) -> Settings:
    crm = LocalSettings(client="local", path=tmp_path / "crm.db")
    return settings_in(tmp_path, ledger={"url": fresh.dsn}, destinations={"crm": crm})


@pytest.fixture
async def parts(settings: Settings) -> AsyncIterator[tuple[Relay, httpx.AsyncClient]]:
    async with in_process_relay(settings) as parts:
        yield parts


async def post(client: httpx.AsyncClient, call: str) -> httpx.Response:
    return await client.post(WEBHOOK_PATH, json={"event": "call.started", "data": {"id": call}})


async def brought(folder: Path, *ids: str) -> None:
    """Wait until the CRM has these calls."""
    async with asyncio.timeout(20):
        while not {f"cloudtalk-{call}" for call in ids} <= crm_rows(folder / "crm.db").keys():
            await asyncio.sleep(0.05)


async def test_a_restart_within_the_hold_is_not_noticed(
    server: Postgres, parts: tuple[Relay, httpx.AsyncClient], tmp_path: Path
) -> None:
    _, client = parts
    assert (await post(client, "before")).status_code == 200
    await asyncio.to_thread(server.stop, signal.SIGQUIT)
    waiting = asyncio.create_task(post(client, "meanwhile"))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await asyncio.to_thread(server.start)
    assert (await waiting).status_code == 200
    await brought(tmp_path, "before", "meanwhile")


async def test_after_the_hold_requests_are_told_and_all_goes_on_without_a_restart(
    server: Postgres,
    parts: tuple[Relay, httpx.AsyncClient],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    relay, client = parts
    monkeypatch.setattr(relay.group_commit, "_hold_seconds", 0.3)
    await asyncio.to_thread(server.stop, signal.SIGQUIT)
    try:
        refused = await asyncio.gather(*(post(client, f"refused-{n}") for n in range(5)))
        ready = await client.get("/readyz")
    finally:
        await asyncio.to_thread(server.start)
    assert {(answer.status_code, answer.headers["Retry-After"]) for answer in refused} == {(503, "5")}
    assert ready.status_code == 503
    assert (await post(client, "after")).status_code == 200
    await brought(tmp_path, "after")
    assert not any("refused" in call for call in crm_rows(tmp_path / "crm.db"))


async def test_a_database_that_hangs_is_cut_off_and_used_again_once_it_answers(
    server: Postgres,
    parts: tuple[Relay, httpx.AsyncClient],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    relay, client = parts
    monkeypatch.setattr(relay.group_commit, "_hold_seconds", 0.1)
    monkeypatch.setattr(relay.ledger._writer, "_seconds", 0.5)
    assert (await post(client, "before")).status_code == 200
    with server.frozen():
        started = time.monotonic()
        refused = await asyncio.gather(*(post(client, str(n)) for n in range(3)))
        assert time.monotonic() - started < 4
    assert {answer.status_code for answer in refused} == {503}
    monkeypatch.setattr(relay.ledger._writer, "_seconds", 6.0)
    assert (await post(client, "after")).status_code == 200
    await brought(tmp_path, "before", "after")


async def test_a_relay_stops_although_its_database_hangs(
    server: Postgres, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.ledger.executor._FINISH_SECONDS", 0.2)
    ledger = Ledger(settings.ledger.url.get_secret_value())
    await ledger.open()
    with server.frozen():
        hanging = asyncio.create_task(ledger.check_writable())
        await asyncio.sleep(0.1)
        async with asyncio.timeout(5):
            await ledger.close()
        with pytest.raises(Exception, match="cannot be used"):
            await hanging


async def test_a_poisoned_group_in_an_outage_is_held_once_and_not_each_of_its_events(
    fresh: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(fresh.dsn)
    await ledger.open()
    group = GroupCommit(ledger, on_append=lambda: None, hold_seconds=0.4)
    rows = [make_event_row(at=n) for n in range(40)] + [make_event_row(at=99, content_type=None)]
    write = ledger.write

    async def poisoned_then_gone(work: Any) -> Any:
        try:
            return await write(work)
        finally:
            monkeypatch.setattr(ledger, "write", write)
            await asyncio.to_thread(fresh.stop, signal.SIGQUIT)

    monkeypatch.setattr(ledger, "write", poisoned_then_gone)
    started = time.monotonic()
    task = asyncio.create_task(group.run())
    try:
        answers = await asyncio.gather(*(group.append([row]) for row in rows), return_exceptions=True)
        assert time.monotonic() - started < 5
    finally:
        task.cancel()
        await asyncio.to_thread(fresh.start)
    assert {type(answer).__name__ for answer in answers} == {"LedgerUnavailable"}
    await ledger.close()


async def test_a_commit_whose_answer_was_lost_makes_no_second_call(
    parts: tuple[Relay, httpx.AsyncClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, client = parts
    _lose_one_answer(relay.ledger, monkeypatch)
    assert (await post(client, "twice")).status_code == 200
    await brought(tmp_path, "twice")
    assert (await relay.ledger.read(journal.count))[0] == 2
    assert await relay.ledger.read(calls.count) == 1
    assert crm_rows(tmp_path / "crm.db")["cloudtalk-twice"]["version"] == 1


def _lose_one_answer(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next commit of an event goes through, and the connection dies before it is said."""
    dialect = ledger._engine.dialect
    lost: list[int] = []
    commit = dialect.do_commit

    def losing(connection: Any) -> None:
        # Others commit too: the one that brings the event sees what nobody else does.
        with psycopg.connect(ledger.url) as other:
            before = _events(other.cursor())
        appends = _events(connection.cursor()) > before
        commit(connection)
        if appends and not lost:
            lost.append(1)
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(dialect, "do_commit", losing)


def _events(cursor: Any) -> int:
    cursor.execute("SELECT count(*) FROM cloudtalk_relay.events")
    return int(cursor.fetchone()[0])
