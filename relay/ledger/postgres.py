"""PostgreSQL: the settings of a connection, so that each commit is on disk and nothing waits for ever."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any, Final

import psycopg
from psycopg import IsolationLevel
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import URL

from relay.ledger.connection import Connection
from relay.ledger.errors import LedgerError, LedgerUnavailable, NotificationsUnavailable
from relay.standards.numbers import parse_digits

_AnyConnection = psycopg.Connection[Any] | psycopg.AsyncConnection[Any]

SCHEMA: Final = "cloudtalk_relay"
"""The relay has a schema of its own: `public` may contain a CRM's table `calls`, and an API that serves
`public` to clients must not serve the ledger."""

_CONNECTION_DEFAULTS: Final[dict[str, Any]] = {
    "application_name": "cloudtalk-relay",
    "client_encoding": "utf8",
    "connect_timeout": 3,
    # A server whose machine failed sends nothing: the kernel detects it within about ten seconds.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    # After a failover the old server may run on as a standby.
    "target_session_attrs": "read-write",
}
"""Parameters of libpq that the URL may override."""

_SETTINGS: Final = {
    "search_path": SCHEMA,
    "synchronous_commit": "on",
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    # A process that stops in the middle of a transaction must not block the others.
    "idle_in_transaction_session_timeout": "10s",
    # A batch looks up its keys one after the other. So no plan depends on statistics, which are wrong when a
    # table has just grown, and all transactions lock rows in the order of the batch.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "random_page_cost": "1.1",
    "jit": "off",
}
_SET_CONFIG: Final = ", ".join(f"set_config('{name}', '{value}', %s)" for name, value in _SETTINGS.items())
_SET_FOR_SESSION: Final = "SELECT " + _SET_CONFIG.replace("%s", "false")
_SET_FOR_TRANSACTION: Final = "SELECT " + _SET_CONFIG.replace("%s", "true")

_SET_UP_SECONDS: Final = 3.0
_BACKEND_PID: Final = "SELECT pg_backend_pid()"
_ALIVE_SECONDS: Final = 15.0
"""How long the listener waits for a notification before it checks that the server answers."""


def open_postgres(url: str) -> Engine:
    """Return an engine for this server, which connects at its first use. Raises `LedgerError`."""
    address = conninfo(url)
    return create_engine(
        _without_password(url),
        creator=lambda: _connect(address),
        pool_size=4,
        pool_use_lifo=True,  # its server process and its prepared statements are warm
        hide_parameters=True,  # an error goes to the log and to senders: it must not quote personal data
    )


def conninfo(url: str) -> str:
    """Return the URL as a connection string of libpq, with the relay's defaults. Raises `LedgerError`."""
    try:
        parameters = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # The driver's message quotes the password.
        raise LedgerError("ledger.url is no address of a PostgreSQL database") from None
    return make_conninfo(**(_CONNECTION_DEFAULTS | parameters))


def _without_password(url: str) -> URL:
    parameters = conninfo_to_dict(url)
    return URL.create(
        "postgresql",
        username=_text(parameters.get("user")),
        host=_text(parameters.get("host")),
        port=parse_digits(str(parameters.get("port", ""))),
        database=_text(parameters.get("dbname")),
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _connect(address: str) -> "psycopg.Connection[Any]":
    connection = psycopg.connect(address)
    try:
        with _time_limit(_SET_UP_SECONDS, connection):
            _configure(connection)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _time_limit(seconds: float, connection: _AnyConnection) -> Iterator[None]:
    """Shut the connection down if the block takes longer. A pooler accepts connections while its database is
    down, and `Executor` cannot cancel a connection that it does not have yet.
    """
    timer = Timer(seconds, shut_down, (connection,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _configure(connection: "psycopg.Connection[Any]") -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise LedgerError(
            f"the ledger's database has the encoding {encoding}, which cannot store every name;"
            " create one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )
    connection.autocommit = True
    if is_pooled(connection):
        connection.prepare_threshold = None  # the next transaction may run in another session
    else:
        connection.execute(_SET_FOR_SESSION)
    connection.autocommit = False


def is_pooled(connection: "psycopg.Connection[Any]") -> bool:
    """Return whether a pooler is in between: then another session answers than the one that connected."""
    return connection.execute(_BACKEND_PID).fetchone() != (connection.info.backend_pid,)


def begin_postgres(connection: Connection, *, read_only: bool, seconds: float | None = None) -> None:
    """Set how the driver begins its next transaction, which it does with the first statement. `seconds`: the
    time limit of each statement, if it is not the usual one.
    """
    driver = connection.driver
    driver.isolation_level = IsolationLevel.REPEATABLE_READ if read_only else None
    driver.read_only = read_only or None  # None, not False: what the server or a person set holds
    if driver.prepare_threshold is None:  # behind a pooler, see `_configure`
        connection.execute_sql(_SET_FOR_TRANSACTION)
    if seconds is not None:
        connection.execute_sql(f"SET LOCAL statement_timeout = {round(seconds * 1000)}")


def create_schema(connection: Connection) -> None:
    """Create the relay's schema if it is missing; only then the right to create one is needed."""
    found = connection.execute(text("SELECT to_regnamespace(:name)"), {"name": SCHEMA})
    if found.scalar() is None:
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))


async def listen(url: str, channel: str) -> AsyncGenerator[str]:
    """Yield the payload of each notification, and first "" for those that came before.

    Raises `LedgerUnavailable`, or `NotificationsUnavailable` behind a pooler.
    """
    try:
        async with await psycopg.AsyncConnection.connect(conninfo(url), autocommit=True) as connection:
            await _within_time_limit(_start_listening(connection, channel), connection)
            yield ""
            while True:
                async for notification in connection.notifies(timeout=_ALIVE_SECONDS):
                    yield notification.payload
                await _within_time_limit(connection.execute("SELECT 1"), connection)
    except psycopg.Error as error:
        raise LedgerUnavailable(f"the ledger sends no notifications: {error}") from error


async def _within_time_limit(query: Coroutine[Any, Any, Any], connection: _AnyConnection) -> None:
    """Await the query and shut the connection down if it hangs, also when cancelled: the driver would wait
    for five seconds more.
    """
    task = asyncio.create_task(query)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        await asyncio.wait([task], timeout=_SET_UP_SECONDS)
    finally:
        if not task.done():
            shut_down(connection)
    await task


async def _start_listening(connection: "psycopg.AsyncConnection[Any]", channel: str) -> None:
    if await (await connection.execute(_BACKEND_PID)).fetchone() != (connection.info.backend_pid,):
        raise NotificationsUnavailable("a connection pooler passes no notifications on")
    await connection.execute(SQL("LISTEN {}").format(Identifier(channel)))


def shut_down(connection: _AnyConnection) -> None:
    """Close the connection's socket, from any thread: its server may never answer."""
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
