"""`relay replay`: make calls pending again for some destinations.

A new CRM receives its history, and any CRM what it lost, rejected or did not want before. Where the CRM has
the newest version of a call, the delivery worker only asks whether the record still exists.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec
from sqlalchemy import Connection

from relay.call import Call
from relay.delivery.choose_action import is_wanted
from relay.instants import Instant
from relay.ledger import Ledger, calls, destinations, replays
from relay.ledger.lease_holder import Lease, run_in_slices
from relay.ledger.replays import PageCursor


class ReplayResult(msgspec.Struct):
    """How many calls are pending again, each at all of these destinations.

    `left_out`: calls of which no CRM should have a record, such as internal ones.
    """

    destinations: list[str]
    calls: int = 0
    left_out: int = 0


class Replay:
    """One replay, to destinations (name → client). One that the ledger does not know is registered."""

    def __init__(
        self,
        ledger: Ledger,
        clients: Mapping[str, str],
        *,
        forward_internal: bool,
        calls_per_transaction: int = 1_000,
    ) -> None:
        self._ledger = ledger
        self._clients = clients
        self._forward_internal = forward_internal
        self._page_size = calls_per_transaction
        # The lease of the fold, which writes deliveries and versions too.
        self._lease = Lease(ledger, "fold", seconds=15)
        self._result = ReplayResult(list(clients))

    async def replay_between(
        self, since: Instant | None, until: Instant | None, on_progress: Callable[[int, int], None]
    ) -> ReplayResult:
        """Replay the calls that began in this period (`until` not included), oldest first.

        `on_progress` receives how many calls are done, and how many there are in all.
        """
        cursor = PageCursor(since or Instant(0))
        first = cursor
        total = await self._ledger.read(lambda connection: replays.count(connection, first, until=until))

        async def next_page() -> bool:
            nonlocal cursor
            counts, following = await self._ledger.write(lambda c: self._enqueue_page(c, cursor, until))
            self._count(*counts)
            on_progress(self._result.calls + self._result.left_out, total)
            cursor = following or cursor
            return following is not None

        await run_in_slices(self._lease, next_page)
        return self._result

    async def replay_calls(self, ids: Collection[str]) -> ReplayResult:
        """Replay the calls with these record ids; unknown ids are ignored."""

        async def all_calls() -> bool:
            self._count(*await self._ledger.write(lambda c: self._enqueue_calls(c, ids)))
            return False

        await run_in_slices(self._lease, all_calls)
        return self._result

    def _count(self, pending: int, left_out: int) -> None:
        self._result.calls += pending
        self._result.left_out += left_out

    def _enqueue_page(
        self, connection: Connection, cursor: PageCursor, until: Instant | None
    ) -> tuple[tuple[int, int], PageCursor | None]:
        page, following = replays.list_page(connection, cursor, until=until, limit=self._page_size)
        return self._enqueue(connection, page), following

    def _enqueue_calls(self, connection: Connection, ids: Collection[str]) -> tuple[int, int]:
        return self._enqueue(connection, [row.record for row in calls.get_many(connection, ids).values()])

    def _enqueue(self, connection: Connection, records: Sequence[Call]) -> tuple[int, int]:
        """Return how many calls are pending and how many were left out.

        The transaction may run twice: so the sums are made after it.
        """
        self._lease.check(connection)
        destinations.register(connection, self._clients)
        wanted = [call for call in records if is_wanted(call, forward_internal=self._forward_internal)]
        versions = [(call.id, call.version) for call in wanted]
        for name in self._clients:
            replays.enqueue(connection, name, versions, now=self._lease.now())
        return len(wanted), len(records) - len(wanted)
