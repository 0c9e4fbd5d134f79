"""The tests of the ledger run on every engine, except those of what only one engine has."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event

from relay.ledger import Ledger, destinations
from tests.support.clock import Clock


@pytest.fixture(autouse=True)
def unordered_rows_are_reversed() -> Iterator[None]:
    """Let SQLite read rows backwards where a statement has no ORDER BY: otherwise they come in the order of
    an index, and no test fails without the ORDER BY that PostgreSQL needs.
    """

    def reverse(connection: Any, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA reverse_unordered_selects = ON")

    event.listen(Engine, "connect", reverse)
    yield
    event.remove(Engine, "connect", reverse)


@pytest.fixture
def url(ledger_url: str) -> str:
    """The URL of an empty ledger."""
    return ledger_url


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ledger(url: str, clock: Clock) -> AsyncIterator[Ledger]:
    opened = Ledger(url, clock=clock)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def two_destinations(ledger: Ledger) -> Ledger:
    """A ledger with the destinations `crm` and `other`."""
    await ledger.write(lambda c: destinations.register(c, {"crm": "local", "other": "local"}))
    return ledger
