"""PostgreSQL: several hosts at once, the settings of a connection, and what errors must not quote."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from relay.fold import FoldOptions, FoldWorker
from relay.instants import Duration, Instant, duration
from relay.ledger import (
    HEAD,
    LeaseLost,
    Ledger,
    LedgerError,
    LedgerUnavailable,
    SchemaError,
    calls,
    deliveries,
    destinations,
    journal,
    leases,
    postgres,
    warnings,
)
from relay.ledger.connection import Connection, connect
from relay.ledger.engine import _prepare, _run_migrations, begin, migrate, open_engine, transaction
from relay.ledger.postgres import listen
from relay.ledger.states import DeliveryState
from relay.ledger.tables import calls as call_table
from relay.ledger.tables import events
from relay.ledger.tables import leases as lease_table
from relay.ledger.write_check import check_writable
from tests.support.patience import PATIENCE
from tests.support.postgres import Databases
from tests.support.samples import make_call_row, make_event, make_event_row

LENGTH = duration(15)


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    with databases.fresh() as url:
        yield url


@pytest.fixture
def empty(databases: Databases) -> Iterator[str]:
    with databases.fresh("template0") as url:
        yield url


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    ledger = Ledger(url)
    await ledger.open()
    yield ledger
    await ledger.close()


@pytest.fixture
async def other(url: str) -> AsyncIterator[Ledger]:
    """The same ledger, opened by a relay on another host."""
    ledger = Ledger(url)
    ledger.owner = "another-host@0.0/1/1"
    yield ledger
    await ledger.close()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """The same database, for transactions that the test keeps open."""
    engine = open_engine(url)
    yield engine
    engine.dispose()


async def start_fold(ledger: Ledger) -> FoldWorker:
    options = FoldOptions(grace=Duration(0))
    fold = FoldWorker(ledger, options=options, has_backlog=lambda: False, on_enqueue=lambda: None)
    await fold.lease.acquire()
    return fold


async def event_states(ledger: Ledger) -> dict[int, str]:
    return await ledger.read(lambda c: {row.seq: row.state for row in c.execute(select(events))})


# --- concurrent transactions ----------------------------------------------------------------------


async def test_an_event_with_a_smaller_number_and_a_later_commit_is_folded(
    ledger: Ledger, engine: Engine
) -> None:
    fold = await start_fold(ledger)
    with transaction(engine) as slow:
        (first,) = journal.append(slow, [make_event_row(parsed=make_event(name="a"))])
        (second,) = await ledger.write(
            lambda c: journal.append(c, [make_event_row(parsed=make_event(name="b"))])
        )
        assert first < second
        assert await fold.fold_batch() == 1
    assert await fold.fold_batch() == 1
    assert await event_states(ledger) == {first: "folded", second: "folded"}


async def test_a_delivery_that_gets_a_newer_version_while_it_is_settled_stays_pending(
    ledger: Ledger, engine: Engine
) -> None:
    call = make_call_row("a")
    await ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
    await ledger.write(lambda c: calls.write(c, [call], []))
    await ledger.write(lambda c: deliveries.enqueue(c, [("a", 1)], now=Instant(1)))
    update = deliveries.DeliveryUpdate(
        "a",
        1,
        DeliveryState.DELIVERED,
        1,
        Instant(2),
        1,
        Instant(2),
        Duration(0),
        "r",
        "delivered",
        None,
        None,
    )
    with transaction(engine) as folding:
        deliveries.enqueue(folding, [("a", 2)], now=Instant(2))
        settling = asyncio.create_task(
            ledger.write(lambda c: deliveries.settle(c, "crm", [update], now=Instant(3)))
        )
        await asyncio.sleep(0.1)
        assert not settling.done()
    await settling
    (row,) = await ledger.read(lambda c: deliveries.list_for_call(c, "a"))
    assert (row.state, row.version, row.delivered_version) == ("pending", 2, 1)


async def test_a_transaction_that_is_rolled_back_for_a_deadlock_runs_again(
    ledger: Ledger, engine: Engine
) -> None:
    await ledger.write(lambda c: calls.write(c, [make_call_row("a"), make_call_row("b")], []))

    def lock(connection: Any, call: str) -> None:
        connection.execute(select(call_table.c.id).where(call_table.c.id == call).with_for_update())

    tries: list[int] = []
    has_b = threading.Event()

    def lock_b_then_a(connection: Any) -> None:
        time.sleep(0.3 * len(tries))  # by then the other transaction has both locks
        tries.append(1)
        lock(connection, "b")
        has_b.set()
        lock(connection, "a")

    def lock_a_then_b() -> None:
        with engine.begin() as connection:
            connection.execute(
                text("SET LOCAL deadlock_timeout = '10s'")
            )  # so that the other one is rolled back
            lock(connection, "a")
            has_b.wait(PATIENCE)
            lock(connection, "b")

    other = asyncio.create_task(asyncio.to_thread(lock_a_then_b))
    await asyncio.sleep(0.1)
    await asyncio.gather(ledger.write(lock_b_then_a), other)
    assert len(tries) > 1


async def test_of_several_relays_that_start_together_one_migrates_and_all_succeed(empty: str) -> None:
    ledgers = [Ledger(empty) for _ in range(4)]
    found = await asyncio.gather(*(ledger.open() for ledger in ledgers))
    assert sorted(found, key=str) == [*[(HEAD, HEAD)] * 3, (None, HEAD)]
    clients = {"crm": "local", "other": "local"}
    await asyncio.gather(*(o.write(lambda c: destinations.register(c, clients)) for o in ledgers))
    await asyncio.gather(
        *(o.write(lambda c: warnings.record(c, "x", Instant(1), "message")) for o in ledgers)
    )
    tokens = await asyncio.gather(
        *(
            ledger.write(
                partial(leases.acquire, name="fold", owner=f"h/{n}/1", now=Instant(1), length=LENGTH)
            )
            for n, ledger in enumerate(ledgers)
        )
    )
    assert sorted(tokens, key=str) == [1, None, None, None]
    for ledger in ledgers:
        await ledger.close()


# --- a process that stops -------------------------------------------------------------------------


async def test_a_fold_that_lost_its_lease_while_it_was_stopped_writes_nothing(
    ledger: Ledger, other: Ledger
) -> None:
    stopped = await start_fold(ledger)
    await ledger.write(lambda c: journal.append(c, [make_event_row()]))
    planned = await ledger.read(lambda c: journal.list_unfolded(c, 10, now=Instant(0), grace=Duration(0)))
    # As if the process had been stopped for longer than the lease is valid.
    await ledger.write(lambda c: c.execute(lease_table.update().values(expires_at=other.now() - 1)))
    taken_over = await start_fold(other)
    assert await taken_over.fold_batch() == len(planned.events)
    await ledger.write(lambda c: journal.append(c, [make_event_row(at=1)]))
    with pytest.raises(LeaseLost):
        await stopped.fold_batch()
    assert await taken_over.fold_batch() == 1


async def test_a_lease_passes_to_another_process_only_between_transactions_of_its_holder(
    ledger: Ledger, other: Ledger
) -> None:
    await ledger.write(lambda c: leases.acquire(c, "fold", "a/1/1", now=Instant(1), length=LENGTH))
    checked, ends = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        leases.check(connection, "fold", 1, now=Instant(1), length=LENGTH)
        checked.set()
        ends.wait(PATIENCE)

    def take(connection: Connection) -> bool:
        leases.acquire(connection, "fold", "b/2/2", now=Instant(1), length=LENGTH, force=True)
        return ends.is_set()

    holding = asyncio.create_task(ledger.write(hold))
    await asyncio.to_thread(checked.wait, PATIENCE)
    taking = asyncio.create_task(other.write(take))
    done, _ = await asyncio.wait([taking], timeout=0.2)
    ends.set()
    await holding
    assert (done, await taking) == (set(), True)


async def test_a_process_that_stops_in_a_transaction_blocks_others_only_briefly(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = postgres._SET_FOR_SESSION.replace(
        "'idle_in_transaction_session_timeout', '10s'", "'idle_in_transaction_session_timeout', '200ms'"
    )
    monkeypatch.setattr(postgres, "_SET_FOR_SESSION", short)
    ledger, stopped = Ledger(url), open_engine(url)
    await ledger.write(lambda c: leases.acquire(c, "fold", "a/1/1", now=Instant(1), length=LENGTH))
    with connect(stopped) as connection:
        begin(connection, read_only=False)
        leases.check(connection, "fold", 1, now=Instant(2), length=LENGTH)
        # Without the limit it would wait for the lock until `lock_timeout`, and fail.
        await ledger.write(lambda c: leases.check(c, "fold", 1, now=Instant(3), length=LENGTH))
        with pytest.raises(DBAPIError, match="idle") as error:
            connection.execute(text("SELECT 1"))
        assert error.value.connection_invalidated
    stopped.dispose()
    await ledger.close()


# --- the settings of a connection -----------------------------------------------------------------


def test_every_connection_has_the_settings_of_the_relay(engine: Engine) -> None:
    names = ("synchronous_commit", "lock_timeout", "statement_timeout", "search_path")
    with ExitStack() as stack:
        connections = [stack.enter_context(engine.connect()) for _ in range(3)]
        values = {tuple(c.execute(text(f"SHOW {name}")).scalar() for name in names) for c in connections}
    assert values == {("on", "5s", "30s", "cloudtalk_relay")}


async def test_the_right_to_create_schemas_is_needed_only_if_the_schema_is_missing(
    empty: str, databases: Databases
) -> None:
    databases.execute("DROP ROLE IF EXISTS restricted")
    databases.execute("CREATE ROLE restricted LOGIN")
    restricted = empty.replace("postgres:@", "restricted:@")
    ledger = Ledger(restricted)
    with pytest.raises(LedgerError, match="permission denied"):
        await ledger.open()
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA cloudtalk_relay AUTHORIZATION restricted")
    assert await ledger.open() == (None, HEAD)
    await ledger.close()


async def test_a_database_that_cannot_store_every_name_is_an_error(databases: Databases) -> None:
    databases.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    ledger = Ledger(databases.url_of("latin"))
    with pytest.raises(LedgerError, match="has the encoding LATIN1"):
        await ledger.open()
    await ledger.close()
    databases.execute("DROP DATABASE latin")


def test_a_failed_migration_changes_nothing(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_engine(empty)
    migrate(engine)
    monkeypatch.setattr("relay.ledger.engine.HEAD", "9999")
    monkeypatch.setattr("alembic.command.upgrade", _fail_half_way)
    with pytest.raises(SchemaError, match=f"could not be migrated from schema {HEAD} to 9999"):
        migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT to_regclass('half')")).scalar() is None
    engine.dispose()


def test_a_new_database_is_as_the_migrations_create_it(databases: Databases) -> None:
    with databases.fresh("template0") as created, databases.fresh("template0") as migrated:
        for url in (created, migrated):
            engine = open_engine(url)
            if url == migrated:
                with engine.begin() as connection:
                    _prepare(Connection(connection.connection.driver_connection, engine.dialect))
                    _run_migrations(connection, engine.url, None)
            else:
                migrate(engine)
            engine.dispose()
        assert _schema_of(created) == _schema_of(migrated)
        assert len(_schema_of(created)) > 100


def _schema_of(url: str) -> list[tuple[Any, ...]]:
    """The columns, indexes and constraints, and the version."""
    with psycopg.connect(url) as connection:
        return [
            row
            for query in (
                (
                    "SELECT table_name, ordinal_position, column_name, data_type, is_nullable,"
                    " column_default, collation_name, character_maximum_length"
                    " FROM information_schema.columns WHERE table_schema = 'cloudtalk_relay' ORDER BY 1, 2"
                ),
                "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'cloudtalk_relay' ORDER BY 1",
                (
                    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
                    " WHERE connamespace = 'cloudtalk_relay'::regnamespace ORDER BY 1"
                ),
                "SELECT version_num FROM cloudtalk_relay.alembic_version",
            )
            for row in connection.execute(query)
        ]


def _fail_half_way(config: Any, _: str) -> None:
    config.attributes["connection"].execute(text("CREATE TABLE half (id int)"))
    raise ValueError("no space")


# --- error messages -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["postgresql://relay:hush@127.0.0.1:1/relay", "postgresql://relay:hush@[::1]:1/relay"]
)
async def test_a_server_that_does_not_run_is_unavailable_and_the_error_has_no_password(url: str) -> None:
    ledger = Ledger(url)
    with pytest.raises(LedgerUnavailable, match="connection failed") as raised:
        await ledger.open()
    assert "hush" not in str(raised.value)
    assert ":1/relay cannot be used" in str(raised.value)
    await ledger.close()


def test_the_error_of_an_invalid_url_does_not_quote_it() -> None:
    with pytest.raises(LedgerError) as raised:
        Ledger("postgresql://relay:hu%sh@db/relay")
    assert "hu" not in str(raised.value)


async def test_a_missing_table_means_that_the_ledger_is_unavailable(ledger: Ledger, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE cloudtalk_relay.events RENAME TO gone")
    with pytest.raises(LedgerUnavailable, match="does not exist"):
        await ledger.write(lambda c: journal.append(c, [make_event_row()]))


# --- text -----------------------------------------------------------------------------------------


async def test_a_database_that_was_dropped_and_created_again_takes_nothing_until_a_restart(
    ledger: Ledger, url: str, databases: Databases
) -> None:
    name = make_url(url).database
    databases.execute(f"DROP DATABASE {name} WITH (FORCE)")
    with pytest.raises(LedgerUnavailable, match=f'database "{name}" does not exist'):
        await check_writable(ledger)
    databases.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    with pytest.raises(LedgerUnavailable, match="restart the relay to create empty tables"):
        await check_writable(ledger)
    with pytest.raises(LedgerUnavailable, match="does not exist"):
        await ledger.write(lambda c: journal.append(c, [make_event_row()]))
    await ledger.open()  # what a restart does
    await check_writable(ledger)


async def test_a_null_character_is_stored_as_a_replacement_character(ledger: Ledger) -> None:
    await ledger.write(lambda c: journal.append(c, [make_event_row(path="/hook/\0x\\u0000")]))
    (path,) = await ledger.read(lambda c: c.execute(select(events.c.path)).scalars())
    assert path == "/hook/\ufffdx\\u0000"


# --- time -----------------------------------------------------------------------------------------


async def test_the_time_is_that_of_the_database_whatever_the_clock_of_this_machine(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = time.time_ns() // 1_000
    monkeypatch.setattr("relay.ledger.clocks.wall_clock", lambda: true + 3_600_000_000)
    ledger = Ledger(url)
    await ledger.open()
    assert abs(ledger.now() - true) < 5_000_000
    await ledger.close()


# --- a pooler whose database is down ---------------------------------------------------------------


def _message(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return kind + (len(body) + 4).to_bytes(4, "big") + body


_STATUS = {
    "server_version": "16.0",
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "in_hot_standby": "off",
    "default_transaction_read_only": "off",
}
_GREETING = b"".join(
    [
        _message(b"R", bytes(4)),
        *(_message(b"S", f"{name}\0{value}\0".encode()) for name, value in _STATUS.items()),
        _message(b"K", bytes(8)),
        _message(b"Z", b"I"),
    ]
)


@pytest.fixture
def silent_pooler(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a server that accepts connections and answers no query."""
    monkeypatch.setattr("relay.ledger.postgres._SET_UP_SECONDS", 0.2)
    connections: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                line, _ = listening.accept()
                connections.append(line)
                line.recv(4096)
                line.sendall(_GREETING)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        port = listening.getsockname()[1]
        yield f"postgresql://relay@127.0.0.1:{port}/relay?sslmode=disable&gssencmode=disable"
        listening.shutdown(socket.SHUT_RDWR)
    for line in connections:
        line.close()


async def test_a_pooler_that_never_answers_is_unavailable(silent_pooler: str) -> None:
    ledger = Ledger(silent_pooler)
    async with asyncio.timeout(PATIENCE):
        for _ in range(2):
            with pytest.raises(LedgerUnavailable):
                await check_writable(ledger)
        await ledger.close()


async def test_listening_to_a_pooler_that_never_answers_fails(silent_pooler: str) -> None:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(LedgerUnavailable):
            await anext(listen(silent_pooler, "channel"))


async def test_work_that_timed_out_before_it_had_a_connection_is_not_done_later(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(url)
    connect = psycopg.connect
    done = []

    def late(address: str) -> Any:
        time.sleep(0.3)
        return connect(address)

    monkeypatch.setattr("relay.ledger.postgres.psycopg.connect", late)
    monkeypatch.setattr(ledger._writer, "_seconds", 0.1)
    with pytest.raises(LedgerUnavailable):
        await ledger.write(lambda _: done.append(1))
    await ledger.close()
    assert done == []
