"""Finding all that the ledger has about a number or a call, and erasing it (`relay forget`).

What stays are keyed hashes (`forgotten`), and for each CRM that may have a call the order to erase it there
(`deliveries.erasing`).
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import bindparam, delete, exists, func, or_, select

from relay.call import Call
from relay.instants import Instant
from relay.ledger import call_terms, calls, deliveries, forgotten, recordings
from relay.ledger.calls import CallRow
from relay.ledger.connection import Connection
from relay.ledger.deliveries import Erasure
from relay.ledger.json_rows import ContainsText, bound, rows_of
from relay.ledger.recordings import ArchivedRecording
from relay.ledger.tables import (
    actions,
    aliases,
    attempts,
    audit_findings,
    bodies,
    client_state,
    dedup_keys,
    enrichments,
    events,
    tombstones,
)
from relay.ledger.tables import calls as calls_table
from relay.ledger.tables import recordings as recordings_table

_decode_call = msgspec.json.Decoder(Call).decode


class Page(NamedTuple):
    """Some calls, by id. `last`: where the next page begins; None after the last page."""

    found: dict[str, Call]
    last: str | None


_page = (
    select(calls_table.c.id)
    .where(calls_table.c.id > bindparam("after"))
    .order_by(calls_table.c.id)
    .limit(bindparam("limit"))
)
_with_digits = select(calls_table.c.id, calls_table.c.record).where(
    calls_table.c.id > bindparam("after"),
    calls_table.c.id <= bindparam("last"),
    ContainsText(calls_table.c.record, bindparam("digits")),
)


def find_with_digits(connection: Connection, digits: str, *, after: str, limit: int) -> Page:
    """Return those of the next `limit` calls whose record has these digits anywhere, merged calls too."""
    ids = connection.execute(_page, {"after": after, "limit": limit}).scalars()
    if not ids:
        return Page({}, None)
    rows = connection.execute(_with_digits, {"after": after, "last": ids[-1], "digits": digits})
    found = {id_: _decode_call(record) for id_, record in rows}
    return Page(found, ids[-1] if len(ids) == limit else None)


_by_number = select(calls_table.c.id).where(calls_table.c.number == bindparam("number"))
_ids = rows_of(calls_table.c.id)
_merged = select(calls_table.c.id).join(_ids, _ids.c.id == calls_table.c.merged_into)
_survivors = (
    select(calls_table.c.merged_into)
    .join(_ids, _ids.c.id == calls_table.c.id)
    .where(calls_table.c.merged_into.is_not(None))
)


def list_by_number(connection: Connection, number: str) -> list[str]:
    """Return the ids of the calls with this customer number in E.164."""
    return connection.execute(_by_number, {"number": number}).scalars()


def with_merged(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Return these calls, those that were merged into them, and those that they were merged into."""
    known, new = set[str](), set(ids)
    while new:
        known |= new
        rows = bound((id_,) for id_ in sorted(new))
        linked = [
            each for query in (_merged, _survivors) for each in connection.execute(query, rows).scalars()
        ]
        new = set(linked) - known
    return known


_called_back = (
    select(calls_table.c.id)
    .join(_ids, _ids.c.id == calls_table.c.called_back_call)
    .order_by(calls_table.c.id)
)


def list_called_back_by(connection: Connection, ids: Iterable[str]) -> list[str]:
    """Return the missed calls whose customer was talked to in one of these calls."""
    return connection.execute(_called_back, bound((id_,) for id_ in sorted(ids))).scalars()


class Amount(NamedTuple):
    """How much there is about some calls. `destinations`: name → calls that the CRM has or may have."""

    events: int
    recordings: list[ArchivedRecording]
    destinations: dict[str, int]


_of_calls = rows_of(events.c.call)
_count_events = select(func.count()).select_from(events.join(_of_calls, _of_calls.c.call == events.c.call))


def measure(connection: Connection, ids: Collection[str]) -> Amount:
    """Count what would be erased with these calls."""
    rows = bound((id_,) for id_ in sorted(ids))
    number = int(connection.execute(_count_events, rows).scalar_one())
    archived = [found for id_ in sorted(ids) if (found := recordings.get_archived(connection, id_))]
    return Amount(number, archived, deliveries.count_erasures(connection, ids))


# --- erasing ------------------------------------------------------------------------------------


class Erased(NamedTuple):
    """What was erased. `pending`: what CRMs are to erase now; `unserved`: what no relay can erase."""

    calls: int
    events: int
    pending: list[Erasure]
    unserved: list[Erasure]


