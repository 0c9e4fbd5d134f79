"""Opens the ledger for one command, while a relay serves it or not.

All functions end the command with exit code 1 if the ledger cannot be used.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TypeVar

import click

from relay.cli.output import echo
from relay.ledger import Ledger, LedgerError
from relay.ledger.connection import Connection
from relay.operations.ledger_access import has_ledger
from relay.settings import Settings

T = TypeVar("T")


def with_ledger(settings: Settings, work: Callable[[Ledger], Awaitable[T]]) -> T:
    """Open the ledger, create it if there is none, await `work` with it, and close it."""
    return _run(settings.ledger.url.get_secret_value(), work)


def read_with_ledger(settings: Settings, work: Callable[[Ledger], Awaitable[T]]) -> T:
    """Open the ledger, await `work` with it, and close it. If there is none, `work` gets an empty one."""
    with _existing_or_empty(settings) as url:
        return _run(url, work)


def read_ledger(settings: Settings, read: Callable[[Connection], T]) -> T:
    """Run `read` on a snapshot of the ledger, or of an empty one if there is none."""
    return read_with_ledger(settings, lambda ledger: ledger.read(read))


def _run(url: str, work: Callable[[Ledger], Awaitable[T]]) -> T:
    async def run() -> T:
        ledger = Ledger(url)
        try:
            await ledger.open()
            return await work(ledger)
        finally:
            await ledger.close()

    try:
        return asyncio.run(run())
    except LedgerError as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def _existing_or_empty(settings: Settings) -> Iterator[str]:
    """Yield the URL of the ledger. If there is none, yield the URL of an empty ledger elsewhere: a command
    that reads must create nothing.
    """
    if has_ledger(settings):
        yield settings.ledger.url.get_secret_value()
        return
    if _is_seen_by_a_person():
        echo(f"There is no ledger {_place(settings)}:\n`relay serve` creates it.", err=True)
    with TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/relay.db"


def _place(settings: Settings) -> str:
    path = settings.ledger.path
    return f"at {path}" if path is not None else "in the PostgreSQL database of ledger.url"


def _is_seen_by_a_person() -> bool:
    return sys.stderr.isatty()
