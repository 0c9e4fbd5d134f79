"""`relay quarantine`: bodies that could not be read."""

import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click
from sqlalchemy import Connection

from relay.cli.ledger import read_ledger, write_ledger
from relay.cli.main import Context
from relay.cli.output import as_json, print_json, print_table
from relay.fold.quarantine import retry_body
from relay.instants import iso
from relay.ledger import quarantine
from relay.ledger.quarantine import QuarantinedBody

T = TypeVar("T")

_COLUMNS: Final = ("id", "received_at", "reason", "pointer", "message", "path")


@click.group("quarantine")
def command() -> None:
    """Look at bodies that could not be read."""


@command.command("list")
@as_json
@click.pass_obj
def list_(context: Context, *, wants_json: bool) -> None:
    """List what is kept, oldest first."""
    found = [_shown(row) for row in read_ledger(context.settings(), quarantine.list_all)]
    if wants_json:
        print_json(found)
    else:
        print_table(_COLUMNS, [[row[column] for column in _COLUMNS] for row in found])


@command.command("show")
@click.argument("number", metavar="ID", type=int)
@as_json
@click.pass_obj
def show(context: Context, number: int, *, wants_json: bool) -> None:
    """Show one body, as it came but for its secrets."""
    rows = {row.id: row for row in read_ledger(context.settings(), quarantine.list_all)}
    if number not in rows:
        raise click.ClickException(_unknown([number]))
    found = _shown(rows[number])
    if wants_json:
        print_json(found)
    else:
        print_table(("field", "value"), list(found.items()))


@command.command("retry")
@click.argument("numbers", metavar="[ID]…", type=int, nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that is kept.")
@as_json
@click.pass_obj
def retry_(context: Context, numbers: tuple[int, ...], *, every: bool, wants_json: bool) -> None:
    """Read bodies again, after an upgrade or a change of settings.

    Ends with 1 if one still cannot be read.
    """
    from relay.app import build_parser  # noqa: PLC0415 - app assembles what cli only asks

    settings = context.settings()
    reader = build_parser(settings.cloudtalk)
    found = _each(context, numbers, lambda c, row: retry_body(c, reader, row), every=every)
    if wants_json:
        print_json(found)
    else:
        print_table(("id", "events", "problem"), [(r.id, r.events, r.problem) for r in found])
    sys.exit(1 if any(retried.problem for retried in found) else 0)


@command.command("drop")
@click.argument("numbers", metavar="[ID]…", type=int, nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that is kept.")
@click.pass_obj
def drop(context: Context, numbers: tuple[int, ...], *, every: bool) -> None:
    """Forget bodies for good."""
    dropped = _each(context, numbers, lambda c, row: quarantine.remove(c, row.id), every=every)
    click.echo(f"{len(dropped)} dropped")


def _each(
    context: Context,
    numbers: tuple[int, ...],
    work: Callable[[Connection, QuarantinedBody], T],
    *,
    every: bool,
) -> list[T]:
    """What `work` makes of each of these; one that is not there ends the command before anything is done."""
    if bool(numbers) == every:
        raise click.UsageError("name the bodies by their IDs, or all of them by --all")

    def work_on_all(connection: Connection) -> list[T]:
        rows = {row.id: row for row in quarantine.list_all(connection)}
        if missing := [number for number in numbers if number not in rows]:
            raise click.ClickException(_unknown(missing))
        return [work(connection, rows[number]) for number in (rows if every else dict.fromkeys(numbers))]

    return write_ledger(context.settings(), work_on_all)


def _unknown(numbers: list[int]) -> str:
    listed = ", ".join(map(str, numbers))
    return f"nothing in quarantine under {listed}; `relay quarantine list` shows what is"


def _shown(row: QuarantinedBody) -> dict[str, Any]:
    return {
        "id": row.id,
        "received_at": iso(row.received_at),
        "reason": row.reason,
        "pointer": row.pointer,
        "message": row.message,
        "content_type": row.content_type,
        "path": row.path,
        "query": row.query,
        "raw": row.raw.decode(errors="replace"),
    }
