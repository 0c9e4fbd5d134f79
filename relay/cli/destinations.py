"""`relay destinations`: list the CRMs; pause, resume or probe one."""

from collections.abc import Callable
from typing import Final, TypeVar

import click

from relay.cli.ledger_session import read_with_ledger, with_ledger
from relay.cli.lookup import destination_names, require_destination
from relay.cli.main import Context
from relay.cli.output import echo, json_option, print_json, print_records
from relay.cli.status import DESTINATION_COLUMNS
from relay.instants import Instant
from relay.ledger.actions import BY_COMMAND
from relay.ledger.connection import Connection
from relay.operations import destination_actions
from relay.operations.explanation import situation_of
from relay.operations.status import DestinationState, list_destinations
from relay.settings import Settings

T = TypeVar("T")

_COLUMNS: Final = (*DESTINATION_COLUMNS, "paused_reason", "paused_since", "paused_until")


@click.group("destinations")
def command() -> None:
    """List the CRMs; pause, resume or probe one."""


@command.command("list")
@json_option
@click.pass_obj
def list_(context: Context, *, as_json: bool) -> None:
    """List the CRMs with their pending calls, and why one is paused.

    \b
    delivering  calls are delivered
    waiting     a failure paused it; the relay probes it again by itself
    paused      `relay destinations pause` paused it, until `resume`
    disabled    the settings say enabled = false
    orphaned    it is no longer in the settings
    """  # noqa: D301 - click keeps the lines of a paragraph that begins with a backspace
    settings = context.settings()
    statuses = read_with_ledger(
        settings,
        lambda ledger: ledger.read(
            lambda connection: list_destinations(
                connection, situation_of(settings, ledger.now(), for_people=not as_json)
            )
        ),
    )
    if as_json:
        print_json(statuses)
        return
    print_records(_COLUMNS, statuses)
    for status in statuses:
        echo(f"\n{status.explanation}")


@command.command("pause")
@click.argument("name")
@click.pass_obj
def pause(context: Context, name: str) -> None:
    """Deliver nothing to a CRM until it is resumed. Calls stay pending."""
    settings = context.settings()

    def write(connection: Connection, now: Instant) -> None:
        require_destination(name, destination_names(connection, settings))
        destination_actions.pause(connection, settings, name, who=BY_COMMAND, now=now)

    _write_ledger(settings, write)
    echo(f"{name} is paused; its calls stay pending until `relay destinations resume {name}`")


@command.command("resume")
@click.argument("name")
@click.pass_obj
def resume(context: Context, name: str) -> None:
    """Deliver to a CRM again, whatever paused it."""
    settings = context.settings()

    def write(connection: Connection, now: Instant) -> bool:
        require_destination(name, destination_names(connection, settings))
        return destination_actions.resume(connection, settings, name, who=BY_COMMAND, now=now)

    was_paused = _write_ledger(settings, write)
    echo(f"{name} is resumed" if was_paused else f"{name} was not paused")


@command.command("probe")
@click.argument("name")
@click.pass_obj
def probe(context: Context, name: str) -> None:
    """Try a CRM that is waiting now, with one call."""
    settings = context.settings()

    def write(connection: Connection, now: Instant) -> bool:
        require_destination(name, destination_names(connection, settings))
        destination_actions.ensure_registered(connection, settings, name)
        _require_served(connection, settings, name, now)
        return destination_actions.probe(connection, settings, name, who=BY_COMMAND, now=now)

    if _write_ledger(settings, write):
        echo(f"{name} is tried now with one call; `relay destinations list` shows the result")
    else:
        echo(f"{name} is not waiting: calls are delivered, so there is nothing to probe")


def _write_ledger(settings: Settings, write: Callable[[Connection, Instant], T]) -> T:
    """Run `write` in one transaction, with the time of the ledger's clock."""
    return with_ledger(
        settings, lambda ledger: ledger.write(lambda connection: write(connection, ledger.now()))
    )


def _require_served(connection: Connection, settings: Settings, name: str, now: Instant) -> None:
    listed = list_destinations(connection, situation_of(settings, now))
    (state,) = (status.state for status in listed if status.name == name)
    match state:
        case DestinationState.PAUSED:
            raise click.ClickException(f"{name} is paused; `relay destinations resume {name}` resumes it")
        case DestinationState.DISABLED:
            raise click.ClickException(
                f"{name} is disabled: nothing is delivered to it; set destinations.{name}.enabled = true"
            )
        case DestinationState.ORPHANED:
            raise click.ClickException(
                f"{name} is orphaned: nothing is delivered to it, since the settings do not have it"
            )
