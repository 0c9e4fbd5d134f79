"""PostgreSQL: what several hosts do at once, what a connection is set to, and what is never told."""

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
from sqlalchemy.exc import DBAPIError

from relay.fold import FoldWorker
from relay.instants import Duration, Instant
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
from relay.ledger.engine import migrate, open_engine
from relay.ledger.postgres import listen
from relay.ledger.states import DeliveryState
from relay.ledger.tables import calls as call_table
from relay.ledger.tables import events
from relay.ledger.tables import leases as lease_table
from tests.support.postgres import Databases
from tests.support.samples import make_call_row, make_event, make_event_row

LENGTH = 15_000_000


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
    """The same ledger, as a relay on another host has it."""
    ledger = Ledger(url)
    ledger.owner = "another-host@0.0/1/1"
    yield ledger
    await ledger.close()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """The same database, for transactions that the test holds open."""
    engine = open_engine(url)
    yield engine
    engine.dispose()


async def fold_of(ledger: Ledger) -> FoldWorker:
    fold = FoldWorker(ledger, grace_seconds=0, has_backlog=lambda: False, on_enqueue=lambda: None)
    await fold.lease.acquire()
    return fold


async def states(ledger: Ledger) -> dict[int, str]:
    return await ledger.read(lambda c: {row.seq: row.state for row in c.execute(select(events))})


# --- several at once ------------------------------------------------------------------------------


async def test_an_event_whose_number_is_smaller_and_whose_commit_is_later_is_folded(
    ledger: Ledger, engine: Engine
) -> None:
    fold = await fold_of(ledger)
    with engine.begin() as slow:
        (first,) = journal.append(slow, [make_event_row(parsed=make_event(name="a"))])
        (second,) = await ledger.write(
            lambda c: journal.append(c, [make_event_row(parsed=make_event(name="b"))])
        )
        assert first < second
        assert await fold.fold_batch() == 1
    assert await fold.fold_batch() == 1
    assert await states(ledger) == {first: "folded", second: "folded"}


