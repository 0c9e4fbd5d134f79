"""A process learns at once what another one wrote, or by polling behind a pooler."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from relay.ledger import Ledger, destinations, journal, notifications
from relay.ledger.connection import Connection
from relay.ledger.journal import appending
from relay.ledger.notifications import NotificationListener, WakeUpPipe
from relay.standards.wake_up import WakeUp
from tests.support.postgres import Databases
from tests.support.samples import make_event_row


class WakeUps:
    """Lets a test wait for the next wake-up."""

    def __init__(self) -> None:
        self.event = WakeUp()

    async def has_next(self, seconds: float = 2.0) -> bool:
        """Whether there is a wake-up within this time."""
        await self.event.wait(seconds)
        was_set = self.event.is_set()
        self.event.clear()
        return was_set


@asynccontextmanager
async def listening(ledger: Ledger, **intervals: float) -> AsyncIterator[WakeUps]:
    """Listen to the ledger, after the first wake-up, which is for what was written before."""
    wake_ups = WakeUps()
    task = asyncio.create_task(NotificationListener(ledger, wake_ups.event.set, **intervals).run())
    try:
        assert await wake_ups.has_next()
        yield wake_ups
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def other(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ledger]:
    """The same ledger, opened by another process."""
    notifications._sender.cache_clear()
    # The sender is a process, and this test runs in one only.
    monkeypatch.setattr(notifications, "notify", _notify_as_another_process)
    monkeypatch.setattr(appending, "notify", _notify_as_another_process)
    opened = Ledger(url)
    yield opened
    await opened.close()


def _notify_as_another_process(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        parameters = {"channel": notifications.CHANNEL, "sender": "another/1/1"}
        connection.execute(notifications._notify, parameters)


async def append(ledger: Ledger) -> None:
    await ledger.write(lambda c: journal.append(c, [make_event_row()]))


async def test_a_write_of_another_process_wakes_at_once(ledger: Ledger, other: Ledger) -> None:
    async with listening(ledger) as wake_ups:
        await append(other)
        assert await wake_ups.has_next(0.5)


def test_listening_does_not_create_a_missing_ledger(tmp_path: Path) -> None:
    async def listen_for_a_moment() -> None:
        ledger = Ledger(f"sqlite:///{tmp_path / 'missing.db'}")
        task = asyncio.create_task(NotificationListener(ledger, lambda: None, retry_seconds=0.01).run())
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await ledger.close()

    asyncio.run(listen_for_a_moment())
    assert list(tmp_path.iterdir()) == []


async def test_a_transaction_that_is_rolled_back_does_not_wake(ledger: Ledger, other: Ledger) -> None:
    def fail(connection: Connection) -> None:
        journal.append(connection, [make_event_row()])
        raise ValueError

    async with listening(ledger, check_seconds=0.01) as wake_ups:
        with pytest.raises(ValueError):  # noqa: PT011 - raised by the test itself
            await other.write(fail)
        assert not await wake_ups.has_next(0.3)


async def test_there_is_no_wake_up_while_nothing_is_written(ledger: Ledger) -> None:
    async with listening(ledger, check_seconds=0.01) as wake_ups:
        assert not await wake_ups.has_next(0.3)


async def test_writes_of_this_process_do_not_wake(ledger: Ledger) -> None:
    async with listening(ledger) as wake_ups:
        for _ in range(5):
            await append(ledger)
            await asyncio.sleep(0.04)
        assert not await wake_ups.has_next(0.3)


# --- the pipe between the processes of one relay --------------------------------------------------


@asynccontextmanager
async def listening_to(pipe: WakeUpPipe) -> AsyncIterator[WakeUps]:
    wake_ups = WakeUps()
    task = asyncio.create_task(pipe.listen(wake_ups.event.set))
    try:
        yield wake_ups
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_process_that_listens_to_the_pipe_is_woken() -> None:
    pipe = WakeUpPipe()
    pipe.wake()  # before anybody listens, as during the start of the other process
    async with listening_to(pipe) as wake_ups:
        assert await wake_ups.has_next()
        assert not await wake_ups.has_next(0.05)
        pipe.wake()
        pipe.wake()
        assert await wake_ups.has_next()
        assert not await wake_ups.has_next(0.05)


async def test_a_full_pipe_does_not_stop_the_process_that_writes() -> None:
    pipe = WakeUpPipe()
    for _ in range(100_000):  # more than a pipe holds
        pipe.wake()
    async with listening_to(pipe) as wake_ups:
        assert await wake_ups.has_next()


async def test_the_end_of_listening_leaves_the_pipe_to_the_next_one() -> None:
    pipe = WakeUpPipe()
    async with listening_to(pipe):
        await asyncio.sleep(0)
    pipe.wake()
    async with listening_to(pipe) as wake_ups:
        assert await wake_ups.has_next()


# --- PostgreSQL only ------------------------------------------------------------------------------


@pytest.fixture
async def on_postgres(databases: Databases) -> AsyncIterator[Ledger]:
    with databases.fresh() as url:
        ledger = Ledger(url)
        await ledger.open()
        yield ledger
        await ledger.close()


async def test_a_process_ignores_its_own_notifications(on_postgres: Ledger) -> None:
    async with listening(on_postgres) as wake_ups:
        await append(on_postgres)
        assert not await wake_ups.has_next(0.3)


async def test_a_lost_connection_is_opened_again_and_wakes_for_what_was_missed(
    on_postgres: Ledger, databases: Databases
) -> None:
    async with listening(on_postgres, retry_seconds=0.01) as wake_ups:
        databases.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        assert await wake_ups.has_next()


async def test_behind_a_pooler_the_listener_polls_and_logs_it_once(
    on_postgres: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As behind a pooler: the session that answers is not the one that connected.
    monkeypatch.setattr("relay.ledger.postgres._BACKEND_PID", "SELECT 0")
    with capture_logs() as logs:
        async with listening(on_postgres, poll_seconds=0.01) as wake_ups:
            for _ in range(3):
                assert await wake_ups.has_next()
    assert [line["event"] for line in logs] == ["ledger.polling"]
    assert "pooler" in logs[0]["reason"]


async def test_behind_a_pooler_each_transaction_has_its_own_settings(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.ledger.postgres._BACKEND_PID", "SELECT 0")
    with databases.fresh("template0") as url:
        ledger = Ledger(url)
        await ledger.open()
        await ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
        assert len(await ledger.read(destinations.list_all)) == 1
        await ledger.close()
