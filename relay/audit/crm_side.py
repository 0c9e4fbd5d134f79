"""Compare a range of calls with the records of one CRM, page by page.

A call that changes while its records are read is read again: no transaction is open during a request, so a
delivery may write between the two.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, Final, NamedTuple

from crm_clients.base import CrmClient, Push, Stored
from crm_clients.settings import DestinationSettings
from relay.audit.comparing import Comparison, Presence, compare, needs_reading, was_attempted
from relay.audit.forgotten import erase_forgotten
from relay.audit.pausing import wait_for_pause
from relay.audit.reading import CannotRead, ReadFailed, read_records
from relay.audit.repairing import remove_again, write_again
from relay.audit.report import CrmSide, Reading
from relay.call import Call, with_playable_recording
from relay.delivery.choose_action import is_partial, is_wanted, whole_fields
from relay.ledger import Ledger, audited_calls, deliveries, epochs
from relay.ledger.audited_calls import AuditedCall
from relay.ledger.audits import MOST_FINDINGS, Finding, FindingKind
from relay.ledger.connection import Connection
from relay.ledger.deliveries import DeliveryRow, DueDelivery
from relay.logs import mask_text

_READINGS: Final = 3
"""How often a call is read that changes meanwhile."""

_NAMED: Final = frozenset(map(str, FindingKind))
"""The presences that are findings."""


class _State(NamedTuple):
    """What the ledger has of a call at one moment."""

    call: AuditedCall
    delivery: DeliveryRow | None

    def is_as(self, earlier: "_State | None") -> bool:
        """Whether nothing happened to the call since then."""
        return earlier is not None and (self.call.record.version, self.delivery) == (
            earlier.call.record.version,
            earlier.delivery,
        )


class _Found(NamedTuple):
    """A call that did not change while its records were read."""

    state: _State
    records: Sequence[Stored]


class CrmAudit:
    """The audit of one destination. `side` and `findings` have what was found so far.

    `repairs`: let what is missing be written again. `who`: see `ActionRow`.
    """

    def __init__(
        self,
        ledger: Ledger,
        client: CrmClient[Any],
        settings: DestinationSettings,
        *,
        forward_internal: bool,
        repairs: bool,
        who: str,
    ) -> None:
        self.side = CrmSide() if settings.enabled else CrmSide(Reading.DISABLED)
        self.findings: list[Finding] = []
        self._ledger = ledger
        self._client = client
        self._name = client.name
        self._settings = settings
        self._forward_internal = forward_internal
        self._repairs = repairs
        self._who = who

    async def compare(self, ids: Sequence[str]) -> None:
        """Compare these calls, and repair what was found. After a failure nothing is read any more.

        Raises `LedgerError`.
        """
        size = self._settings.batch
        for first in range(0, len(ids), size):
            if self.side.reading is Reading.COMPARED:
                await self._note_pause()
            if self.side.reading is not Reading.COMPARED:
                return
            with self._noting_failures():
                await self._compare_batch(ids[first : first + size])

    async def erase_forgotten(self, call_ids: Sequence[str]) -> None:
        """Let the records of these forgotten calls be erased again. Raises `LedgerError`."""
        if self.side.reading is Reading.COMPARED:
            await self._note_pause()
        if self.side.reading is not Reading.COMPARED:
            return
        with self._noting_failures():
            found = await erase_forgotten(
                self._ledger, self._client, self._settings, call_ids, repairs=self._repairs
            )
            self.side.forgotten += found
            self.side.repaired += found if self._repairs else 0

    @contextmanager
    def _noting_failures(self) -> Iterator[None]:
        try:
            yield
        except CannotRead:
            self.side = CrmSide(Reading.NO_READING)
        except ReadFailed as error:
            self.side.reading, self.side.problem = Reading.FAILED, mask_text(str(error))

    async def _note_pause(self) -> None:
        reason = await wait_for_pause(self._ledger, self._name)
        if reason is not None:
            self.side.reading, self.side.problem = Reading.PAUSED, reason

    async def _compare_batch(self, ids: Sequence[str]) -> None:
        found: list[_Found] = []
        before = await self._ledger.read(partial(self._read_ledger, ids=ids))
        for _ in range(_READINGS):
            records = await self._read_crm(before)
            after = await self._ledger.read(partial(self._read_ledger, ids=before))
            same = {id_: state for id_, state in after.items() if state.is_as(before.get(id_))}
            found += [_Found(state, records.get(id_, ())) for id_, state in same.items()]
            before = {id_: state for id_, state in after.items() if id_ not in same}
            if not before:
                break
        self.side.changing += len(before)
        self.side.calls += len(before)
        await self._settle(found)

    def _read_ledger(self, connection: Connection, ids: Collection[str]) -> dict[str, _State]:
        rows = deliveries.get_many(connection, self._name, ids)
        found = audited_calls.get_many(connection, ids)
        return {id_: _State(call, rows.get(id_)) for id_, call in found.items()}

    async def _read_crm(self, states: Mapping[str, _State]) -> dict[str, Sequence[Stored]]:
        epoch = await self._ledger.read(epochs.current)
        pushes = [
            _push(call, delivery, self._settings, epoch)
            for call, delivery in states.values()
            if delivery is not None and needs_reading(delivery)
        ]
        if not pushes:
            return {}
        return await read_records(self._client, pushes, timeout_seconds=self._settings.timeout_seconds)

    # --- what was found -------------------------------------------------------------------------

    async def _settle(self, found: Sequence[_Found]) -> None:
        owners = await self._find_owners(found)
        compared, again, unwanted = list[tuple[str, Comparison]](), list[str](), list[Call]()
        for (call, delivery), records in found:
            record, id_ = call.record, call.record.id
            kept = [*records[:1], *(each for each in records[1:] if owners.get(each.remote_id, id_) == id_)]
            wanted = is_wanted(record, forward_internal=self._forward_internal)
            comparison = compare(record, delivery, kept, self._settings, is_wanted=wanted)
            self.side.count(comparison.presence, len(kept))
            compared.append((id_, comparison))
            if comparison.presence in {Presence.MISSING, Presence.OUTDATED} and wanted:
                again.append(id_)
            elif comparison.presence is Presence.LEFT_OVER and not wanted and was_attempted(delivery):
                unwanted.append(record)
        repaired = {*again, *(call.id for call in unwanted)} if self._repairs else set[str]()
        self.side.repaired += len(repaired)
        room = MOST_FINDINGS - len(self.findings)
        self.findings += islice(_findings(self._name, compared, repaired), room)
        if self._repairs:
            lost = [id_ for id_, comparison in compared if comparison.presence is Presence.MISSING]
            await self._repair(again, lost, unwanted)

    async def _repair(self, again: Sequence[str], lost: Sequence[str], unwanted: Sequence[Call]) -> None:
        await write_again(
            self._ledger,
            self._name,
            self._settings,
            again,
            lost=lost,
            forward_internal=self._forward_internal,
            who=self._who,
        )
        await remove_again(self._ledger, self._name, unwanted, who=self._who)

    async def _find_owners(self, found: Iterable[_Found]) -> dict[str | None, str]:
        """Return the calls of the ledger that the doubles of other calls are the records of, by their ids:
        then the ledger has two calls that look like one, and each has its record.
        """
        doubles = {each.remote_id for _, records in found for each in records[1:] if each.remote_id}
        if not doubles:
            return {}
        read = partial(deliveries.owners_of, destination=self._name, ids=doubles)
        owners: dict[str | None, str] = {}
        owners.update(await self._ledger.read(read))
        return owners


def _findings(
    destination: str, compared: Iterable[tuple[str, Comparison]], repaired: Collection[str]
) -> Iterator[Finding]:
    for id_, (presence, fields, remote_ids) in compared:
        if presence in _NAMED:
            details = [*fields, *remote_ids]
            yield Finding(destination, id_, FindingKind(presence), id_ in repaired, details)


def _push(call: AuditedCall, delivery: DeliveryRow, settings: DestinationSettings, epoch: int) -> Push:
    """Return what a push of the whole record would be: a client reads what it compares with."""
    record = with_playable_recording(call.record, settings.recording_links)
    due = DueDelivery(
        record,
        call.field_versions,
        delivery.delivered_version,
        delivery.attempts,
        delivery.attempted_at,
        delivery.failing_for,
        delivery.remote_id,
        delivery.outcome,
        partial=delivery.partial,
    )
    partial_ = is_partial(due, epoch)
    return Push(
        record,
        whole_fields(due, partial=partial_),
        first=not delivery.delivered_version,
        remote_id=delivery.remote_id,
        partial=partial_,
        delivered_version=delivery.delivered_version,
    )
