"""`relay replay`: deliver calls to CRMs again."""

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

import click

from crm_clients.settings import DestinationSettings
from relay.cli.ledger_session import with_ledger
from relay.cli.lookup import read_calls, require_destination
from relay.cli.main import Context
from relay.cli.option_values import parse_time
from relay.cli.output import echo, json_option, print_json
from relay.cli.progress import progress_bar
from relay.delivery.replay import ReplayCounts, ReplayResult, Scope
from relay.instants import Instant
from relay.ledger.actions import BY_COMMAND
from relay.operations.push_again import push_again_between, push_calls_again
from relay.settings import Settings


@click.command("replay")
@click.option("--destination", metavar="NAME", help="Deliver to this CRM only. Default: all in the settings.")
@click.option("--since", metavar="TIME", help="Calls that started at or after this time.")
@click.option("--until", metavar="TIME", help="Calls that started before this time.")
@click.option("--call", "ids", metavar="ID", multiple=True, help="This call; may be repeated.")
@click.option("--force", is_flag=True, help="Write every call whole, even if the CRM has its newest version.")
@click.option(
    "--changed-settings",
    is_flag=True,
    help="Write only calls whose record has earlier labels, fields or constants.",
)
@json_option
@click.pass_obj
def command(
    context: Context,
    destination: str | None,
    since: str | None,
    until: str | None,
    ids: tuple[str, ...],
    *,
    force: bool,
    changed_settings: bool,
    as_json: bool,
) -> None:
    """Deliver calls to CRMs again.

    Use it to send a new CRM the calls of the past, after a change of a filter, for dead letters, and for
    calls that people deleted in a CRM by mistake. A CRM that got the newest version of a call is asked which
    version it has. Only calls that it lacks, or has in another version, are written again, whole: so a CRM
    or a ledger that was restored from a backup gets the ledger's records.

    TIME is a date (its midnight) or ISO 8601. Without an offset it is in cloudtalk.timezone. A relay may
    serve meanwhile.
    """
    if ids and (since or until):
        raise click.UsageError("give calls with --call, or a time with --since and --until, but not both")
    if force and changed_settings:
        raise click.UsageError("give either --force or --changed-settings: --force writes every call")
    scope = Scope.ALL if force else Scope.CHANGED_SETTINGS if changed_settings else Scope.DIFFERENT
    settings = context.settings()
    targets = _select_destinations(settings, destination)
    zone = ZoneInfo(settings.cloudtalk.timezone)
    start, end = parse_time(since, zone, "since"), parse_time(until, zone, "until")
    if ids:
        result = _replay_ids(settings, targets, scope, ids)
    else:
        result = _replay_between(settings, targets, scope, start, end)
    if as_json:
        print_json(result)
    else:
        _print(result, targets)


def _select_destinations(settings: Settings, name: str | None) -> Mapping[str, DestinationSettings]:
    if not settings.destinations:
        raise click.ClickException("the settings have no destination to deliver to; add [destinations.NAME]")
    if name is None:
        return settings.destinations
    require_destination(name, settings.destinations)
    return {name: settings.destinations[name]}


def _replay_ids(
    settings: Settings, targets: Mapping[str, DestinationSettings], scope: Scope, ids: Sequence[str]
) -> ReplayResult:
    records = {row.id for row in read_calls(settings, ids)}
    return with_ledger(
        settings,
        lambda ledger: push_calls_again(ledger, settings, targets, records, scope=scope, who=BY_COMMAND),
    )


def _replay_between(
    settings: Settings,
    targets: Mapping[str, DestinationSettings],
    scope: Scope,
    start: Instant | None,
    end: Instant | None,
) -> ReplayResult:
    with progress_bar("calls") as on_progress:
        return with_ledger(
            settings,
            lambda ledger: push_again_between(
                ledger, settings, targets, start, end, on_progress, scope=scope, who=BY_COMMAND
            ),
        )


def _print(result: ReplayResult, targets: Mapping[str, DestinationSettings]) -> None:
    shown = [counts for counts in result.counts if counts.pending or counts.filtered]
    for counts in shown:
        echo(_describe(counts, is_enabled=targets[counts.destination].enabled))
    if not shown:
        echo("no call to replay")
    if result.left_out:
        echo(f"{result.left_out} internal calls were left out: the settings do not forward them", err=True)


def _describe(counts: ReplayCounts, *, is_enabled: bool) -> str:
    """Return for example "5 calls are pending again for crm; 2 calls do not match its filter"."""
    parts = [f"{counts.pending} calls are pending again for {counts.destination}"]
    if counts.up_to_date:
        parts.append(f"it got the newest version of {counts.up_to_date}, and gets them if its records differ")
    if counts.filtered:
        parts.append(f"{counts.filtered} calls do not match its filter")
    if counts.pending and not is_enabled:
        parts.append("nothing is sent until it is enabled in the settings")
    return "; ".join(parts)
