"""The versions of a call's row: when a new one begins, and which fields changed in it.

`floor`: the number above which new versions begin, see `relay.ledger.epochs`.
"""

from typing import Final

import msgspec

from relay.call import (
    DELIVERED_FIELDS,
    Call,
    CallState,
    build_record,
    changed_fields,
    has_stated_outcome,
    known_fields,
)
from relay.fold.matching import customer_number
from relay.instants import Instant
from relay.ledger.calls import CallRow

_OUTCOME: Final = ("status", "follow_up")
_UNKNOWN: Final = dict.fromkeys(_OUTCOME, 0)
"""The outcome of a continued call before an event states it: CRMs that have the call keep theirs."""


def first_version(call: str, state: CallState, *, after: int = 0, floor: int) -> CallRow:
    """The row of a call that has none. `after`: the last version that it had before it was removed."""
    version = max(after, floor) + 1
    began_at = _began_at(state, min(state.seen.values()))
    record = build_record(state, id=call, version=version)
    return CallRow(call, version, began_at, state, record, {}, customer_number(state))


def _began_at(state: CallState, arrived_at: Instant) -> Instant:
    """The start of a call; else its end, if its events arrived later than that; else their arrival."""
    started_at, ended_at = state.fact("started_at"), state.fact("ended_at")
    return started_at or min(arrived_at, ended_at or arrived_at)


def continued_version(call: str, state: CallState, *, after: int, floor: int) -> CallRow:
    """The row of a call that retention deleted in the version `after`, with the state of its late events.
    CRMs that have the call receive the fields that these events state.
    """
    row = first_version(call, state, after=after, floor=floor)
    unknown = {} if has_stated_outcome(state) else _UNKNOWN
    known = dict.fromkeys(known_fields(row.record), row.version)
    return msgspec.structs.replace(row, field_versions=known | unknown)


def next_version(row: CallRow, state: CallState, *, floor: int) -> CallRow:
    """The row of a call with this new state. The version changes only if a field that a CRM gets changes."""
    record = build_record(state, id=row.id, version=max(row.version, floor) + 1)
    changed = dict.fromkeys(_changed_fields(row, state, record), record.version)
    if not changed:
        record = msgspec.structs.replace(record, version=row.version)
        return msgspec.structs.replace(row, state=state, record=record)
    began_at = _began_at(state, row.began_at)
    field_versions = row.field_versions | changed
    return CallRow(row.id, record.version, began_at, state, record, field_versions, customer_number(state))


def _changed_fields(row: CallRow, state: CallState, record: Call) -> list[str]:
    """Return the changed fields. The outcome of a continued call counts only once it is stated, but then also
    if it stays the same: the CRM may have another one.
    """
    changed = changed_fields(row.record, record)
    if row.field_versions.get("status") != 0:
        return changed
    if has_stated_outcome(state):
        known = known_fields(record)
        return [*changed, *(field for field in _OUTCOME if field in known)]
    return [field for field in changed if field not in _OUTCOME]


def merged_version(row: CallRow, survivor: str, *, floor: int) -> CallRow:
    """The last version of a call that was merged into another one: CRMs that have it retract it."""
    version = max(row.version, floor) + 1
    record = msgspec.structs.replace(row.record, version=version, merged_into=survivor)
    state = CallState({}, row.state.seen, {}, {})
    return msgspec.structs.replace(row, version=version, record=record, state=state, number=None)


def restored_version(row: CallRow, state: CallState, *, floor: int) -> CallRow:
    """The next version of a call that was merged and is a call again. CRMs have retracted its record, so
    every field counts as changed.
    """
    restored = first_version(row.id, state, after=row.version, floor=floor)
    return msgspec.structs.replace(restored, field_versions=dict.fromkeys(DELIVERED_FIELDS, restored.version))
