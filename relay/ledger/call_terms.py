"""The table of the search terms: it has those of `calls.terms`, one row each.

Most events of a call change none of its terms, and then nothing is written.
"""

from collections.abc import Collection, Iterable, Mapping

import msgspec
from sqlalchemy import delete, insert, select, tuple_

from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.search_terms import from_text
from relay.ledger.tables import call_terms, calls


class CallTerms(msgspec.Struct, frozen=True):
    """The terms of one call as a text, and when the call began."""

    began_at: Instant
    text: str


_Row = tuple[str, Instant, str]

_ids = rows_of(calls.c.id)
_stored = select(calls.c.id, calls.c.began_at, calls.c.terms).join(_ids, _ids.c.id == calls.c.id)
_rows = rows_of(call_terms.c.term, call_terms.c.began_at, call_terms.c.call)
_all_rows = select(_rows.c.term, _rows.c.began_at, _rows.c.call)
_key = tuple_(call_terms.c.term, call_terms.c.began_at, call_terms.c.call)
_insert = insert(call_terms).from_select(["term", "began_at", "call"], _all_rows)
_delete = delete(call_terms).where(_key.in_(_all_rows))


def add(connection: Connection, terms: Mapping[str, CallTerms]) -> None:
    """Insert the terms of new calls, by call."""
    _add(connection, {row for id_, of_call in terms.items() for row in _rows_of(id_, of_call)})


def replace(connection: Connection, terms: Mapping[str, CallTerms]) -> None:
    """Write the difference between these terms and those that the calls have."""
    before: set[_Row] = set()
    after: set[_Row] = set()
    for id_, stored in _read(connection, terms).items():
        if stored != terms[id_]:
            before.update(_rows_of(id_, stored))
            after.update(_rows_of(id_, terms[id_]))
    _remove(connection, before - after)
    _add(connection, after - before)


def remove(connection: Connection, ids: Collection[str]) -> None:
    """Delete the terms of calls that are about to be deleted."""
    stored = _read(connection, ids)
    _remove(connection, {row for id_, terms in stored.items() for row in _rows_of(id_, terms)})


def _read(connection: Connection, ids: Iterable[str]) -> dict[str, CallTerms]:
    found = connection.execute(_stored, bound((id_,) for id_ in sorted(ids)))
    return {id_: CallTerms(began_at, text) for id_, began_at, text in found}


def _rows_of(id_: str, terms: CallTerms) -> list[_Row]:
    return [(term, terms.began_at, id_) for term in from_text(terms.text)]


def _add(connection: Connection, rows: Collection[_Row]) -> None:
    if rows:
        connection.execute(_insert, bound(sorted(rows)))


def _remove(connection: Connection, rows: Collection[_Row]) -> None:
    if rows:
        connection.execute(_delete, bound(sorted(rows)))
