"""Pages of the calls of a range, for the audit: oldest first, and the merged ones by themselves."""

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import BigInteger, Text, bindparam, func, select, tuple_

from relay.call import Call
from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.replays import PageCursor
from relay.ledger.tables import calls

_decode_call = msgspec.json.Decoder(Call).decode
_decode_field_versions = msgspec.json.Decoder(dict[str, int]).decode


class AuditedCall(NamedTuple):
    """A call of the ledger. `from_history`: whether CloudTalk's history has stated it."""

    record: Call
    field_versions: dict[str, int]
    began_at: Instant
    from_history: bool


_columns = (
    calls.c.began_at,
    calls.c.id,
    calls.c.from_history,
    calls.c.record,
    calls.c.field_versions,
)
_after = tuple_(bindparam("after_at", type_=BigInteger), bindparam("after_id", type_=Text))
_in_range = (
    calls.c.began_at >= bindparam("since"),
    calls.c.began_at < bindparam("until"),
)
_page = (
    select(*_columns)
    .where(*_in_range, tuple_(calls.c.began_at, calls.c.id) > _after)
    .order_by(calls.c.began_at, calls.c.id)
    .limit(bindparam("limit"))
)
_pages: Final = {
    False: _page.where(calls.c.merged_into.is_(None)),
    # Few calls are merged, and they have an index of their own.
    True: _page.where(calls.c.merged_into.is_not(None)),
}
_ids = rows_of(calls.c.id)
_by_id = select(*_columns).join(_ids, _ids.c.id == calls.c.id)
_count = select(func.count()).select_from(calls).where(*_in_range, calls.c.merged_into.is_(None))


def list_page(
    connection: Connection, after: PageCursor, *, since: Instant, until: Instant, limit: int, merged: bool
) -> tuple[list[AuditedCall], PageCursor | None]:
    """Return the next calls that began at `since` or later, before `until`, and the cursor for the next page
    (None: the last). `merged`: those that became part of another call, else all others.
    """
    page: list[AuditedCall] = []
    cursor = after
    parameters: dict[str, Any] = {
        "since": max(since, after.began_at),  # so that a page does not begin at the start of the range
        "until": until,
        "after_at": after.began_at,
        "after_id": after.id,
        "limit": limit,
    }
    for row in connection.execute(_pages[merged], parameters):
        page.append(_audited_call(row))
        cursor = PageCursor(row[0], row[1])
    return page, cursor if len(page) == limit else None


def get_many(connection: Connection, ids: Collection[str]) -> dict[str, AuditedCall]:
    """Return these calls as they are now; those that were deleted or forgotten are absent."""
    found = connection.execute(_by_id, bound((id_,) for id_ in sorted(ids)))
    return {row[1]: _audited_call(row) for row in found}


def _audited_call(row: Sequence[Any]) -> AuditedCall:
    began_at, _, from_history, record, versions = row
    return AuditedCall(_decode_call(record), _decode_field_versions(versions), began_at, bool(from_history))


def count(connection: Connection, *, since: Instant, until: Instant) -> int:
    """Return how many calls began in this range; a merged one is part of its survivor."""
    number: int = connection.execute(_count, {"since": since, "until": until}).scalar_one()
    return number
