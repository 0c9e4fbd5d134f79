"""Owing calls again: to a new CRM its history, to any what it lost, refused, or would not have before.

A CRM that has the newest version of a call is only asked whether it still does: that is the courier's.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection

from relay.call import Call, is_wanted
from relay.ledger import Ledger, calls, destinations, replays
from relay.ledger.lease import Lease, run_in_slices
from relay.ledger.replays import PageCursor

_PORTION: Final = 1_000


class Replayed(msgspec.Struct):
    """How many calls are owed again, each of them to all of these destinations. `left_out`: calls that no
    CRM should have, as those between colleagues.
    """

    destinations: list[str]
    calls: int = 0
    left_out: int = 0


class Replay:
    """Owes calls to destinations (name → client); one that the ledger does not know yet, it learns of."""

    def __init__(self, ledger: Ledger, clients: Mapping[str, str], *, forward_internal: bool) -> None:
        self._ledger = ledger
        self._clients = clients
        self._forward_internal = forward_internal
        # The fold's, since the fold makes marks and versions too.
        self._lease = Lease(ledger, "fold", seconds=15)
        self.done = Replayed(list(clients))

    async def between(
        self, since: int | None, until: int | None, on_progress: Callable[[int, int], None]
    ) -> Replayed:
        """Owe the calls that began in this time (microseconds; `until` not included), oldest first."""
        place = PageCursor(since or 0)
        first = place
        total = await self._ledger.read(lambda connection: replays.count(connection, first, until=until))

        async def portion() -> bool:
            nonlocal place
            owed, following = await self._ledger.write(lambda c: self._owe_page(c, place, until))
            self._count(*owed)
            on_progress(self.done.calls + self.done.left_out, total)
            place = following or place
            return following is not None

        await run_in_slices(self._lease, portion)
        return self.done

    async def named(self, ids: Collection[str]) -> Replayed:
        """Owe the calls of these record ids."""

        async def portion() -> bool:
            self._count(*await self._ledger.write(lambda c: self._owe_named(c, ids)))
            return False

        await run_in_slices(self._lease, portion)
        return self.done

    def _count(self, pending: int, left_out: int) -> None:
        self.done.calls += pending
        self.done.left_out += left_out

    def _owe_page(
        self, connection: Connection, place: PageCursor, until: int | None
    ) -> tuple[tuple[int, int], PageCursor | None]:
        found, following = replays.page(connection, place, until=until, most=_PORTION)
        return self._owe(connection, found), following

    def _owe_named(self, connection: Connection, ids: Collection[str]) -> tuple[int, int]:
        return self._owe(connection, [row.record for row in calls.by_id(connection, ids).values()])

    def _owe(self, connection: Connection, found: Sequence[Call]) -> tuple[int, int]:
        """How many are owed, and how many left out. The ledger may do it twice: it counts nothing itself."""
        self._lease.check(connection)
        destinations.register(connection, self._clients)
        wanted = [
            (call.id, call.version)
            for call in found
            if is_wanted(call, forward_internal=self._forward_internal)
        ]
        for name in self._clients:
            replays.enqueue(connection, name, wanted, now=self._lease.now())
        return len(wanted), len(found) - len(wanted)
