"""Missed calls whose customer somebody talked to later.

A missed call needs no follow-up any more once a later call with the same customer was answered, in either
direction, by any agent, over any of the team's numbers. Both calls may arrive in any order, and both may
change: so each write of calls ends with a look at the calls around them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from relay.call import CallBack, has_conversation, is_missed
from relay.fold.versions import next_version
from relay.instants import Duration
from relay.ledger import call_backs, calls, epochs, tombstones
from relay.ledger.call_backs import Begin
from relay.ledger.calls import CallRow
from relay.ledger.connection import Connection

_FIELDS: Final = ("status", "direction", "external_number", "started_at", "talking_seconds", "agent_name")
"""A call back depends on these fields of both calls."""


def update_call_backs(
    connection: Connection, written: Iterable[CallRow], *, window: Duration, recomputed: bool = False
) -> list[CallRow]:
    """Write the call backs that these calls change, and return the rows of the changed missed calls.

    `written`: calls that this transaction has written, under the lease of the fold. `window`: how long after
    a missed call a conversation counts. `recomputed`: the events of the calls were joined again, so that a
    conversation may be gone; otherwise it stays.
    """
    news = [row for row in written if recomputed or _is_news(row)]
    rows = {row.id: row for row in news if _may_be_called_back(row)}
    rows |= _read_affected(connection, news, window, recomputed=recomputed)
    if not rows:
        return []
    found = _find_call_backs(connection, rows, window)
    found |= _find_deleted(connection, rows, found, window)
    changed = {row.id: row for row in rows.values() if found.get(row.id) != row.state.call_back}
    if not changed:
        return []
    floor = epochs.version_floor(connection)
    updated = [
        next_version(row, msgspec.structs.replace(row.state, call_back=found.get(id_)), floor=floor)
        for id_, row in changed.items()
    ]
    calls.write(connection, [], updated)
    return updated


def _is_news(row: CallRow) -> bool:
    """Whether this version of a call may change a call back."""
    is_new = not row.field_versions
    return is_new or _is_merged(row) or any(row.field_versions.get(name) == row.version for name in _FIELDS)


def _read_affected(
    connection: Connection, news: Sequence[CallRow], window: Duration, *, recomputed: bool
) -> dict[str, CallRow]:
    """Return the missed calls before these conversations, and those after which one of these calls was the
    first conversation so far.
    """
    talked = [_begin(row) for row in news if has_conversation(row.state) and row.number]
    others = [_begin(row) for row in news if recomputed or _is_merged(row) or _is_internal(row)]
    if not (talked or others):
        return {}
    return calls.get_many(connection, call_backs.list_affected(connection, talked, others, window=window))


def _find_call_backs(
    connection: Connection, rows: Mapping[str, CallRow], window: Duration
) -> dict[str, CallBack]:
    missed = [_begin(row) for row in rows.values() if _may_be_called_back(row)]
    if not missed:
        return {}
    found = call_backs.find_conversations(connection, missed, window=window)
    return {
        id_: CallBack(record.id, began_at, record.agent_name) for id_, (began_at, record) in found.items()
    }


def _find_deleted(
    connection: Connection, rows: Mapping[str, CallRow], found: Mapping[str, CallBack], window: Duration
) -> dict[str, CallBack]:
    """Return the known call backs whose conversations retention has deleted: they took place all the same."""
    known = {
        id_: call_back
        for id_, row in rows.items()
        if (call_back := row.state.call_back) is not None
        and _may_be_called_back(row)
        and row.began_at < call_back.began_at <= row.began_at + window
        and (id_ not in found or call_back.began_at < found[id_].began_at)
    }
    if not known:
        return {}
    deleted = tombstones.list_ids(connection, {call_back.call for call_back in known.values()})
    return {id_: call_back for id_, call_back in known.items() if call_back.call in deleted}


def _may_be_called_back(row: CallRow) -> bool:
    return row.number is not None and not _is_merged(row) and is_missed(row.record)


def _is_merged(row: CallRow) -> bool:
    return row.record.merged_into is not None


def _is_internal(row: CallRow) -> bool:
    return row.record.direction == "internal"


def _begin(row: CallRow) -> Begin:
    return Begin(row.id, row.number or "", row.began_at)
