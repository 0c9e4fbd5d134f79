"""`relay calls list` and `relay calls show`."""

from typing import Any, Final

import click
import msgspec

from relay.call import Call
from relay.cli.ledger import read_ledger, with_ledger
from relay.cli.main import Context
from relay.cli.output import as_json, print_json, print_table
from relay.cli.queries import call_view, find_call
from relay.fold.split import SplitError, split_call
from relay.ledger import calls

_SCREENFUL: Final = 50
_EVERY: Final = 2**62

_EVENT_COLUMNS: Final = ("seq", "kind", "dialect", "said_at", "received_at")
_DELIVERY_COLUMNS: Final = (
    "destination",
    "state",
    "version",
    "attempts",
    "next_attempt_at",
    "code",
    "message",
)


@click.group("calls")
def command() -> None:
    """Look at the joined records."""


@command.command("list")
@click.option("--limit", type=click.IntRange(1), help="Calls at most; in a table 50 unless said.")
@as_json
@click.pass_obj
def list_(context: Context, limit: int | None, *, wants_json: bool) -> None:
    """List calls, those that began last first."""
    most = limit or (_EVERY if wants_json else _SCREENFUL)
    found, total = read_ledger(
        context.settings(), lambda connection: (calls.list_newest(connection, most), calls.count(connection))
    )
    if wants_json:
        print_json(found)
        return
    print_table(("id", "direction", "status", "number", "contact", "started", "seconds"), map(_line, found))
    if len(found) < total:
        click.echo(f"\n{len(found)} of {total}; --limit shows more", err=True)


def _line(call: Call) -> tuple[Any, ...]:
    return (
        call.id,
        call.direction,
        call.status,
        call.external_number,
        call.contact_name,
        call.started_at,
        call.duration_seconds,
    )


@command.command("show")
@click.argument("id_", metavar="ID")
@as_json
@click.pass_obj
def show(context: Context, id_: str, *, wants_json: bool) -> None:
    """Show one call, by the record's id or CloudTalk's, with its events and deliveries."""
    found = read_ledger(context.settings(), lambda connection: call_view(connection, id_))
    if found is None:
        raise click.ClickException(f"no call {id_}; `relay calls list` shows those that there are")
    if wants_json:
        print_json(found)
        return
    events, delivered = found.pop("events"), found.pop("deliveries")
    found["agents"] = ", ".join(agent["name"] for agent in found["agents"])
    print_table(("field", "value"), [(field, _shown(value)) for field, value in found.items()])
    for title, columns, rows in (
        ("events", _EVENT_COLUMNS, events),
        ("deliveries", _DELIVERY_COLUMNS, delivered),
    ):
        click.echo(f"\n{title}")
        print_table(columns, [[row[column] for column in columns] for row in rows])


def _shown(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value


@command.command("split")
@click.argument("id_", metavar="ID")
@as_json
@click.pass_obj
def split_(context: Context, id_: str, *, wants_json: bool) -> None:
    """Undo a link: give a call's call_id a record of its own, for good."""
    settings = context.settings()
    known = read_ledger(settings, lambda connection: find_call(connection, id_))
    if known is None:
        raise click.ClickException(f"no call {id_}; `relay calls list` shows those that there are")
    try:
        parts = with_ledger(settings, lambda ledger: split_call(ledger, known.id))
    except SplitError as error:
        raise click.ClickException(str(error)) from error
    if wants_json:
        print_json(parts)
    else:
        click.echo(
            f"{parts.split_off} is a record of its own now, with {parts.events_moved} events of {parts.kept}"
        )
