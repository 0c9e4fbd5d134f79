"""`relay destinations`: how each CRM stands, and whether calls are brought to it."""

from collections.abc import Iterable
from typing import Any, Final

import click
from sqlalchemy import Connection

from relay.cli.ledger import with_ledger, write_ledger
from relay.cli.main import Context
from relay.cli.output import as_json, print_json, print_table
from relay.cli.queries import status_view
from relay.ledger import destinations
from relay.settings import Settings

_COLUMNS: Final = (
    "name",
    "client",
    "state",
    "pending",
    "oldest_pending_seconds",
    "delivered",
    "dead",
    "paused_reason",
    "paused_until",
)


def must_know(name: str | None, known: Iterable[str]) -> None:
    """End the command with 1 where there is no such destination."""
    names = sorted(set(known))
    if name is not None and name not in names:
        there_are = f"there are {', '.join(names)}" if names else "the settings name none"
        raise click.ClickException(f"no destination {name}; {there_are}")


def names_of(connection: Connection, settings: Settings) -> set[str]:
    """The destinations that calls were ever owed to, and those of the settings."""
    return {row.name for row in destinations.list_all(connection)} | set(settings.destinations)


@click.group("destinations")
def command() -> None:
    """See how each CRM stands; pause, resume, probe one."""


@command.command("list")
@as_json
@click.pass_obj
def list_(context: Context, *, wants_json: bool) -> None:
    """List the CRMs, with what each is owed and why one waits."""
    settings = context.settings()
    found = with_ledger(
        settings,
        lambda ledger: ledger.read(lambda connection: _stands(connection, settings, ledger.now())),
    )
    if wants_json:
        print_json(found)
    else:
        print_table(_COLUMNS, [[row[column] for column in _COLUMNS] for row in found])


@command.command("pause")
@click.argument("name")
@click.pass_obj
def pause(context: Context, name: str) -> None:
    """Bring nothing there until it is resumed. Calls are owed meanwhile."""
    settings = context.settings()

    def work(connection: Connection) -> None:
        _learn_of(connection, settings, name)
        destinations.pause(connection, name)

    write_ledger(settings, work)
    click.echo(f"{name} is paused; calls are owed to it until `relay destinations resume {name}`")


@command.command("resume")
@click.argument("name")
@click.pass_obj
def resume(context: Context, name: str) -> None:
    """Bring calls there again, whatever it waited for."""
    settings = context.settings()

    def work(connection: Connection) -> str | None:
        _learn_of(connection, settings, name)
        before = destinations.get(connection, name).paused_reason
        destinations.resume(connection, name)
        return before

    before = write_ledger(settings, work)
    click.echo(f"{name} is served again" if before else f"{name} was neither paused nor waiting")


@command.command("probe")
@click.argument("name")
@click.pass_obj
def probe(context: Context, name: str) -> None:
    """Try at once, with one call, a CRM that waits."""
    settings = context.settings()

    def work(connection: Connection, now: int) -> bool:
        _learn_of(connection, settings, name)
        _must_be_served(connection, settings, name, now)
        return destinations.probe_now(connection, name, now=now)

    waited = with_ledger(
        settings, lambda ledger: ledger.write(lambda connection: work(connection, ledger.now()))
    )
    if waited:
        click.echo(f"{name} is tried with one call; `relay destinations list` shows what came of it")
    else:
        click.echo(f"{name} does not wait: there is nothing to try")


def _learn_of(connection: Connection, settings: Settings, name: str) -> None:
    """Register one of the settings that no relay has served yet."""
    must_know(name, names_of(connection, settings))
    if name not in {row.name for row in destinations.list_all(connection)}:
        destinations.register(connection, {name: settings.destinations[name].client})


def _must_be_served(connection: Connection, settings: Settings, name: str, now: int) -> None:
    (row,) = (row for row in _stands(connection, settings, now) if row["name"] == name)
    if row["state"] == "paused":
        raise click.ClickException(f"{name} is paused; `relay destinations resume {name}` ends that")
    if row["state"] in {"disabled", "orphaned"}:
        raise click.ClickException(f"{name} is {row['state']} in the settings: nothing is brought there")


def _stands(connection: Connection, settings: Settings, now: int) -> list[dict[str, Any]]:
    enabled = {name: destination.enabled for name, destination in settings.destinations.items()}
    rows: list[dict[str, Any]] = status_view(connection, enabled, now=now)["destinations"]
    return rows
