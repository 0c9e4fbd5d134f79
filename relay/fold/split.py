"""Undoing a link: two calls that were taken for one."""

from functools import reduce

import msgspec
from sqlalchemy import Connection

from relay.call import DELIVERED_FIELDS, CallState, build_record, join, state_from_event
from relay.fold.matching import keep_ids, number_of
from relay.fold.planning import newer
from relay.fold.rebuild import without_redeliveries
from relay.ledger import Ledger, calls, deliveries, journal
from relay.ledger.calls import CallRow
from relay.ledger.journal import StoredEvent
from relay.ledger.lease import Lease


class SplitError(Exception):
    """The call cannot be split; the message says why."""


class Parts(msgspec.Struct, frozen=True):
    """The record that keeps the uuid, and the one that the call_id begins."""

    kept: str
    split_off: str
    events_moved: int


async def split(ledger: Ledger, call: str) -> Parts:
    """Give the call_id of this call a record of its own, for good. Raises `SplitError`."""
    lease = Lease(ledger, "fold", seconds=15)
    await lease.preempt()
    try:
        return await ledger.write(lambda connection: _split(connection, lease, call))
    finally:
        await lease.release()


def _split(connection: Connection, lease: Lease, call: str) -> Parts:
    lease.check(connection)
    known = calls.by_id(connection, [call]).get(call)
    if known is None:
        raise SplitError(f"no call {call}; `relay calls list` shows those that there are")
    ids = [alias for alias in known.state.aliases if alias.startswith("id:")]
    others = [alias for alias in known.state.aliases if not alias.startswith("id:")]
    if not ids or not others:
        raise SplitError(f"{call} has only {', '.join(known.state.aliases)}: nothing was linked")
    rows = journal.list_for_call(connection, call)
    going = [row for row in rows if not set(others) & set(row.parsed.aliases)]
    staying = [row for row in rows if row not in going]
    if not staying:
        raise SplitError(f"no event of {call} bears {', '.join(others)}: there is nothing to tell apart")
    moved = [newer(known, _state(connection, others, staying))]
    calls.write(connection, [], moved)
    other = _id_of(ids[0], known.id)
    if going:
        moved.append(_begin(connection, other, _state(connection, ids, going)))
        journal.move(connection, [row.seq for row in going], other)
    for alias in ids:
        calls.pin(connection, alias, other)
    deliveries.enqueue(connection, [(row.id, row.version) for row in moved], now=lease.now())
    return Parts(known.id, other, len(going))


def _id_of(alias: str, taken: str) -> str:
    """The record's id that the call_id names, unless the call that it is split off already bears it."""
    plain = f"cloudtalk-{alias.partition(':')[2]}"
    return f"cloudtalk-{alias}" if plain == taken else plain


def _begin(connection: Connection, call: str, state: CallState) -> CallRow:
    """A new record, or one that was merged away and is again: CRMs had it taken back."""
    before = calls.by_id(connection, [call]).get(call)
    version = before.version + 1 if before else 1
    record = build_record(state, id=call, version=version)
    began_at = state.fact("started_at") or min(state.seen.values())
    changed = dict.fromkeys(DELIVERED_FIELDS, version) if before else {}
    row = CallRow(call, version, began_at, state, record, changed, number_of(state))
    calls.write(connection, [] if before else [row], [row] if before else [])
    return row


def _state(connection: Connection, aliases: list[str], rows: list[StoredEvent]) -> CallState:
    readings = [(row, row.parsed) for row in rows]
    states = [
        state_from_event(
            keep_ids(reading, [alias for alias in reading.aliases if alias in aliases]),
            seq=row.seq,
            received_at=row.received_at,
        )
        for row, reading in without_redeliveries(connection, readings)
    ]
    return reduce(join, states)
