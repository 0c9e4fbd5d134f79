"""`relay replay`: calls are owed again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import click
from sqlalchemy import Connection

from relay.cli.destinations import must_know
from relay.cli.ledger import read_ledger, with_ledger
from relay.cli.main import Context
from relay.cli.output import as_json, print_json
from relay.cli.progress import progress_bar
from relay.cli.queries import find_call
from relay.delivery.replay import Replay, ReplayResult
from relay.instants import Instant
from relay.settings import Settings

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@click.command("replay")
@click.option("--destination", metavar="NAME", help="Only to this CRM; else to all of the settings.")
@click.option("--since", metavar="TIME", help="Calls that began then or later; a date, or ISO 8601.")
@click.option("--until", metavar="TIME", help="Calls that began before then; a date is its midnight.")
@click.option("--call", "ids", metavar="ID", multiple=True, help="This call; may be said several times.")
@as_json
@click.pass_obj
def command(
    context: Context,
    destination: str | None,
    since: str | None,
    until: str | None,
    ids: tuple[str, ...],
    *,
    wants_json: bool,
) -> None:
    """Owe calls to CRMs again.

    To a new CRM its history; to one whose filter was changed what it lets pass now; dead letters; and what
    people deleted in a CRM: it is asked which calls it still has, and only those it has not are written.
    Times without an offset are in cloudtalk.timezone. A relay may serve meanwhile.
    """
    if ids and (since or until):
        raise click.UsageError("name calls by --call, or a time by --since and --until")
    settings = context.settings()
    clients = _clients(settings, destination)
    zone = ZoneInfo(settings.cloudtalk.timezone)
    first, last = _instant(since, zone, "--since"), _instant(until, zone, "--until")
    done = _replay_named(settings, clients, ids) if ids else _replay_between(settings, clients, first, last)
    if wants_json:
        print_json(done)
    else:
        _tell(done)


def _clients(settings: Settings, wanted: str | None) -> dict[str, str]:
    """The destinations to owe calls to, each with its client."""
    must_know(wanted, settings.destinations)
    clients = {name: d.client for name, d in settings.destinations.items() if wanted in {None, name}}
    if not clients:
        raise click.ClickException("the settings name no destination that calls could be owed to")
    return clients


def _instant(written: str | None, zone: ZoneInfo, option: str) -> Instant | None:
    if written is None:
        return None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        hint = f"'{option}'"
        raise click.BadParameter(
            "expected a date such as 2024-11-28, or a time such as 2024-11-28T10:30:00", param_hint=hint
        ) from error
    return Instant(((moment if moment.tzinfo else moment.replace(tzinfo=zone)) - _EPOCH) // _MICROSECOND)


def _replay_named(settings: Settings, clients: dict[str, str], ids: Sequence[str]) -> ReplayResult:
    records = read_ledger(settings, lambda connection: _records_of(connection, ids))
    internal = settings.cloudtalk.forward_internal
    return with_ledger(
        settings, lambda ledger: Replay(ledger, clients, forward_internal=internal).replay_calls(records)
    )


def _records_of(connection: Connection, ids: Sequence[str]) -> set[str]:
    """The records that these ids name; one that names none ends the command."""
    found = {id_: find_call(connection, id_) for id_ in ids}
    if missing := [id_ for id_, call in found.items() if call is None]:
        raise click.ClickException(
            f"no call {', '.join(missing)}; `relay calls list` shows those that there are"
        )
    return {call.id for call in found.values() if call is not None}


def _replay_between(
    settings: Settings, clients: dict[str, str], since: Instant | None, until: Instant | None
) -> ReplayResult:
    internal = settings.cloudtalk.forward_internal
    with progress_bar("calls") as on_progress:
        return with_ledger(
            settings,
            lambda ledger: Replay(ledger, clients, forward_internal=internal).replay_between(
                since, until, on_progress
            ),
        )


def _tell(done: ReplayResult) -> None:
    if done.calls:
        click.echo(f"{done.calls} calls are owed again to {', '.join(done.destinations)}")
    else:
        click.echo("no call to owe again")
    if done.left_out:
        click.echo(f"{done.left_out} left out: no CRM is to have them", err=True)
