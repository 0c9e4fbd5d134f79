"""Opens the ledger for one command, while a relay serves it or not.

All functions end the command with exit code 1 if the ledger cannot be used.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
from sqlalchemy import Connection

from relay.ledger import Ledger, LedgerError
from relay.settings import Settings

T = TypeVar("T")


def with_ledger(settings: Settings, work: Callable[[Ledger], Awaitable[T]]) -> T:
    """Open the ledger, await `work` with it, and close it."""

    async def run() -> T:
        ledger = Ledger(settings.ledger.url.get_secret_value())
        try:
            await ledger.open()
            return await work(ledger)
        finally:
            await ledger.close()

    try:
        return asyncio.run(run())
    except LedgerError as error:
        raise click.ClickException(str(error)) from error


def read_ledger(settings: Settings, read: Callable[[Connection], T]) -> T:
    """Run `read` on a snapshot of the ledger."""
    return with_ledger(settings, lambda ledger: ledger.read(read))
