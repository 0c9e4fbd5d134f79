"""A process learns at once what another one wrote, and by polling where nothing can be heard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from relay.ledger import Ledger, destinations, journal, notifications
from relay.ledger.notifications import NotificationListener
from tests.support.postgres import Databases
from tests.support.samples import make_event_row


class Ear:
    """Counts how often it was woken."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()

    async def hears(self, seconds: float = 2.0) -> bool:
        """Whether it is woken within this time."""
        try:
            async with asyncio.timeout(seconds):
                await self.woken.wait()
        except TimeoutError:
            return False
        self.woken.clear()
        return True


@asynccontextmanager
async def listening(ledger: Ledger, **intervals: float) -> AsyncIterator[Ear]:
    """Someone who listens, and was woken for what it missed before."""
    ear = Ear()
    task = asyncio.create_task(NotificationListener(ledger, ear.woken.set, **intervals).run())
    try:
        assert await ear.hears()
        yield ear
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def other(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ledger]:
    """The same ledger, as another process has it."""
    notifications._sender.cache_clear()
    # Who tells is the process; a test is one only.
    monkeypatch.setattr(notifications, "notify", _tell_as_another)
    monkeypatch.setattr(journal, "notify", _tell_as_another)
    opened = Ledger(url)
    yield opened
    await opened.close()


def _tell_as_another(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(notifications._notify, {"channel": notifications.CHANNEL, "sender": "another/1/1"})


async def append(ledger: Ledger) -> None:
    await ledger.write(lambda c: journal.append(c, [make_event_row()]))


async def test_what_another_process_appends_is_heard_at_once(ledger: Ledger, other: Ledger) -> None:
    async with listening(ledger) as ear:
        await append(other)
        assert await ear.hears(0.5)


async def test_what_is_undone_is_not_heard(ledger: Ledger, other: Ledger) -> None:
    def fail(connection: Connection) -> None:
        journal.append(connection, [make_event_row()])
        raise ValueError

    async with listening(ledger) as ear:
        with pytest.raises(ValueError):  # noqa: PT011 - the work's own
            await other.write(fail)
        assert not await ear.hears(0.3)


async def test_nothing_is_heard_while_nothing_is_written(ledger: Ledger) -> None:
    async with listening(ledger) as ear:
        assert not await ear.hears(0.3)


async def test_what_this_process_writes_is_not_heard(ledger: Ledger) -> None:
    async with listening(ledger) as ear:
        for _ in range(5):
            await append(ledger)
            await asyncio.sleep(0.04)
        assert not await ear.hears(0.3)


# --- PostgreSQL alone -----------------------------------------------------------------------------


@pytest.fixture
async def on_postgres(databases: Databases) -> AsyncIterator[Ledger]:
    with databases.fresh() as url:
        ledger = Ledger(url)
        await ledger.open()
        yield ledger
        await ledger.close()


async def test_a_process_does_not_hear_itself(on_postgres: Ledger) -> None:
    async with listening(on_postgres) as ear:
        await append(on_postgres)
        assert not await ear.hears(0.3)


async def test_a_connection_that_is_lost_is_made_anew_and_what_was_missed_is_woken_for(
    on_postgres: Ledger, databases: Databases
) -> None:
    async with listening(on_postgres, retry_seconds=0.01) as ear:
        databases.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        assert await ear.hears()


async def test_behind_a_pooler_the_ledger_is_polled_and_it_is_said_once(
    on_postgres: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a pooler does: the session that answers is not the one that greeted.
    monkeypatch.setattr("relay.ledger.postgres._BACKEND_PID", "SELECT 0")
    with capture_logs() as logs:
        async with listening(on_postgres, poll_seconds=0.01) as ear:
            for _ in range(3):
                assert await ear.hears()
    assert [line["event"] for line in logs] == ["ledger.polling"]
    assert "pooler" in logs[0]["reason"]


async def test_behind_a_pooler_each_transaction_is_set_up_by_itself(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.ledger.postgres._BACKEND_PID", "SELECT 0")
    with databases.fresh("template0") as url:
        ledger = Ledger(url)
        await ledger.open()
        await ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
        assert len(await ledger.read(destinations.list_all)) == 1
        await ledger.close()