async def test_a_mark_that_moves_on_while_its_push_is_settled_stays_owed(
    ledger: Ledger, engine: Engine
) -> None:
    call = make_call_row("a")
    await ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
    await ledger.write(lambda c: calls.write(c, [call], []))
    await ledger.write(lambda c: deliveries.enqueue(c, [("a", 1)], now=Instant(1)))
    settled = deliveries.DeliveryUpdate(
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
    with engine.begin() as folding:
        deliveries.enqueue(folding, [("a", 2)], now=Instant(2))
        settling = asyncio.create_task(
            ledger.write(lambda c: deliveries.settle(c, "crm", [settled], now=Instant(3)))
        )
        await asyncio.sleep(0.1)
        assert not settling.done()
    await settling
    (mark,) = await ledger.read(lambda c: deliveries.list_for_call(c, "a"))
    assert (mark.state, mark.version, mark.delivered_version) == ("pending", 2, 1)


async def test_marks_that_are_settled_and_moved_on_in_opposite_orders_are_tried_again(
    ledger: Ledger, engine: Engine
) -> None:
    await ledger.write(lambda c: calls.write(c, [make_call_row("a"), make_call_row("b")], []))

    def lock(connection: Any, call: str) -> None:
        connection.execute(select(call_table.c.id).where(call_table.c.id == call).with_for_update())

    tries: list[int] = []
    ours = threading.Event()

    def both(connection: Any) -> None:
        time.sleep(0.3 * len(tries))  # the other one has what it waited for by then
        tries.append(1)
        lock(connection, "b")
        ours.set()
        lock(connection, "a")

    def theirs() -> None:
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL deadlock_timeout = '10s'"))  # it is not theirs to give way
            lock(connection, "a")
            ours.wait(5)
            lock(connection, "b")

    meeting = asyncio.create_task(asyncio.to_thread(theirs))
    await asyncio.sleep(0.1)
    await asyncio.gather(ledger.write(both), meeting)
    assert len(tries) > 1


async def test_relays_that_start_at_once_migrate_once_and_all_succeed(empty: str) -> None:
    ledgers = [Ledger(empty) for _ in range(4)]
    found = await asyncio.gather(*(ledger.open() for ledger in ledgers))
    assert sorted(found, key=str) == [*[(HEAD, HEAD)] * 3, (None, HEAD)]
    named = {"crm": "local", "other": "local"}
    await asyncio.gather(*(o.write(lambda c: destinations.register(c, named)) for o in ledgers))
    await asyncio.gather(*(o.write(lambda c: warnings.record(c, "x", Instant(1), "said")) for o in ledgers))
    taken = await asyncio.gather(
        *(
            ledger.write(
                partial(
                    leases.acquire, name="fold", owner=f"h/{n}/1", now=Instant(1), length=Duration(LENGTH)
                )
            )
            for n, ledger in enumerate(ledgers)
        )
    )
    assert sorted(taken, key=str) == [1, None, None, None]
    for ledger in ledgers:
        await ledger.close()


# --- one that stopped -----------------------------------------------------------------------------


async def test_a_fold_that_was_stopped_writes_nothing_once_another_has_taken_over(
    ledger: Ledger, other: Ledger
) -> None:
    stopped = await fold_of(ledger)
    await ledger.write(lambda c: journal.append(c, [make_event_row()]))
    planned = await ledger.read(lambda c: journal.list_unfolded(c, 10, now=Instant(0), grace=Duration(0)))
    # As if it had slept for longer than its lease is.
    await ledger.write(lambda c: c.execute(lease_table.update().values(expires_at=other.now() - 1)))
    taken_over = await fold_of(other)
    assert await taken_over.fold_batch() == len(planned)
    await ledger.write(lambda c: journal.append(c, [make_event_row(at=1)]))
    with pytest.raises(LeaseLost):
        await stopped.fold_batch()
    assert await taken_over.fold_batch() == 1


async def test_who_is_stopped_in_a_transaction_holds_up_the_others_for_a_while_only(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = postgres._SET_FOR_SESSION.replace(
        "'idle_in_transaction_session_timeout', '10s'", "'idle_in_transaction_session_timeout', '200ms'"
    )
    monkeypatch.setattr(postgres, "_SET_FOR_SESSION", short)
    ledger, stopped = Ledger(url), open_engine(url)
    await ledger.write(lambda c: leases.acquire(c, "fold", "a/1/1", now=Instant(1), length=Duration(LENGTH)))
    connection = stopped.connect()
    leases.check(connection, "fold", 1, now=Instant(2), length=Duration(LENGTH))
    started = time.monotonic()
    await ledger.write(lambda c: leases.check(c, "fold", 1, now=Instant(3), length=Duration(LENGTH)))
    assert time.monotonic() - started < 3
    with pytest.raises(DBAPIError, match="idle"):
        connection.execute(text("SELECT 1"))
    connection.close()
    stopped.dispose()
    await ledger.close()


# --- a connection ---------------------------------------------------------------------------------


def test_every_connection_is_durable_bounded_and_at_home(engine: Engine) -> None:
    names = ("synchronous_commit", "lock_timeout", "statement_timeout", "search_path")
    with ExitStack() as stack:
        several = [stack.enter_context(engine.connect()) for _ in range(3)]
        said = {tuple(c.execute(text(f"SHOW {name}")).scalar() for name in names) for c in several}
    assert said == {("on", "5s", "30s", "cloudtalk_relay")}


async def test_a_relay_needs_no_right_to_make_schemas_where_it_has_one(
    empty: str, databases: Databases
) -> None:
    databases.execute("DROP ROLE IF EXISTS little")
    databases.execute("CREATE ROLE little LOGIN")
    little = empty.replace("postgres:@", "little:@")
    ledger = Ledger(little)
    with pytest.raises(LedgerError, match="permission denied"):
        await ledger.open()
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA cloudtalk_relay AUTHORIZATION little")
    assert await ledger.open() == (None, HEAD)
    await ledger.close()


async def test_a_database_that_cannot_hold_every_name_is_refused(databases: Databases) -> None:
    databases.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    ledger = Ledger(databases.url_of("latin"))
    with pytest.raises(LedgerError, match="has the encoding LATIN1"):
        await ledger.open()
    await ledger.close()
    databases.execute("DROP DATABASE latin")


def test_a_failed_migration_leaves_nothing_behind(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_engine(empty)
    monkeypatch.setattr("relay.ledger.engine.HEAD", "9999")
    monkeypatch.setattr("alembic.command.upgrade", _half_way)
    with pytest.raises(SchemaError, match="could not be migrated from schema None to 9999"):
        migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT to_regclass('half')")).scalar() is None
    engine.dispose()


def _half_way(config: Any, _: str) -> None:
    config.attributes["connection"].execute(text("CREATE TABLE half (id int)"))
    raise ValueError("no such luck")


# --- what is told ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["postgresql://relay:hush@127.0.0.1:1/relay", "postgresql://relay:hush@[::1]:1/relay"]
)
async def test_a_server_that_is_not_there_is_unavailable_and_its_password_is_not_told(url: str) -> None:
    ledger = Ledger(url)
    with pytest.raises(LedgerUnavailable, match="connection failed") as refusal:
        await ledger.open()
    assert "hush" not in str(refusal.value)
    assert ":1/relay cannot be used" in str(refusal.value)
    await ledger.close()


def test_an_address_that_is_none_is_not_quoted() -> None:
    with pytest.raises(LedgerError) as refusal:
        Ledger("postgresql://relay:hu%sh@db/relay")
    assert "hu" not in str(refusal.value)


async def test_a_right_that_was_taken_away_is_no_fault_of_an_event(ledger: Ledger, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE cloudtalk_relay.events RENAME TO gone")
    with pytest.raises(LedgerUnavailable, match="does not exist"):
        await ledger.write(lambda c: journal.append(c, [make_event_row()]))


# --- text -----------------------------------------------------------------------------------------


async def test_a_path_with_a_null_character_is_kept_with_a_mark_in_its_place(ledger: Ledger) -> None:
    await ledger.write(lambda c: journal.append(c, [make_event_row(path="/hook/\0x\\u0000")]))
    (path,) = await ledger.read(lambda c: c.execute(select(events.c.path)).scalars().all())
    assert path == "/hook/\ufffdx\\u0000"


# --- time -----------------------------------------------------------------------------------------


async def test_the_time_is_the_databases_whatever_this_machines_clock_says(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = time.time_ns() // 1_000
    monkeypatch.setattr("relay.ledger.clocks.wall_clock", lambda: true + 3_600_000_000)
    ledger = Ledger(url)
    await ledger.open()
    assert abs(ledger.now() - true) < 5_000_000
    await ledger.close()


# --- a pooler whose database is away ---------------------------------------------------------------


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
def mute(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of one who greets everybody and answers nothing."""
    monkeypatch.setattr("relay.ledger.postgres._SET_UP_SECONDS", 0.2)
    greeted: list[socket.socket] = []

    def greet() -> None:
        with suppress(OSError):
            while True:
                line, _ = listening.accept()
                greeted.append(line)
                line.recv(4096)
                line.sendall(_GREETING)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=greet, daemon=True).start()
        port = listening.getsockname()[1]
        yield f"postgresql://relay@127.0.0.1:{port}/relay?sslmode=disable&gssencmode=disable"
        listening.shutdown(socket.SHUT_RDWR)
    for line in greeted:
        line.close()


async def test_who_greets_and_never_answers_is_cut_off(mute: str) -> None:
    ledger = Ledger(mute)
    async with asyncio.timeout(5):
        for _ in range(2):
            with pytest.raises(LedgerUnavailable):
                await ledger.check_writable()
        await ledger.close()


async def test_who_greets_and_never_answers_is_not_listened_to_for_ever(mute: str) -> None:
    async with asyncio.timeout(5):
        with pytest.raises(LedgerUnavailable):
            await anext(listen(mute, "channel"))


async def test_what_was_given_up_before_it_had_a_connection_is_not_done_later(
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
