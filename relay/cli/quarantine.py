"""`relay quarantine`: list bodies that could not be parsed, and retry or drop them."""

import sys
from collections.abc import Callable
from typing import Final, TypeVar

import click
import msgspec
from sqlalchemy import Connection

from relay.app import build_parser
from relay.cli.ledger_session import read_ledger, write_ledger
from relay.cli.main import Context
from relay.cli.output import echo, json_option, print_fields, print_json, print_records, print_table
from relay.fold.retry_quarantined import retry_body
from relay.instants import iso
from relay.ledger import quarantine
from relay.ledger.quarantine import QuarantinedBody

T = TypeVar("T")

_COLUMNS: Final = ("id", "received_at", "reason", "message")

_ids_argument = click.argument("ids", metavar="[ID]…", type=int, nargs=-1)
_all_option = click.option("--all", "select_all", is_flag=True, help="All bodies in quarantine.")


class QuarantineView(msgspec.Struct, frozen=True):
    """A body in quarantine. `pointer` is the place of the problem in it (RFC 6901)."""

    id: int
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
    """List bodies that could not be parsed; retry or drop them."""


@command.command("list")
@json_option
@click.pass_obj
def list_(context: Context, *, as_json: bool) -> None:
    """List the bodies in quarantine, oldest first."""
    views = [_view(body) for body in read_ledger(context.settings(), quarantine.list_all)]
    if as_json:
        print_json(views)
    else:
        print_records(_COLUMNS, views, crop="message")


@command.command("show")
@click.argument("id_", metavar="ID", type=int)
@json_option
@click.pass_obj
def show(context: Context, id_: int, *, as_json: bool) -> None:
    """Show one body as it was received, without its secrets."""
    (body,) = read_ledger(context.settings(), lambda connection: _require_bodies(connection, (id_,)))
    view = _view(body)
    if as_json:
        print_json(view)
    else:
        print_fields(msgspec.structs.asdict(view))


@command.command("retry")
@_ids_argument
@_all_option
@json_option
@click.pass_obj
def retry_(context: Context, ids: tuple[int, ...], *, select_all: bool, as_json: bool) -> None:
    """Parse bodies again, after an upgrade or a change of settings.

    A body that can be parsed now leaves the quarantine, and its events are folded.
    Exit code 1 if a body still cannot be parsed.
    """
    parser = build_parser(context.settings().cloudtalk)
    results = _change(
        context, ids, lambda connection, body: retry_body(connection, parser, body), select_all=select_all
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
def drop(context: Context, ids: tuple[int, ...], *, select_all: bool) -> None:
    """Delete bodies for good."""
    dropped = _change(
        context,
        ids,
        lambda connection, body: quarantine.remove(connection, body.id),
        select_all=select_all,
    )
    echo(f"{len(dropped)} dropped")


def _change(
    context: Context,
    ids: tuple[int, ...],
    change: Callable[[Connection, QuarantinedBody], T],
    *,
    select_all: bool,
) -> list[T]:
    """Apply `change` to each of these bodies, in one transaction."""
    if bool(ids) == select_all:
        raise click.UsageError("give the IDs of bodies, or --all for all bodies in quarantine")

    def write(connection: Connection) -> list[T]:
        bodies = quarantine.list_all(connection) if select_all else _require_bodies(connection, ids)
        return [change(connection, body) for body in bodies]

    return write_ledger(context.settings(), write)


def _require_bodies(connection: Connection, ids: tuple[int, ...]) -> list[QuarantinedBody]:
    """Return the bodies with these ids, each once. An unknown id ends the command with exit code 1."""
    bodies = {body.id: body for body in quarantine.list_all(connection)}
    if missing := [id_ for id_ in ids if id_ not in bodies]:
        listed = ", ".join(map(str, missing))
        raise click.ClickException(
            f"no body in quarantine has the id {listed}; `relay quarantine list` lists them"
        )
    return [bodies[id_] for id_ in dict.fromkeys(ids)]


def _view(body: QuarantinedBody) -> QuarantineView:
    return QuarantineView(
        id=body.id,
        received_at=iso(body.received_at),
        reason=body.reason,
        pointer=body.pointer,
        message=body.message,
        content_type=body.content_type,
        path=body.path,
        query=body.query,
        raw=body.raw.decode(errors="replace"),
    )
