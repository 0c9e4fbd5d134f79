"""`relay dead`: calls that a CRM will not have, until a person decides."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import click
from sqlalchemy import Connection

from relay.cli.destinations import must_know, names_of
from relay.cli.ledger import with_ledger
from relay.cli.main import Context
from relay.cli.output import as_json, print_json, print_table
from relay.cli.queries import find_call
from relay.instants import iso
from relay.ledger import dead_letters
from relay.ledger.dead_letters import DeadLetter

_COLUMNS: Final = ("id", "destination", "attempted_at", "attempts", "code", "message")
_RECORD: Final = ("status", "direction", "started_at", "external_number", "contact_name")
_REFUSED: Final = "the CRM refuses this record: mend what it complains of, there or in the settings"
_GIVEN_UP: Final = "it kept failing while the CRM took other calls: see what is particular about it"

_of_one = click.option("--destination", "destination", metavar="NAME", help="Only those of this CRM.")
_ids = click.argument("ids", metavar="[ID]…", nargs=-1)
_all = click.option("--all", "every", is_flag=True, help="All that are dead.")


@click.group("dead")
def command() -> None:
    """Decide about calls that a CRM will not have."""


@command.command("list")
@_of_one
@as_json
@click.pass_obj
def list_(context: Context, destination: str | None, *, wants_json: bool) -> None:
    """List the dead letters, the latest first."""
    found = _on_letters(context, destination, _every)
    shown = [_shown(row) for row in found]
    if wants_json:
        print_json(shown)
    else:
        print_table(_COLUMNS, [[row[column] for column in _COLUMNS] for row in shown])


@command.command("show")
@click.argument("id_", metavar="ID")
@_of_one
@as_json
@click.pass_obj
def show(context: Context, id_: str, destination: str | None, *, wants_json: bool) -> None:
    """Show what CRMs said of one call, and what to do."""
    rows = _on_letters(context, destination, lambda connection, only: _of(connection, [id_], only))
    call = rows[0].call
    shown = {"id": call.id} | {field: getattr(call, field) for field in _RECORD}
    letters = [_shown(row) | {"hint": _hint(row)} for row in rows]
    if wants_json:
        print_json(shown | {"letters": letters})
        return
    print_table(("field", "value"), list(shown.items()))
    for letter in letters:
        click.echo()
        del letter["id"]
        print_table(("field", "value"), list(letter.items()))


@command.command("replay")
@_ids
@_all
@_of_one
@as_json
@click.pass_obj
def replay(
    context: Context, ids: tuple[str, ...], destination: str | None, *, every: bool, wants_json: bool
) -> None:
    """Owe calls again, in their newest version."""

    def work(connection: Connection, rows: Sequence[DeadLetter], now: int) -> None:
        dead_letters.replay(connection, _keys(rows), now=now)

    _tell(_decide(context, ids, destination, work, every=every), "owed again", wants_json=wants_json)


@command.command("drop")
@_ids
@_all
@_of_one
@as_json
@click.pass_obj
def drop(
    context: Context, ids: tuple[str, ...], destination: str | None, *, every: bool, wants_json: bool
) -> None:
    """Give calls up. News of one is brought all the same."""

    def work(connection: Connection, rows: Sequence[DeadLetter], _: int) -> None:
        dead_letters.drop(connection, _keys(rows))

    _tell(_decide(context, ids, destination, work, every=every), "dropped", wants_json=wants_json)


# --- finding ------------------------------------------------------------------------------------

Find = Callable[[Connection, str | None], Sequence[DeadLetter]]
"""Which letters are meant, of this destination or of all."""


def _every(connection: Connection, destination: str | None) -> Sequence[DeadLetter]:
    return dead_letters.find(connection, destination=destination)


def _of(connection: Connection, ids: Sequence[str], destination: str | None) -> Sequence[DeadLetter]:
    """The letters of these calls; one that has none ends the command before anything is done."""
    found = {id_: _of_call(connection, id_, destination) for id_ in ids}
    if missing := [id_ for id_, rows in found.items() if not rows]:
        raise click.ClickException(
            f"nothing is dead under {', '.join(missing)}; `relay dead list` shows what is"
        )
    return [row for rows in found.values() for row in rows]


def _of_call(connection: Connection, wanted: str, destination: str | None) -> Sequence[DeadLetter]:
    """By the record's id first: one that went into another call may have left a record to take back."""
    if rows := dead_letters.find(connection, destination=destination, ids=[wanted]):
        return rows
    call = find_call(connection, wanted)
    return [] if call is None else dead_letters.find(connection, destination=destination, ids=[call.id])


def _on_letters(context: Context, destination: str | None, find: Find) -> Sequence[DeadLetter]:
    settings = context.settings()

    def look(connection: Connection) -> Sequence[DeadLetter]:
        must_know(destination, names_of(connection, settings))
        return find(connection, destination)

    return with_ledger(settings, lambda ledger: ledger.read(look))


# --- deciding -----------------------------------------------------------------------------------


def _decide(
    context: Context,
    ids: tuple[str, ...],
    destination: str | None,
    work: Callable[[Connection, Sequence[DeadLetter], int], None],
    *,
    every: bool,
) -> Sequence[DeadLetter]:
    """Do this with the letters that are meant, all of it or nothing."""
    if bool(ids) == every:
        raise click.UsageError("name the calls by their IDs, or all that are dead by --all")
    settings = context.settings()

    def decide(connection: Connection, now: int) -> Sequence[DeadLetter]:
        must_know(destination, names_of(connection, settings))
        rows = _every(connection, destination) if every else _of(connection, ids, destination)
        work(connection, rows, now)
        return rows

    return with_ledger(
        settings, lambda ledger: ledger.write(lambda connection: decide(connection, ledger.now()))
    )


def _keys(rows: Sequence[DeadLetter]) -> set[tuple[str, str]]:
    return {row.key for row in rows}


def _tell(rows: Sequence[DeadLetter], what: str, *, wants_json: bool) -> None:
    letters = sorted(_keys(rows))
    if wants_json:
        print_json([{"id": call, "destination": destination} for destination, call in letters])
    else:
        click.echo(f"{len(letters)} {what}")


def _shown(row: DeadLetter) -> dict[str, Any]:
    return {
        "id": row.call.id,
        "destination": row.destination,
        "version": row.version,
        "delivered_version": row.delivered_version or None,
        "attempts": row.attempts,
        "attempted_at": iso(row.attempted_at),
        "outcome": row.outcome,
        "code": row.code,
        "message": row.message,
    }


def _hint(row: DeadLetter) -> str:
    cause = _REFUSED if row.outcome == "rejected" else _GIVEN_UP
    return (
        f"{cause}; then `relay dead replay {row.call.id}`, or give it up by `relay dead drop {row.call.id}`"
    )
