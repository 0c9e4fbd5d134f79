"""`relay replay`: deliver calls to CRMs again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import click

from relay.cli.ledger_session import read_ledger, with_ledger
from relay.cli.lookup import require_calls, require_destination
from relay.cli.main import Context
from relay.cli.output import json_option, print_json
from relay.cli.progress import progress_bar
from relay.delivery.replay import Replay, ReplayResult
from relay.instants import Instant
from relay.ledger import Ledger
from relay.settings import Settings

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@click.command("replay")
@click.option("--destination", metavar="NAME", help="Deliver to this CRM only. Default: all in the settings.")
@click.option("--since", metavar="TIME", help="Calls that started at or after this time.")
@click.option("--until", metavar="TIME", help="Calls that started before this time.")
@click.option("--call", "ids", metavar="ID", multiple=True, help="This call; may be repeated.")
@json_option
@click.pass_obj
def command(
    context: Context,
    destination: str | None,
    since: str | None,
    until: str | None,
    ids: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Deliver calls to CRMs again.

    Use it to send a new CRM the calls of the past, after a change of a filter, for dead letters, and for
    calls that people deleted in a CRM by mistake. A CRM that has the newest version of a call is asked
    whether it still has it; only missing calls are written again.

    TIME is a date (its midnight) or ISO 8601. Without an offset it is in cloudtalk.timezone. A relay may
    serve meanwhile.
    """
    if ids and (since or until):
        raise click.UsageError("give calls with --call, or a time with --since and --until, but not both")
    settings = context.settings()
    clients = _select_clients(settings, destination)
    zone = ZoneInfo(settings.cloudtalk.timezone)
    start, end = _parse_time(since, zone, "--since"), _parse_time(until, zone, "--until")
    result = _replay_ids(settings, clients, ids) if ids else _replay_between(settings, clients, start, end)
    if as_json:
        print_json(result)
    else:
        _print(result)


def _select_clients(settings: Settings, name: str | None) -> dict[str, str]:
    """Return the client of each destination to deliver to, by the destination's name."""
    clients = {known: destination.client for known, destination in settings.destinations.items()}
    if not clients:
        raise click.ClickException("the settings have no destination to deliver to; add [destinations.NAME]")
    if name is None:
        return clients
    require_destination(name, clients)
    return {name: clients[name]}


def _parse_time(written: str | None, zone: ZoneInfo, option: str) -> Instant | None:
    if written is None:
        return None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise click.BadParameter(
            "expected a date such as 2024-11-28, or a time such as 2024-11-28T10:30:00",
            param_hint=f"'{option}'",
        ) from error
    return Instant(((moment if moment.tzinfo else moment.replace(tzinfo=zone)) - _EPOCH) // _MICROSECOND)


def _replay_ids(settings: Settings, clients: dict[str, str], ids: Sequence[str]) -> ReplayResult:
    rows = read_ledger(settings, lambda connection: require_calls(connection, ids))
    records = {row.id for row in rows}
    return with_ledger(settings, lambda ledger: _replay(ledger, settings, clients).replay_calls(records))


def _replay_between(
    settings: Settings, clients: dict[str, str], start: Instant | None, end: Instant | None
) -> ReplayResult:
    with progress_bar("calls") as on_progress:
        return with_ledger(
            settings,
            lambda ledger: _replay(ledger, settings, clients).replay_between(start, end, on_progress),
        )


def _replay(ledger: Ledger, settings: Settings, clients: dict[str, str]) -> Replay:
    return Replay(ledger, clients, forward_internal=settings.cloudtalk.forward_internal)


def _print(result: ReplayResult) -> None:
    if result.calls:
        click.echo(f"{result.calls} calls are pending again for {', '.join(result.destinations)}")
    else:
        click.echo("no call to replay")
    if result.left_out:
        click.echo(
            f"{result.left_out} internal calls were left out: the settings do not forward them", err=True
        )
