"""`relay quarantine`: bodies that could not be parsed, and events that were set aside."""

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, TypeVar

import click
import msgspec

from relay.app import build_parser
from relay.cli.ledger_session import read_ledger, with_ledger
from relay.cli.main import Context
from relay.cli.output import echo, json_option, print_fields, print_json, print_table
from relay.cloudtalk.parser import Parser
from relay.fold.retry_quarantined import RetriedBody, retry_body, retry_event
from relay.instants import iso
from relay.ledger import Ledger, journal, quarantine
from relay.ledger.connection import Connection
from relay.ledger.journal import StoredEvent
from relay.ledger.quarantine import QuarantinedBody
from relay.ledger.states import EventState

T = TypeVar("T")

_Entry = QuarantinedBody | StoredEvent

_COLUMNS: Final = ("id", "kind", "received_at", "reason", "message")
_SET_ASIDE: Final = "set_aside"
_PORTION: Final = 50
"""Entries in one transaction: a full quarantine exceeds the time of a transaction, and the memory."""

_ids_argument = click.argument("ids", metavar="[ID]…", nargs=-1)
_all_option = click.option("--all", "select_all", is_flag=True, help="All entries in quarantine.")


class QuarantineView(msgspec.Struct, frozen=True):
    """A body that could not be parsed, or an event (`kind`) on which the fold failed.

    `id`: a number, for an event with `e` before it. `pointer`: the place of the problem (RFC 6901).
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
    raw: str


@click.group("quarantine")
def command() -> None:
    """List, retry or drop unparsable bodies and failed events."""


@command.command("list")
@json_option
@click.pass_obj
def list_(context: Context, *, as_json: bool) -> None:
    """List the bodies, then the failed events, oldest first."""
    if as_json:
        print_json(read_ledger(context.settings(), lambda connection: list(_list_views(connection))))
    else:
        rows = read_ledger(context.settings(), lambda connection: list(map(_row, _list_views(connection))))
        print_table(_COLUMNS, rows, crop="message")


@command.command("show")
@click.argument("id_", metavar="ID")
@json_option
@click.pass_obj
def show(context: Context, id_: str, *, as_json: bool) -> None:
    """Show one entry with its body as it was received, without its secrets."""
    (entry,) = read_ledger(
        context.settings(), lambda connection: _get_many(connection, _choose(_list_ids(connection), (id_,)))
    )
    view = _view(entry)
    if as_json:
        print_json(view)
    else:
        print_fields(msgspec.structs.asdict(view))


@command.command("retry")
@_ids_argument
@_all_option
@json_option
@click.pass_obj
def retry_(context: Context, ids: tuple[str, ...], *, select_all: bool, as_json: bool) -> None:
    """Parse entries again, after an upgrade or a change of settings.

    A body that can be parsed now leaves the quarantine, and its events are folded. The fold tries an event
    again that was set aside.
    Exit code 1 if a body still cannot be parsed.
    """
    parser = build_parser(context.settings().cloudtalk)
    results = _change(
        context, ids, lambda connection, entry: _retry(connection, parser, entry), select_all=select_all
    )
    if as_json:
        print_json(results)
    else:
        columns = ("id", "events", "problem")
        print_table(columns, map(msgspec.structs.astuple, results), wrap="problem")
    sys.exit(1 if any(result.problem for result in results) else 0)


@command.command("drop")
@_ids_argument
@_all_option
@click.pass_obj
def drop(context: Context, ids: tuple[str, ...], *, select_all: bool) -> None:
    """Delete entries for good."""
    dropped = _change(context, ids, _drop, select_all=select_all)
    echo(f"{len(dropped)} dropped")


def _change(
    context: Context,
    ids: tuple[str, ...],
    change: Callable[[Connection, _Entry], T],
    *,
    select_all: bool,
) -> list[T]:
    """Apply `change` to each of these entries, a few per transaction. An entry that is gone is left out."""
    if bool(ids) == select_all:
        raise click.UsageError("give the IDs of entries, or --all for all entries in quarantine")
    settings = context.settings()
    present = read_ledger(settings, _list_ids)
    chosen = present if select_all else _choose(present, ids)

    async def write(ledger: Ledger) -> list[T]:
        results: list[T] = []
        for portion in _portions(chosen):
            results += await ledger.write(partial(_change_portion, change=change, ids=portion))
        return results

    return with_ledger(settings, write)


def _change_portion(
    connection: Connection, change: Callable[[Connection, _Entry], T], ids: Sequence[str]
) -> list[T]:
    return [change(connection, entry) for entry in _get_many(connection, ids)]


def _list_ids(connection: Connection) -> list[str]:
    """Return the ids of the bodies in quarantine, and then those of the events that were set aside."""
    bodies, events = quarantine.list_ids(connection), journal.list_aside(connection)
    return [*map(str, bodies), *(f"{journal.ASIDE_PREFIX}{seq}" for seq in events)]


def _get_many(connection: Connection, ids: Sequence[str]) -> list[_Entry]:
    """Return the entries with these ids; entries that are gone are absent."""
    seqs = [
        int(id_.removeprefix(journal.ASIDE_PREFIX)) for id_ in ids if id_.startswith(journal.ASIDE_PREFIX)
    ]
    bodies = quarantine.get_many(connection, [int(id_) for id_ in ids if id_.isdecimal()])
    events = journal.get_many(connection, seqs)
    return [*bodies, *(event for event in events if event.state is EventState.ASIDE)]


def _list_views(connection: Connection) -> Iterator[QuarantineView]:
    for portion in _portions(_list_ids(connection)):
        yield from map(_view, _get_many(connection, portion))


def _portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[at : at + _PORTION] for at in range(0, len(ids), _PORTION))


def _row(view: QuarantineView) -> list[object]:
    return [getattr(view, column) for column in _COLUMNS]


def _choose(present: Sequence[str], ids: tuple[str, ...]) -> list[str]:
    """Return each of these ids once. An unknown id ends the command with exit code 1."""
    if missing := sorted(set(ids).difference(present)):
        raise click.ClickException(
            f"no entry in quarantine has the id {', '.join(missing)}; `relay quarantine list` lists them"
        )
    return list(dict.fromkeys(ids))


def _retry(connection: Connection, parser: Parser, entry: _Entry) -> RetriedBody:
    if isinstance(entry, StoredEvent):
        return retry_event(connection, parser, entry)
    return retry_body(connection, parser, entry)


def _drop(connection: Connection, entry: _Entry) -> None:
    if isinstance(entry, StoredEvent):
        journal.remove(connection, entry.seq)
    else:
        quarantine.remove(connection, entry.id)


def _view(entry: _Entry) -> QuarantineView:
    if isinstance(entry, StoredEvent):
        id_: int | str = entry.name
        kind, reason, pointer, message = "event", _SET_ASIDE, "", entry.problem or ""
    else:
        id_ = entry.id
        kind, reason, pointer, message = "body", entry.reason, entry.pointer, entry.message
    return QuarantineView(
        id=id_,
        kind=kind,
        received_at=iso(entry.received_at),
        reason=reason,
        pointer=pointer,
        message=message,
        content_type=entry.content_type,
        path=entry.path,
        query=entry.query,
        raw=entry.raw.decode(errors="replace"),
    )
