"""The quarantine as a person sees it: bodies that could not be parsed, and events that were set aside.

The fields of the structs are the keys of their JSON.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import tzinfo
from functools import partial
from typing import Final, TypeVar

import msgspec

from relay.cloudtalk.parser import Parser
from relay.fold.retry_quarantined import RetriedBody, retry_body, retry_event
from relay.instants import iso, local_iso
from relay.ledger import Ledger, actions, journal, quarantine
from relay.ledger.actions import ActionRow
from relay.ledger.connection import Connection
from relay.ledger.journal import StoredEvent
from relay.ledger.quarantine import QuarantinedBody
from relay.ledger.states import EventState
from relay.operations.languages import Text
from relay.operations.quarantine_texts import advice_for

T = TypeVar("T")

Entry = QuarantinedBody | StoredEvent

SET_ASIDE: Final = "set_aside"
"""The reason of an event on which the fold failed."""

_BEGINNING: Final = 200
"""Characters of a body in a list."""

_PORTION: Final = 50
"""Entries in one transaction: a full quarantine exceeds the time of a transaction, and the memory."""


class QuarantineView(msgspec.Struct, frozen=True):
    """A body that could not be parsed, or an event (`kind`) on which the fold failed.

    `id`: a number, for an event with `e` before it. `pointer`: the place of the problem (RFC 6901). `size`:
    of the body, in bytes. In a list, `raw` is its beginning.
    """

    id: int | str
    kind: str
    received_at: str | None
    reason: str
    pointer: str
    message: str
    content_type: str
    path: str
    query: str
    size: int
    raw: str


class QuarantineGroup(msgspec.Struct, frozen=True):
    """The entries with one reason. `example`: the newest. `advice`: what the reason means, and what to do."""

    reason: str
    entries: int
    example: QuarantineView
    advice: Text


# --- reading --------------------------------------------------------------------------------------


def list_ids(connection: Connection, *, reason: str | None = None) -> list[str]:
    """Return the ids of the bodies, and then those of the events; if given, only those with this reason."""
    bodies = [] if reason == SET_ASIDE else quarantine.list_ids(connection, reason=reason)
    events = journal.list_aside(connection) if reason in {None, SET_ASIDE} else []
    return [*map(str, bodies), *(f"{journal.ASIDE_PREFIX}{seq}" for seq in events)]


def get_many(connection: Connection, ids: Sequence[str]) -> list[Entry]:
    """Return the entries with these ids; entries that are gone are absent."""
    seqs = [
        int(id_.removeprefix(journal.ASIDE_PREFIX)) for id_ in ids if id_.startswith(journal.ASIDE_PREFIX)
    ]
    bodies = quarantine.get_many(connection, [int(id_) for id_ in ids if id_.isdecimal()])
    events = journal.get_many(connection, seqs)
    return [*bodies, *(event for event in events if event.state is EventState.ASIDE)]


def list_views(connection: Connection, *, zone: tzinfo | None = None) -> Iterator[QuarantineView]:
    """Yield the entries with the beginning of their body, oldest first; only a few are in memory at once."""
    for portion in _portions(list_ids(connection)):
        for entry in get_many(connection, portion):
            view = view_entry(entry, zone)
            yield msgspec.structs.replace(view, raw=_shorten(view.raw))


def _shorten(raw: str) -> str:
    return raw if len(raw) <= _BEGINNING else f"{raw[:_BEGINNING]}…"


def list_newest(connection: Connection, reason: str, limit: int) -> list[QuarantineView]:
    """Return the newest entries with this reason, the newest first."""
    ids = list_ids(connection, reason=reason)[-limit:]
    return [view_entry(entry) for entry in reversed(get_many(connection, ids))]


def list_groups(connection: Connection) -> list[QuarantineGroup]:
    """Return the entries by their reason: events that were set aside first, then the newest body's reason."""
    groups = []
    if aside := journal.list_aside(connection):
        groups.append(_group(connection, SET_ASIDE, len(aside), f"{journal.ASIDE_PREFIX}{aside[-1]}"))
    for reason, bodies, newest in quarantine.count_by_reason(connection):
        groups.append(_group(connection, reason, bodies, str(newest)))
    return groups


def _group(connection: Connection, reason: str, entries: int, newest: str) -> QuarantineGroup:
    (example,) = get_many(connection, [newest])
    return QuarantineGroup(reason, entries, view_entry(example), advice_for(reason))


def view_entry(entry: Entry, zone: tzinfo | None = None) -> QuarantineView:
    """Return what a person sees of an entry. `zone`: of its time; None: UTC that ends in Z, for programs."""
    if isinstance(entry, StoredEvent):
        id_: int | str = entry.name
        kind, reason, pointer, message = "event", SET_ASIDE, "", entry.problem or ""
    else:
        id_ = entry.id
        kind, reason, pointer, message = "body", entry.reason, entry.pointer, entry.message
    return QuarantineView(
        id=id_,
        kind=kind,
        received_at=iso(entry.received_at) if zone is None else local_iso(entry.received_at, zone),
        reason=reason,
        pointer=pointer,
        message=message,
        content_type=entry.content_type,
        path=entry.path,
        query=entry.query,
        size=len(entry.raw),
        raw=entry.raw.decode(errors="replace"),
    )


# --- changing -------------------------------------------------------------------------------------


async def retry(
    ledger: Ledger, parser: Parser, ids: Sequence[str], *, who: str, chosen: str = ""
) -> list[RetriedBody]:
    """Parse these entries again; entries that are gone are absent from the result. `who`: see `ActionRow`.

    `chosen`: what a person chose instead of single entries, as a reason.
    """
    await _note(ledger, "quarantine.retry", ids, who, chosen)
    return await _change(ledger, ids, lambda connection, entry: _retry(connection, parser, entry))


async def drop(ledger: Ledger, ids: Sequence[str], *, who: str, chosen: str = "") -> int:
    """Delete these entries for good, and return how many there were. `who`, `chosen`: see `retry`."""
    await _note(ledger, "quarantine.drop", ids, who, chosen)
    return len(await _change(ledger, ids, _drop))


async def _note(ledger: Ledger, action: str, ids: Sequence[str], who: str, chosen: str) -> None:
    """Store what a person does, before it is done: it takes several transactions."""
    now, entries = ledger.now(), [chosen] if chosen else ids
    rows = [ActionRow(now, who, action, None, None, entry) for entry in entries]
    await ledger.write(lambda connection: actions.add(connection, rows))


async def _change(ledger: Ledger, ids: Sequence[str], change: Callable[[Connection, Entry], T]) -> list[T]:
    """Apply `change` to each of these entries, a few per transaction."""
    results: list[T] = []
    for portion in _portions(ids):
        results += await ledger.write(partial(_change_portion, change=change, ids=portion))
    return results


def _change_portion(
    connection: Connection, change: Callable[[Connection, Entry], T], ids: Sequence[str]
) -> list[T]:
    return [change(connection, entry) for entry in get_many(connection, ids)]


def _portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[at : at + _PORTION] for at in range(0, len(ids), _PORTION))


def _retry(connection: Connection, parser: Parser, entry: Entry) -> RetriedBody:
    if isinstance(entry, StoredEvent):
        return retry_event(connection, parser, entry)
    return retry_body(connection, parser, entry)


def _drop(connection: Connection, entry: Entry) -> None:
    if isinstance(entry, StoredEvent):
        journal.remove(connection, entry.seq)
    else:
        quarantine.remove(connection, entry.id)
