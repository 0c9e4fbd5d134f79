"""The search terms of calls: `call_keys` has those of a call as one text, `call_terms` one row for each.

Most events of a call change none of its terms, and then nothing is written.
"""

from collections.abc import Collection, Iterable, Mapping

import msgspec
from sqlalchemy import and_, delete, literal_column, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.search_terms import from_text
from relay.ledger.tables import call_keys, call_terms, calls


class CallTerms(msgspec.Struct, frozen=True):
    """The terms of one call as a text, and when the call began."""

    began_at: Instant
    text: str


_Row = tuple[str, Instant, str]

_ids = rows_of(calls.c.id)
_stored = (
    select(call_keys.c.call, call_keys.c.began_at, call_keys.c.terms)
    .select_from(_ids)
    .join(calls, calls.c.id == _ids.c.id)
    .join(call_keys, and_(call_keys.c.began_at == calls.c.began_at, call_keys.c.call == calls.c.id))
)
_rows = rows_of(call_terms.c.term, call_terms.c.began_at, call_terms.c.call)
# SQLite takes ON after a SELECT for the condition of a join unless there is a WHERE.
_always = literal_column("1") == literal_column("1")
_all_rows = select(_rows.c.term, _rows.c.began_at, _rows.c.call)
_key = tuple_(call_terms.c.term, call_terms.c.began_at, call_terms.c.call)
# The terms only find calls: rows that are there already must not stop the fold of their call.
_insert = (
    insert(call_terms)
    .from_select(["term", "began_at", "call"], _all_rows.where(_always))
    .on_conflict_do_nothing()
)
_delete = delete(call_terms).where(_key.in_(_all_rows))
_key_rows = rows_of(call_keys.c.began_at, call_keys.c.call, call_keys.c.terms)
_new_keys = insert(call_keys).from_select(
    ["began_at", "call", "terms"],
    select(_key_rows.c.began_at, _key_rows.c.call, _key_rows.c.terms).where(_always),
)
_insert_keys = _new_keys.on_conflict_do_update(
    index_elements=["began_at", "call"], set_={"terms": _new_keys.excluded.terms}
)
_delete_keys = delete(call_keys).where(
    tuple_(call_keys.c.began_at, call_keys.c.call).in_(select(_key_rows.c.began_at, _key_rows.c.call))
)


def add(connection: Connection, terms: Mapping[str, CallTerms]) -> None:
    """Insert the terms of new calls, by call."""
    _write(connection, {}, terms)


def replace(connection: Connection, terms: Mapping[str, CallTerms]) -> None:
    """Write the difference between these terms and those that the calls have.

    The rows of the calls must still have the times of their stored terms.
    """
    stored = _read(connection, terms)
    before = {id_: old for id_, old in stored.items() if old != terms[id_]}
    _write(connection, before, {id_: terms[id_] for id_ in before})


def remove(connection: Connection, ids: Collection[str]) -> None:
    """Delete the terms of calls that are about to be deleted."""
    _write(connection, _read(connection, ids), {})


def _read(connection: Connection, ids: Iterable[str]) -> dict[str, CallTerms]:
    found = connection.execute(_stored, bound((id_,) for id_ in sorted(ids)))
    return {id_: CallTerms(began_at, text) for id_, began_at, text in found}


def _write(connection: Connection, before: Mapping[str, CallTerms], after: Mapping[str, CallTerms]) -> None:
    """Sorted, so that two transactions lock rows in the same order."""
    old, new = _rows_of(before), _rows_of(after)
    for statement, rows in (
        (_delete, old - new),
        (_insert, new - old),
        (_delete_keys, _keys_of(before)),
        (_insert_keys, _keys_of(after)),
    ):
        if rows:
            connection.execute(statement, bound(sorted(rows)))


def _rows_of(terms: Mapping[str, CallTerms]) -> set[_Row]:
    return {(term, each.began_at, id_) for id_, each in terms.items() for term in from_text(each.text)}


def _keys_of(terms: Mapping[str, CallTerms]) -> set[tuple[Instant, str, str]]:
    return {(each.began_at, id_, each.text) for id_, each in terms.items()}
