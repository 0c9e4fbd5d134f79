"""PostgreSQL: how a connection is set up, so that each commit is on disk and nothing waits for ever."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, ExceptionContext

from relay.ledger.errors import LedgerError, LedgerUnavailable, Pooled

_AnyConnection = psycopg.Connection[Any] | psycopg.AsyncConnection[Any]

SCHEMA: Final = "cloudtalk_relay"
"""All tables stand in a schema of the relay's own: `calls` in `public` may well be a CRM's, and an API
that opens `public` to the world must not open the ledger."""

_LINK: Final[dict[str, Any]] = {
    "application_name": "cloudtalk-relay",
    "client_encoding": "utf8",
    "connect_timeout": 3,
    # A server that vanished says nothing: the kernel finds out within about ten seconds.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    # After a failover the old server may live on as a standby.
    "target_session_attrs": "read-write",
}
"""How a connection is made, where the URL says nothing else."""

_SETTINGS: Final = {
    "search_path": SCHEMA,
    "synchronous_commit": "on",
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    # A process that was stopped in the middle of a transaction must not keep the others from their work.
    "idle_in_transaction_session_timeout": "10s",
    # A batch is keys that are looked up one after the other: so no plan hangs on statistics, which are
    # old when a table has just grown, and all transactions lock rows in the order of the batch.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "random_page_cost": "1.1",
    "jit": "off",
}
_PARTS: Final = ", ".join(f"set_config('{name}', '{value}', %s)" for name, value in _SETTINGS.items())
_FOR_THE_SESSION: Final = "SELECT " + _PARTS.replace("%s", "false")
_FOR_THE_TRANSACTION: Final = "SELECT " + _PARTS.replace("%s", "true")

_SET_UP_SECONDS: Final = 3.0
_WHO: Final = "SELECT pg_backend_pid()"
_ALIVE_SECONDS: Final = 15.0
"""How long a silent server is taken to be there."""

_READ_ONLY: Final = "25006"


def open_postgres(url: str) -> Engine:
    """An engine over this server; it connects when it is asked for something. Raises `LedgerError`."""
    address = conninfo(url)
    engine = create_engine(
        _shown(url),
        creator=lambda: _connect(address),
        pool_size=4,
        hide_parameters=True,  # an error is logged and answered: it must not quote what people said
    )
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", _leave_a_standby)
    event.listen(engine, "handle_error", _quote_nothing)
    return engine


def conninfo(url: str) -> str:
    """The URL as libpq takes it, with what the relay needs where it says nothing of it."""
    try:
        said = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # The driver's complaint quotes the password.
        raise LedgerError("ledger.url is no address of a PostgreSQL database") from None
    return make_conninfo(**(_LINK | said))


def _shown(url: str) -> URL:
    """The URL as people may see it: without the password."""
    said = conninfo_to_dict(url)
    port = str(said.get("port", ""))
    return URL.create(
        "postgresql",
        username=_text(said.get("user")),
        host=_text(said.get("host")),
        port=int(port) if port.isdigit() else None,
        database=_text(said.get("dbname")),
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _connect(address: str) -> "psycopg.Connection[Any]":
    connection = psycopg.connect(address)
    try:
        with _cut_after(_SET_UP_SECONDS, connection):
            _set_up(connection)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _cut_after(seconds: float, connection: _AnyConnection) -> Iterator[None]:
    """What hangs in the block is cut off. A pooler greets although its database is away, and `Worker` cannot
    cut off a connection that it was not given yet.
    """
    timer = Timer(seconds, cut, (connection,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _set_up(connection: "psycopg.Connection[Any]") -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise LedgerError(
            f"the ledger's database is encoded in {encoding}, which cannot hold every name;"
            " make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )
    connection.autocommit = True
    if is_pooled(connection):
        connection.prepare_threshold = None  # the next transaction may be another session's
    else:
        connection.execute(_FOR_THE_SESSION)
    connection.autocommit = False


def is_pooled(connection: "psycopg.Connection[Any]") -> bool:
    """Whether a pooler stands between: the session that answers is not the one that greeted us."""
    return connection.execute(_WHO).fetchone() != (connection.info.backend_pid,)


def _begin(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    if driver.prepare_threshold is None:  # behind a pooler, see `_set_up`
        connection.exec_driver_sql(_FOR_THE_TRANSACTION)


def _leave_a_standby(context: ExceptionContext) -> None:
    """The server became a standby after a failover: another connection may find the new primary."""
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True


def _quote_nothing(context: ExceptionContext) -> None:
    """Only the first line of a complaint: the lines below it quote the row that it is about."""
    complaint = context.original_exception
    said = complaint.diag.message_primary if isinstance(complaint, psycopg.Error) else None
    if said is not None:
        complaint.args = (said,)
        if context.sqlalchemy_exception is not None:
            context.sqlalchemy_exception.args = (f"({type(complaint).__name__}) {said}",)


def make_schema(connection: Connection) -> None:
    """Make the relay's own schema where there is none; only then the right to make one is needed."""
    if connection.scalar(text("SELECT to_regnamespace(:name)"), {"name": SCHEMA}) is None:
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))


async def listen(url: str, channel: str) -> AsyncGenerator[str]:
    """What is said on this channel; first of all an empty word, for what was missed before.

    Raises `LedgerUnavailable`, or `Pooled` where nothing can be heard.
    """
    try:
        async with await psycopg.AsyncConnection.connect(conninfo(url), autocommit=True) as connection:
            await _answered(_start_listening(connection, channel), connection)
            yield ""
            while True:
                async for said in connection.notifies(timeout=_ALIVE_SECONDS):
                    yield said.payload
                await _answered(connection.execute("SELECT 1"), connection)
    except psycopg.Error as error:
        raise LedgerUnavailable(f"the ledger cannot be listened to: {error}") from error


async def _answered(question: Coroutine[Any, Any, Any], connection: _AnyConnection) -> None:
    """Ask, and cut off what hangs, also when cancelled: the driver would wait for five seconds more."""
    asking = asyncio.create_task(question)
    asking.add_done_callback(lambda asked: asked.cancelled() or asked.exception())
    try:
        await asyncio.wait([asking], timeout=_SET_UP_SECONDS)
    finally:
        if not asking.done():
            cut(connection)
    await asking


async def _start_listening(connection: "psycopg.AsyncConnection[Any]", channel: str) -> None:
    if await (await connection.execute(_WHO)).fetchone() != (connection.info.backend_pid,):
        raise Pooled
    await connection.execute(SQL("LISTEN {}").format(Identifier(channel)))


def cut(connection: _AnyConnection) -> None:
    """End what this connection waits for, from another thread: its server may never answer."""
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
