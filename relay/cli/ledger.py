"""The ledger at hand for a command, whether a relay serves it or not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
from sqlalchemy import Connection

from relay.ledger import Ledger, LedgerError
from relay.settings import Settings

T = TypeVar("T")


def with_ledger(settings: Settings, work: Callable[[Ledger], Awaitable[T]]) -> T:
    """What `work` makes of the ledger. Ends the command with 1 where the ledger cannot be used."""

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


def read_ledger(settings: Settings, look: Callable[[Connection], T]) -> T:
    """What `look` finds in a snapshot."""
    return with_ledger(settings, lambda ledger: ledger.read(look))


def write_ledger(settings: Settings, work: Callable[[Connection], T]) -> T:
    """What `work` does in one transaction, all of it or nothing."""
    return with_ledger(settings, lambda ledger: ledger.write(work))
