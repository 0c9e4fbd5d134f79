"""Tombstones: what stays of a call that retention deleted, so that a late event continues it.

A tombstone is the id of the call and its last version. The aliases of the call stay with it. Without them
the late event would begin a new call, whose first version would replace the record in the CRMs. The
deliveries of the CRMs that have the call stay too: only these CRMs receive what a late event states.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping

import msgspec
from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from relay.instants import Instant
from relay.ledger.aliases import LEG_OF
from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.tables import aliases, calls, deliveries, tombstones


class Tombstone(msgspec.Struct, frozen=True):
    """The last version of a deleted call, and its aliases, sorted."""

    version: int
    aliases: list[str]


_ids = rows_of(tombstones.c.call)
_deleted = select(calls.c.id, calls.c.version, bindparam("now")).where(calls.c.id.in_(select(_ids.c.call)))
_new = insert(tombstones).from_select(["call", "version", "pruned_at"], _deleted)
_add = _new.on_conflict_do_update(
    index_elements=["call"], set_={"version": _new.excluded.version, "pruned_at": _new.excluded.pruned_at}
)


def add(connection: Connection, ids: Collection[str], *, now: Instant) -> None:
    """Write the tombstones of these calls, which are about to be deleted."""
    connection.execute(_add, bound((id_,) for id_ in sorted(ids)) | {"now": now})


_versions = select(tombstones.c.call, tombstones.c.version).join(_ids, _ids.c.call == tombstones.c.call)
_aliases = select(aliases.c.call, aliases.c.alias).join(_ids, _ids.c.call == aliases.c.call)


def get_many(connection: Connection, ids: Collection[str]) -> Mapping[str, Tombstone]:
    """Return the tombstones of these calls; calls without one are absent."""
    if not ids:
        return {}
    versions = connection.execute(_versions, bound((id_,) for id_ in sorted(ids))).all()
    if not versions:
        return {}
    by_call = defaultdict[str, list[str]](list)
    for call, alias in connection.execute(_aliases, bound((call,) for call, _ in versions)):
        if not alias.startswith(LEG_OF):
            by_call[call].append(alias)
    return {call: Tombstone(version, sorted(by_call[call])) for call, version in versions}


_with_tombstone = select(tombstones.c.call).join(_ids, _ids.c.call == tombstones.c.call)


def list_ids(connection: Connection, ids: Collection[str]) -> set[str]:
    """Return those of these calls that retention deleted once, also if a late event continued them."""
    return set(connection.execute(_with_tombstone, bound((id_,) for id_ in sorted(ids))).scalars())


_pruned_at = select(tombstones.c.call, tombstones.c.pruned_at).join(_ids, _ids.c.call == tombstones.c.call)


def pruned_at(connection: Connection, ids: Collection[str]) -> dict[str, Instant]:
    """Return when retention deleted each of these calls; calls without a tombstone are absent."""
    return dict(connection.execute(_pruned_at, bound((id_,) for id_ in sorted(ids))).all())


_old = (
    select(tombstones.c.call)
    .where(tombstones.c.pruned_at < bindparam("before"))
    .order_by(tombstones.c.pruned_at)
    .limit(bindparam("limit"))
)
_continued = select(calls.c.id).join(_ids, _ids.c.call == calls.c.id)
_delete_aliases = delete(aliases).where(aliases.c.call.in_(select(_ids.c.call)))
_delete_deliveries = delete(deliveries).where(deliveries.c.call.in_(select(_ids.c.call)))
_delete = delete(tombstones).where(tombstones.c.call.in_(select(_ids.c.call)))


def remove(connection: Connection, call: str) -> None:
    """Remove the tombstone of a call that is known as a whole again."""
    connection.execute(_delete, bound([(call,)]))


def delete_old(connection: Connection, *, before: Instant, limit: int) -> bool:
    """Delete up to `limit` tombstones of calls that were deleted before an instant, and the aliases and
    deliveries of those that no late event continued. Return whether there may be more.
    """
    ids = set(connection.execute(_old, {"before": before, "limit": limit}).scalars())
    continued = set(connection.execute(_continued, bound((id_,) for id_ in sorted(ids))).scalars())
    forgotten = bound((id_,) for id_ in sorted(ids - continued))
    connection.execute(_delete_aliases, forgotten)
    connection.execute(_delete_deliveries, forgotten)
    connection.execute(_delete, bound((id_,) for id_ in sorted(ids)))
    return len(ids) == limit
