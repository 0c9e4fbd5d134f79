"""`relay dead`: list dead letters, and replay or drop them.

A dead letter is a delivery that failed for good. It waits for the decision of a person.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import click
import msgspec

from relay.call import Call
from relay.cli.ledger_session import read_with_ledger, with_ledger
from relay.cli.lookup import destination_names, require_destination
from relay.cli.main import Context
from relay.cli.output import echo, json_option, print_fields, print_json, print_records
from relay.instants import Instant
from relay.ledger import dead_letters
from relay.ledger.actions import BY_COMMAND
from relay.ledger.connection import Connection
from relay.ledger.dead_letters import DeadLetter
from relay.operations import dead_letters as operations
from relay.operations.dead_letters import DeadLetterView, find_dead_letters, view_dead_letters
from relay.operations.explanation import situation_of
from relay.settings import Settings

T = TypeVar("T")

_COLUMNS: Final = ("id", "destination", "attempted_at", "attempts", "code", "message")
_CALL_FIELDS: Final = ("id", "status", "direction", "started_at", "external_number", "contact_name")

_destination_option = click.option(
    "--destination", metavar="NAME", help="Only the dead letters of this destination."
)
_ids_argument = click.argument("ids", metavar="[ID]…", nargs=-1)
_all_option = click.option("--all", "select_all", is_flag=True, help="All dead letters.")


@click.group("dead")
def command() -> None:
    """List dead letters; replay or drop them.

    A dead letter is a delivery that failed for good.
    """


@command.command("list")
@_destination_option
@json_option
@click.pass_obj
def list_(context: Context, destination: str | None, *, as_json: bool) -> None:
    """List the dead letters, the latest first."""
    settings = context.settings()

    def read(connection: Connection, now: Instant) -> list[DeadLetterView]:
        _check_destination(connection, settings, destination)
        found = dead_letters.find(connection, destination=destination)
        return view_dead_letters(connection, found, situation_of(settings, now, for_people=not as_json))

    views = _read(settings, read)
    if as_json:
        print_json(views)
    else:
        print_records(_COLUMNS, views, crop="message")


@command.command("show")
@click.argument("id_", metavar="ID")
@_destination_option
@json_option
@click.pass_obj
def show(context: Context, id_: str, destination: str | None, *, as_json: bool) -> None:
    """Show the dead letters of one call, and what to do."""
    settings = context.settings()

    def read(connection: Connection, now: Instant) -> tuple[Call, list[DeadLetterView]]:
        _check_destination(connection, settings, destination)
        found = _require_dead_letters(connection, [id_], destination)
        situation = situation_of(settings, now, for_people=not as_json)
        return found[0].call, view_dead_letters(connection, found, situation)

    record, views = _read(settings, read)
    call = {field: getattr(record, field) for field in _CALL_FIELDS}
    if as_json:
        print_json(call | {"dead_letters": views})
        return
    print_fields(call)
    for view in views:
        echo()
        print_fields({name: value for name, value in msgspec.structs.asdict(view).items() if name != "id"})
    echo(f"\nTo give one up: `relay dead drop {views[0].id}`")


@command.command("replay")
@_ids_argument
@_all_option
@_destination_option
@json_option
@click.pass_obj
def replay(
    context: Context, ids: tuple[str, ...], destination: str | None, *, select_all: bool, as_json: bool
) -> None:
    """Deliver calls again, in their newest version.

    If an ID has no dead letter, the command names it, changes nothing and exits with 1.
    """
    changed = _change(
        context,
        ids,
        destination,
        operations.replay,
        select_all=select_all,
    )
    _print_changed(changed, "pending again", as_json=as_json)


@command.command("drop")
@_ids_argument
@_all_option
@_destination_option
@json_option
@click.pass_obj
def drop(
    context: Context, ids: tuple[str, ...], destination: str | None, *, select_all: bool, as_json: bool
) -> None:
    """Give up dead letters. Later changes of a call are still delivered.

    If an ID has no dead letter, the command names it, changes nothing and exits with 1.
    """
    changed = _change(
        context,
        ids,
        destination,
        operations.drop,
        select_all=select_all,
    )
    _print_changed(changed, "dropped", as_json=as_json)


def _read(settings: Settings, read: Callable[[Connection, Instant], T]) -> T:
    return read_with_ledger(settings, lambda ledger: ledger.read(lambda c: read(c, ledger.now())))


# --- selecting ------------------------------------------------------------------------------------


def _check_destination(connection: Connection, settings: Settings, name: str | None) -> None:
    if name is not None:
        require_destination(name, destination_names(connection, settings))


def _require_dead_letters(
    connection: Connection, ids: Sequence[str], destination: str | None
) -> list[DeadLetter]:
    """Return the dead letters of these calls. An id without one ends the command."""
    found = {id_: find_dead_letters(connection, id_, destination) for id_ in ids}
    if missing := [id_ for id_, rows in found.items() if not rows]:
        raise click.ClickException(
            f"no dead letter for {', '.join(missing)}; `relay dead list` lists the dead letters"
        )
    return list({row.key: row for rows in found.values() for row in rows}.values())


# --- changing -------------------------------------------------------------------------------------


def _change(
    context: Context,
    ids: Sequence[str],
    destination: str | None,
    change: Callable[..., None],
    *,
    select_all: bool,
) -> list[DeadLetter]:
    """Apply `change` to the keys of the selected dead letters, in one transaction."""
    if bool(ids) == select_all:
        raise click.UsageError("give the IDs of calls, or --all for all dead letters")
    settings = context.settings()

    def write(connection: Connection, now: Instant) -> list[DeadLetter]:
        _check_destination(connection, settings, destination)
        if select_all:
            selected = dead_letters.find(connection, destination=destination)
        else:
            selected = _require_dead_letters(connection, ids, destination)
        keys = [dead_letter.key for dead_letter in selected]
        change(connection, keys, who=BY_COMMAND, now=now)
        return selected

    return with_ledger(
        settings, lambda ledger: ledger.write(lambda connection: write(connection, ledger.now()))
    )


# --- printing -------------------------------------------------------------------------------------


def _print_changed(changed: Sequence[DeadLetter], change: str, *, as_json: bool) -> None:
    if as_json:
        keys = sorted(dead_letter.key for dead_letter in changed)
        print_json([{"id": call, "destination": destination} for destination, call in keys])
    else:
        echo(f"{len(changed)} {change}")
