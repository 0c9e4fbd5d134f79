"""Counts the transactions of a ledger, and the statements of each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from relay.ledger import Ledger
from relay.ledger.connection import Connection


class _Counted:
    """A connection that counts its statements."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.statements = 0

    def execute(self, *arguments: Any) -> Any:
        self.statements += 1
        return self._connection.execute(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@contextmanager
def count_transactions(ledger: Ledger) -> Iterator[list[tuple[str, int]]]:
    """List the transactions of the block, each as ("read" or "write", number of statements)."""
    transactions: list[tuple[str, int]] = []

    def counted(kind: str) -> Callable[..., Any]:
        run = getattr(ledger, kind)

        async def counting(work: Callable[[Any], Any]) -> Any:
            statements = 0

            def count(connection: Connection) -> Any:
                nonlocal statements
                wrapped = _Counted(connection)
                result = work(wrapped)
                statements = wrapped.statements
                return result

            result = await run(count)
            transactions.append((kind, statements))
            return result

        return counting

    with pytest.MonkeyPatch.context() as patch:
        for kind in ("read", "write"):
            patch.setattr(ledger, kind, counted(kind))
        yield transactions
