"""The queue of recordings to archive, and where each archived one is."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from sqlalchemy import and_, bindparam, delete, exists, func, literal, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from relay.call import Call
from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.states import RecordingState, has_state, sql_state
from relay.ledger.tables import calls
from relay.ledger.tables import recordings as table


class DueRecording(NamedTuple):
    """A recording to archive. `object`: the archived one that it replaces."""

    call: str
    source: str
    enqueued_at: Instant
    attempts: int
    object: str | None


class ArchivedRecording(NamedTuple):
    """Where the recording of a call is in the archive. `size`: that of the audio in bytes."""

    call: str
    object: str
    size: int
    content_type: str
    archived_at: Instant


MERGED: Final = "merged"
"""Why a recording is missing whose call is part of another one."""

_always = literal_column("1") == literal_column("1")
_rows = rows_of(table.c.call, table.c.source)
_new = insert(table).from_select(
    ["call", "source", "state", "enqueued_at", "due_at", "attempts"],
    select(
        _rows.c.call,
        _rows.c.source,
        sql_state(RecordingState.PENDING),
        bindparam("now"),
        bindparam("now"),
        literal(0),
    ).where(_always),
)
_enqueue = _new.on_conflict_do_update(
    index_elements=["call"],
    set_={
        "source": _new.excluded.source,
        "state": _new.excluded.state,
        "enqueued_at": _new.excluded.enqueued_at,
        "due_at": _new.excluded.due_at,
        "attempts": _new.excluded.attempts,
        "reason": None,
    },
    # A call that was merged when its turn came, and is a call again.
    where=or_(table.c.source != _new.excluded.source, table.c.reason == MERGED),
)


def enqueue(connection: Connection, records: Iterable[Call], *, now: Instant) -> None:
    """Make the recordings of these calls pending. Known ones are left as they are."""
    rows = [(call.id, call.recording_url) for call in records if call.recording_url and not call.merged_into]
    if rows:
        connection.execute(_enqueue, bound(rows) | {"now": now})


_busy = rows_of(table.c.call)
_due = (
    select(table.c.call, table.c.source, table.c.enqueued_at, table.c.attempts, table.c.object)
    .where(
        has_state(table.c.state, RecordingState.PENDING),
        table.c.due_at <= bindparam("now"),
        table.c.call.not_in(select(_busy.c.call)),
    )
    .order_by(table.c.due_at)
    .limit(bindparam("limit"))
)


def list_due(connection: Connection, *, busy: Iterable[str], now: Instant, limit: int) -> list[DueRecording]:
    """Return the next recordings to archive, without those that are being archived."""
    parameters = bound((call,) for call in busy) | {"now": now, "limit": limit}
    return [DueRecording(*row) for row in connection.execute(_due, parameters)]


_of_due = and_(table.c.call == bindparam("of_call"), table.c.source == bindparam("of_source"))
_set_archived = (
    update(table)
    .where(_of_due)
    .values(
        state=RecordingState.ARCHIVED,
        reason=None,
        object=bindparam("new_object"),
        size=bindparam("new_size"),
        content_type=bindparam("new_type"),
        archived_at=bindparam("now"),
    )
)
_set_failed = (
    update(table)
    .where(_of_due)
    .values(
        state=bindparam("new_state"),
        attempts=table.c.attempts + 1,
        due_at=bindparam("new_due_at"),
        reason=bindparam("new_reason"),
    )
)


def set_archived(connection: Connection, due: DueRecording, stored: ArchivedRecording) -> bool:
    """State where the recording is. If the call got another recording meanwhile, or was forgotten, nothing is
    written. Return whether it was.
    """
    parameters = {
        "of_call": due.call,
        "of_source": due.source,
        "new_object": stored.object,
        "new_size": stored.size,
        "new_type": stored.content_type,
        "now": stored.archived_at,
    }
    return connection.execute(_set_archived, parameters).rowcount > 0


def set_failed(connection: Connection, due: DueRecording, reason: str, retry_at: Instant | None) -> None:
    """State why the recording could not be archived. `retry_at`: None to give it up."""
    state = RecordingState.MISSING if retry_at is None else RecordingState.PENDING
    parameters = {
        "of_call": due.call,
        "of_source": due.source,
        "new_state": state,
        "new_due_at": retry_at or 0,
        "new_reason": reason,
    }
    connection.execute(_set_failed, parameters)


_archived = select(table.c.call, table.c.object, table.c.size, table.c.content_type, table.c.archived_at)
_of_call = _archived.where(table.c.call == bindparam("call"), table.c.object.is_not(None))
_expired = (
    _archived.where(table.c.archived_at < bindparam("before"), table.c.object.is_not(None))
    .order_by(table.c.archived_at)
    .limit(bindparam("limit"))
)


def get_archived(connection: Connection, call: str) -> ArchivedRecording | None:
    """Return where the recording of this call is archived; None if it is not."""
    row = connection.execute(_of_call, {"call": call}).one_or_none()
    return None if row is None else ArchivedRecording(*row)


def list_expired(connection: Connection, *, before: Instant, limit: int) -> list[ArchivedRecording]:
    """Return recordings that were archived before an instant, the oldest first."""
    return [
        ArchivedRecording(*row) for row in connection.execute(_expired, {"before": before, "limit": limit})
    ]


_set_expired = (
    update(table)
    .where(table.c.call == bindparam("of_call"), table.c.object == bindparam("of_object"))
    .values(state=RecordingState.EXPIRED, object=None, archived_at=None)
)
_delete_settled = delete(table).where(
    has_state(table.c.state, RecordingState.EXPIRED, RecordingState.MISSING),
    table.c.object.is_(None),
    ~exists().where(calls.c.id == table.c.call),
)


def set_expired(connection: Connection, expired: ArchivedRecording) -> None:
    """State that the recording was deleted. The row stays: a change of the call must not archive it again."""
    connection.execute(_set_expired, {"of_call": expired.call, "of_object": expired.object})


def delete_settled(connection: Connection) -> None:
    """Delete the rows of recordings that are not archived and whose calls retention deleted."""
    connection.execute(_delete_settled)


_pending = select(func.count(), func.min(table.c.enqueued_at)).where(
    has_state(table.c.state, RecordingState.PENDING)
)


def count_pending(connection: Connection) -> tuple[int, Instant | None]:
    """Return how many recordings are to be archived, and since when the oldest one is."""
    number, since = connection.execute(_pending).one()
    return int(number), since