_aliases = select(aliases.c.call, aliases.c.alias).join(_of_calls, _of_calls.c.call == aliases.c.call)
_seqs = select(events.c.seq).where(events.c.call.in_(select(_of_calls.c.call)))
_ID_NAMESPACES: Final = frozenset({"uuid", "other", "id"})
_ABOUT_CALLS: Final = (
    *(aliases, attempts, actions, audit_findings, tombstones),
    *(recordings_table, enrichments),
)
_delete_rest: Final = (
    delete(bodies).where(bodies.c.seq.in_(_seqs)),
    delete(dedup_keys).where(dedup_keys.c.seq.in_(_seqs)),
    *(delete(table).where(table.c.call.in_(select(_of_calls.c.call))) for table in _ABOUT_CALLS),
    delete(calls_table).where(calls_table.c.id.in_(select(_of_calls.c.call))),
)
_delete_state_of_call = delete(client_state).where(
    client_state.c.destination == bindparam("of_destination"),
    ContainsText(client_state.c.key, bindparam("of_call")),
)
_delete_events = delete(events).where(events.c.call.in_(select(_of_calls.c.call)))


def erase_calls(
    connection: Connection,
    ids: Collection[str],
    fields: Mapping[str, Collection[str]],
    *,
    now: Instant,
    by_number: bool,
) -> Erased:
    """Delete these calls with all that belongs to them, and keep hashes of their ids.

    `fields`: see `enqueue_erasures`. `by_number`: their number is forgotten too. Otherwise the number and the
    start of each call are, so that an event with another id of it does not begin it again.
    """
    key = forgotten.require_key(connection)
    found = calls.get_many(connection, ids)
    by_call = _read_aliases(connection, ids)
    for id_, of_call in by_call.items():
        number = found[id_].number if id_ in found else None
        forgotten.add_ids(connection, key, of_call, number, now=now)
    if not by_number:
        _forget_starts(connection, key, found.values(), by_call, now=now)
    records = dict.fromkeys(ids) | {id_: row.record for id_, row in found.items()}
    pending, unserved = deliveries.enqueue_erasures(connection, records, fields, now=now)
    for each in unserved:
        connection.execute(_delete_state_of_call, {"of_destination": each.destination, "of_call": each.call})
    rows = bound((id_,) for id_ in sorted(ids))
    call_terms.remove(connection, ids)
    for statement in _delete_rest:
        connection.execute(statement, rows)
    deleted = connection.execute(_delete_events, rows).rowcount
    return Erased(len(found), deleted, pending, unserved)


def _read_aliases(connection: Connection, ids: Collection[str]) -> dict[str, list[str]]:
    by_call = defaultdict[str, list[str]](list)
    for call, alias in connection.execute(_aliases, bound((id_,) for id_ in sorted(ids))):
        by_call[call].append(alias)
    return by_call


def _forget_starts(
    connection: Connection,
    key: bytes,
    rows: Iterable[CallRow],
    by_call: Mapping[str, Collection[str]],
    *,
    now: Instant,
) -> None:
    for row in rows:
        known = {alias.partition(":")[0] for alias in by_call.get(row.id, ())}
        if row.number:
            forgotten.add_start(connection, key, row.number, row.began_at, _ID_NAMESPACES - known, now=now)


_state_with_number = select(client_state.c.destination, client_state.c.key, client_state.c.value).where(
    or_(
        ContainsText(client_state.c.key, bindparam("number")),
        ContainsText(client_state.c.value, bindparam("number")),
    )
)
_names = rows_of(client_state.c.destination, client_state.c.key)
_delete_state = delete(client_state).where(
    exists().where(client_state.c.destination == _names.c.destination, client_state.c.key == _names.c.key)
)


def forget_number(connection: Connection, number: str, *, now: Instant) -> None:
    """Keep a hash of this number in E.164, and delete what the clients keep under it."""
    forgotten.add_number(connection, forgotten.require_key(connection), number, now=now)
    delete_number(connection, number)


def delete_number(connection: Connection, number: str) -> None:
    """Delete what the clients keep under this number."""
    whole = re.compile(rf"{re.escape(number)}(?!\d)")  # not a longer number that begins like this one
    rows = connection.execute(_state_with_number, {"number": number}).all()
    about = [(name, key) for name, key, value in rows if whole.search(key) or whole.search(value)]
    if about:
        connection.execute(_delete_state, bound(sorted(about)))
