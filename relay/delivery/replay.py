"""`relay replay`: make calls pending again for some destinations.

A new CRM receives its history, and any CRM what it lost, rejected or did not want before. Where the CRM has
the newest version of a call, the delivery worker compares the version of its record, and writes the whole
record only if it is absent or of another version. A call that the
worker would not send to a destination is neither made pending there nor counted.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum, auto
from typing import NamedTuple

import msgspec

from crm_clients.settings import DestinationSettings
from relay.call import Call
from relay.delivery.choose_action import is_wanted, may_have_record
from relay.instants import Instant
from relay.ledger import Ledger, calls, deliveries, destinations, replays, tombstones
from relay.ledger.connection import Connection
from relay.ledger.deliveries import DeliveryRow
from relay.ledger.lease_holder import Lease, run_in_slices
from relay.ledger.replays import PageCursor


class Scope(Enum):
    """Which calls a replay writes."""

    DIFFERENT = auto()
    """Those that the CRM lacks, or has in another version."""
    ALL = auto()
    """All of them, whole, also those of which the CRM has this version."""
    CHANGED_SETTINGS = auto()
    """Those whose record in the CRM has earlier labels, fields or constants; whole."""


class ReplayCounts(msgspec.Struct, frozen=True):
    """What a replay does at one destination.

    `pending`: calls that are pending again. `up_to_date`: those of them of which the CRM has the newest
    version, or one that is never updated; they are written only if the CRM has lost them. `filtered`: calls
    that its filter excludes, and calls that retention deleted before the CRM had them: only late events are
    known of these.
    """

    destination: str
    pending: int = 0
    up_to_date: int = 0
    filtered: int = 0

    def __add__(self, other: "ReplayCounts") -> "ReplayCounts":
        """Add the counts of another part of the replay at the same destination."""
        return ReplayCounts(
            self.destination,
            self.pending + other.pending,
            self.up_to_date + other.up_to_date,
            self.filtered + other.filtered,
        )


class ReplayResult(msgspec.Struct, frozen=True):
    """What a replay does.

    `calls`: calls that are pending again, each at one destination or more. `left_out`: calls of which no CRM
    should have a record, such as internal ones.
    """

    destinations: list[str]
    calls: int
    left_out: int
    counts: list[ReplayCounts]


class _PageResult(NamedTuple):
    """The result of one transaction. The transaction may run twice, so the sums are made after it."""

    calls: int
    left_out: int
    done: int
    counts: list[ReplayCounts]

    def plus(self, other: "_PageResult") -> "_PageResult":
        sums = [one + two for one, two in zip(self.counts, other.counts, strict=True)]
        return _PageResult(
            self.calls + other.calls, self.left_out + other.left_out, self.done + other.done, sums
        )


class Replay:
    """One replay, to destinations by name. One that the ledger does not know is registered."""

    def __init__(
        self,
        ledger: Ledger,
        targets: Mapping[str, DestinationSettings],
        *,
        forward_internal: bool,
        scope: Scope = Scope.DIFFERENT,
        calls_per_transaction: int = 1_000,
    ) -> None:
        self._ledger = ledger
        self._targets = targets
        self._forward_internal = forward_internal
        self._scope = scope
        self._page_size = calls_per_transaction
        # The lease of the fold, which writes deliveries and versions too.
        self._lease = Lease(ledger, "fold", seconds=15)
        self._sum = _PageResult(0, 0, 0, [ReplayCounts(name) for name in targets])

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
            result, following = await self._ledger.write(lambda c: self._enqueue_page(c, cursor, until))
            self._sum = self._sum.plus(result)
            on_progress(self._sum.done, total)
            cursor = following or cursor
            return following is not None

        await run_in_slices(self._lease, next_page)
        return self._result()

    async def replay_calls(self, ids: Collection[str]) -> ReplayResult:
        """Replay the calls with these record ids; unknown ids are ignored."""

        async def all_calls() -> bool:
            self._sum = self._sum.plus(await self._ledger.write(lambda c: self._enqueue_calls(c, ids)))
            return False

        await run_in_slices(self._lease, all_calls)
        return self._result()

    def _result(self) -> ReplayResult:
        return ReplayResult(list(self._targets), self._sum.calls, self._sum.left_out, self._sum.counts)

    def _enqueue_page(
        self, connection: Connection, cursor: PageCursor, until: Instant | None
    ) -> tuple[_PageResult, PageCursor | None]:
        page, following = replays.list_page(connection, cursor, until=until, limit=self._page_size)
        return self._enqueue(connection, page), following

    def _enqueue_calls(self, connection: Connection, ids: Collection[str]) -> _PageResult:
        return self._enqueue(connection, [row.record for row in calls.get_many(connection, ids).values()])

    def _enqueue(self, connection: Connection, records: Sequence[Call]) -> _PageResult:
        self._lease.check(connection)
        clients = {name: settings.client for name, settings in self._targets.items()}
        destinations.register(connection, clients)
        wanted = [call for call in records if is_wanted(call, forward_internal=self._forward_internal)]
        # A call of which only late events are known begins no record in a CRM.
        whole = {call.id for call in wanted} - tombstones.list_ids(connection, [call.id for call in wanted])
        pending: set[str] = set()
        counts = []
        for name, settings in self._targets.items():
            known = deliveries.get_many(connection, name, [call.id for call in wanted])
            in_scope = [call for call in wanted if self._is_in_scope(known.get(call.id), settings)]
            sent = [
                call
                for call in in_scope
                if _has_record(known.get(call.id)) or (call.id in whole and settings.when.matches(call))
            ]
            versions = [(call.id, call.version) for call in sent]
            # A record that is never updated is restored if the CRM has lost it: see `Action.RESTORE`.
            rewrite = settings.update == "never" or self._scope is not Scope.DIFFERENT
            replays.enqueue(connection, name, versions, now=self._lease.now(), rewrite=rewrite)
            pending.update(call.id for call in sent)
            up_to_date = sum(self._is_only_compared(call, known.get(call.id), settings) for call in sent)
            counts.append(ReplayCounts(name, len(sent), up_to_date, len(in_scope) - len(sent)))
        return _PageResult(len(pending), len(records) - len(wanted), len(records), counts)

    def _is_only_compared(
        self, call: Call, delivery: DeliveryRow | None, settings: DestinationSettings
    ) -> bool:
        """Whether the record is written only if the CRM has lost it."""
        if settings.update == "never":
            return delivery is not None and delivery.delivered_version > 0
        return self._scope is Scope.DIFFERENT and _is_up_to_date(call, delivery)

    def _is_in_scope(self, delivery: DeliveryRow | None, settings: DestinationSettings) -> bool:
        if self._scope is not Scope.CHANGED_SETTINGS:
            return True
        if settings.update == "never":
            return False
        return delivery is not None and has_other_rendering(delivery, settings.rendering)


def has_other_rendering(delivery: DeliveryRow, rendering: str) -> bool:
    """Whether the CRM has the record as earlier settings rendered it."""
    return delivery.delivered_version > 0 and delivery.rendering != rendering


def _has_record(delivery: DeliveryRow | None) -> bool:
    """Whether the delivery worker sends the call, which is wanted, whatever the filter: `choose_action`."""
    return delivery is not None and may_have_record(delivery)


def _is_up_to_date(call: Call, delivery: DeliveryRow | None) -> bool:
    return delivery is not None and delivery.delivered_version >= call.version
