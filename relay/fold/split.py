"""Undo a wrong link: split a call into the record of its uuid and the record of its call_id."""

import msgspec

from relay.call import CallState
from relay.fold.call_backs import update_call_backs
from relay.fold.join_stored import join_events
from relay.fold.options import FoldOptions
from relay.fold.versions import first_version, next_version, restored_version
from relay.ledger import Ledger, aliases, calls, deliveries, epochs, journal, recordings, tombstones
from relay.ledger.calls import CallRow
from relay.ledger.connection import Connection
from relay.ledger.lease_holder import Lease


class SplitError(Exception):
    """The call cannot be split; the message says why."""


class SplitResult(msgspec.Struct, frozen=True):
    """`kept`: id of the record that keeps the uuid. `split_off`: id of the record of the call_id."""

    kept: str
    split_off: str
    events_moved: int


async def split_call(ledger: Ledger, call: str, options: FoldOptions) -> SplitResult:
    """Give the call_id of this call a record of its own. No later event links the two again.

    Raises `SplitError`.
    """
    lease = Lease(ledger, "fold", seconds=15)
    await lease.preempt()
    try:
        return await ledger.write(lambda connection: _split(connection, lease, call, options))
    finally:
        await lease.release()


def _split(connection: Connection, lease: Lease, call: str, options: FoldOptions) -> SplitResult:
    lease.check(connection)
    row = calls.get_many(connection, [call]).get(call)
    if row is None:
        raise SplitError(f"no call {call}; `relay calls list` shows the ids of the calls")
    call_ids, other_ids = _split_aliases(row)
    events = journal.list_for_call(connection, call)
    staying = [event for event in events if set(other_ids) & set(event.parsed.aliases)]
    leaving = [event for event in events if not set(other_ids) & set(event.parsed.aliases)]
    state = join_events(connection, staying, other_ids)
    if state is None:
        raise SplitError(f"no event of {call} has {' or '.join(other_ids)}: its events cannot be assigned")
    floor = epochs.version_floor(connection)
    rows = [next_version(row, state, floor=floor)]
    calls.write(connection, [], rows)
    split_off = _split_off_id(call_ids[0], row.id)
    if (state := join_events(connection, leaving, call_ids)) is not None:
        rows.append(_write_split_off(connection, split_off, state))
        journal.mark_folded(connection, [(event.seq, split_off) for event in leaving])
    for alias in call_ids:
        aliases.pin(connection, alias, split_off)
    called_back = update_call_backs(connection, rows, window=options.call_back_window, recomputed=True)
    versions = {changed.id: changed.version for changed in (*rows, *called_back)}
    deliveries.enqueue(connection, list(versions.items()), now=lease.now())
    if options.archives_recordings:
        recordings.enqueue(connection, [changed.record for changed in rows], now=lease.now())
    return SplitResult(row.id, split_off, len(leaving))


def _split_aliases(row: CallRow) -> tuple[list[str], list[str]]:
    """The call_ids of a call and its other ids. Raises `SplitError` if it has only one of the two."""
    call_ids = [alias for alias in row.state.aliases if alias.startswith("id:")]
    other_ids = [alias for alias in row.state.aliases if not alias.startswith("id:")]
    if not call_ids or not other_ids:
        raise SplitError(f"{row.id} has only {', '.join(row.state.aliases)}: nothing was linked")
    return call_ids, other_ids


def _split_off_id(alias: str, taken: str) -> str:
    """The id of the record that the call_id begins; `taken` is the id of the call that it is split off."""
    plain = f"cloudtalk-{alias.partition(':')[2]}"
    return f"cloudtalk-{alias}" if plain == taken else plain


def _write_split_off(connection: Connection, call: str, state: CallState) -> CallRow:
    """Write the record of the call_id, which may have existed before it was merged."""
    floor = epochs.version_floor(connection)
    tombstone = tombstones.get_many(connection, [call]).get(call)
    tombstones.remove(connection, call)
    before = calls.get_many(connection, [call]).get(call)
    if before is None:
        row = first_version(call, state, after=tombstone.version if tombstone else 0, floor=floor)
        calls.write(connection, [row], [])
        return row
    row = restored_version(before, state, floor=floor)
    calls.write(connection, [], [row])
    return row
