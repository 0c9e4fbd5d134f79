"""`relay quarantine`: bodies that could not be parsed, and events that were set aside."""

import sys
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import click
import msgspec
from sqlalchemy import Connection

from relay.app import build_parser
from relay.cli.ledger_session import read_ledger, write_ledger
from relay.cli.main import Context
from relay.cli.output import echo, json_option, print_fields, print_json, print_records, print_table
from relay.cloudtalk.parser import Parser
from relay.fold.retry_quarantined import RetriedBody, retry_body, retry_event
from relay.instants import iso
from relay.ledger import journal, quarantine
from relay.ledger.journal import StoredEvent
from relay.ledger.quarantine import QuarantinedBody

T = TypeVar("T")

_Entry = QuarantinedBody | StoredEvent

_COLUMNS: Final = ("id", "kind", "received_at", "reason", "message")
_SET_ASIDE: Final = "set_aside"

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
    views = [_view(entry) for entry in read_ledger(context.settings(), _list_entries).values()]
    if as_json:
        print_json(views)
    else:
        print_records(_COLUMNS, views, crop="message")


@command.command("show")
@click.argument("id_", metavar="ID")
@json_option
@click.pass_obj
def show(context: Context, id_: str, *, as_json: bool) -> None:
    """Show one entry with its body as it was received, without its secrets."""
    (entry,) = read_ledger(context.settings(), lambda connection: _choose(_list_entries(connection), (id_,)))
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
    """Apply `change` to each of these entries, in one transaction."""
    if bool(ids) == select_all:
        raise click.UsageError("give the IDs of entries, or --all for all entries in quarantine")

    def write(connection: Connection) -> list[T]:
        entries = _list_entries(connection)
        chosen = list(entries.values()) if select_all else _choose(entries, ids)
        return [change(connection, entry) for entry in chosen]

    return write_ledger(context.settings(), write)


def _list_entries(connection: Connection) -> dict[str, _Entry]:
    """Return the bodies in quarantine, and then the events that were set aside, by the id of the entry."""
    bodies = {str(body.id): body for body in quarantine.list_all(connection)}
    events = journal.get_many(connection, journal.list_aside(connection))
    return bodies | {event.name: event for event in events}


def _choose(entries: Mapping[str, _Entry], ids: tuple[str, ...]) -> list[_Entry]:
    """Return the entries with these ids, each once. An unknown id ends the command with exit code 1."""
    if missing := [id_ for id_ in ids if id_ not in entries]:
        raise click.ClickException(
            f"no entry in quarantine has the id {', '.join(missing)}; `relay quarantine list` lists them"
        )
    return [entries[id_] for id_ in dict.fromkeys(ids)]


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
