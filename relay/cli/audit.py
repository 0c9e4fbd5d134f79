"""`relay audit`: compare CloudTalk's history, the ledger and the CRMs."""

import sys
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from math import ceil
from typing import Any, Final, NoReturn
from zoneinfo import ZoneInfo

import click

from crm_clients.base import CrmClient
from relay import logs
from relay.app import hide_secrets
from relay.audit.report import Outcome, decode
from relay.audit.run import Audit
from relay.cli.ledger_session import read_ledger, read_with_ledger, with_ledger
from relay.cli.lookup import require_destination
from relay.cli.main import Context
from relay.cli.option_values import parse_time
from relay.cli.output import echo, json_option, print_json, print_table
from relay.cli.progress import progress_of_steps
from relay.delivery import LedgerClientState
from relay.delivery.clients import build_clients
from relay.history.api import HistoryApi
from relay.history.folding import folding
from relay.history.windows import Range
from relay.instants import Instant, duration
from relay.ledger import Ledger, audits, relays
from relay.ledger.actions import BY_COMMAND
from relay.ledger.audits import Finding
from relay.ledger.clocks import wall_clock
from relay.ledger.connection import Connection
from relay.ledger.request_limit import SharedRequestLimit
from relay.operations.audits import AuditView, FindingView, to_json, view_finding, view_result
from relay.operations.explanation import situation_of
from relay.operations.languages import Language
from relay.settings import Settings

_DAY_SECONDS: Final = 86_400
_SHOWN: Final = 200


@click.command("audit")
@click.option(
    "--since", metavar="TIME", help="Calls that started at or after this time. Default: audit.look_back_days."
)
@click.option("--until", metavar="TIME", help="Calls that started before this time. Default: now.")
@click.option("--destination", metavar="NAME", help="Compare this CRM only. Default: all in the settings.")
@click.option("--dry-run", is_flag=True, help="Only compare: import, repair and store nothing.")
@click.option("--last", is_flag=True, help="Compare nothing: show the newest audit that is stored.")
@json_option
@click.pass_obj
def command(
    context: Context,
    since: str | None,
    until: str | None,
    destination: str | None,
    *,
    dry_run: bool,
    last: bool,
    as_json: bool,
) -> None:
    """Compare CloudTalk, the ledger and the CRMs, call by call.

    Calls that only CloudTalk has are imported (this needs an API key). Calls that a CRM lost, or has in
    another version, are written again. Doubled records and records that should not be there are named for a
    person. What people changed in a CRM is listed and stays as it is.

    Exit code 0: complete and right, or all was repaired. 1: a person has to look at something, or a side
    could not be read.

    TIME is a date (its midnight) or ISO 8601. Without an offset it is in cloudtalk.timezone. A relay may
    serve meanwhile; without one the next `relay serve` writes to the CRMs. After Ctrl-C run it again: what
    was repaired stays repaired.
    """
    settings = context.settings()
    if last:
        if since or until or destination or dry_run:
            raise click.UsageError("--last shows a stored audit: give no other option but --json")
        _show_last(settings, as_json=as_json)
        return
    if not settings.destinations and settings.cloudtalk.api.access() is None:
        raise click.ClickException(
            "nothing to compare with: the settings have no destination and no key of CloudTalk's API"
        )
    if destination is not None:
        require_destination(destination, settings.destinations)
    wanted = _parse_range(settings, since, until)
    logs.configure("console", "warning", settings.log.personal_data, sys.stderr)
    hide_secrets(settings)
    _finish(settings, _run(settings, wanted, destination, repairs=not dry_run), as_json=as_json)


def _parse_range(settings: Settings, since: str | None, until: str | None) -> Range:
    zone = ZoneInfo(settings.cloudtalk.timezone)
    now = wall_clock()
    start = parse_time(since, zone, "since")
    if start is None:
        start = Instant(now - duration(settings.audit.look_back_days * _DAY_SECONDS))
    end = min(parse_time(until, zone, "until") or now, now)
    if end <= start:
        raise click.BadParameter("expected a time of the past, before --until", param_hint="'--since'")
    return Range(start, end)


def _run(settings: Settings, wanted: Range, destination: str | None, *, repairs: bool) -> Outcome:
    only = None if destination is None else [destination]

    async def run(ledger: Ledger) -> Outcome:
        async with AsyncExitStack() as stack:
            on_progress = stack.enter_context(progress_of_steps())
            api = await stack.enter_async_context(_history(settings, ledger))
            clients = await stack.enter_async_context(_clients(settings, ledger, only))
            if repairs:
                await stack.enter_async_context(folding(settings, ledger))
            audit = Audit(
                settings,
                ledger,
                clients,
                api,
                wanted,
                repairs=repairs,
                stores=repairs,
                who=BY_COMMAND,
                on_progress=on_progress,
            )
            return await audit.run()

    return (with_ledger if repairs else read_with_ledger)(settings, run)


@asynccontextmanager
async def _history(settings: Settings, ledger: Ledger) -> AsyncIterator[HistoryApi | None]:
    """Yield what reads CloudTalk's history; None without an API key."""
    access = settings.cloudtalk.api.access()
    if access is None:
        yield None
        return
    per_minute = settings.cloudtalk.api.requests_per_minute
    api = HistoryApi(access, SharedRequestLimit(ledger, per_minute=per_minute))
    api.on_wait = lambda seconds: echo(
        f"waiting {ceil(seconds)} s for the rate limit of CloudTalk's API", err=True
    )
    try:
        yield api
    finally:
        await api.aclose()


@asynccontextmanager
async def _clients(
    settings: Settings, ledger: Ledger, only: Collection[str] | None
) -> AsyncIterator[Mapping[str, CrmClient[Any]]]:
    clients = build_clients(settings, lambda name: LedgerClientState(ledger, name), only=only)
    try:
        yield clients
    finally:
        for client in clients.values():
            await client.aclose()


# --- output -------------------------------------------------------------------------------------


def _show_last(settings: Settings, *, as_json: bool) -> None:
    def read(connection: Connection) -> Outcome | None:
        rows = audits.list_newest(connection, 1)
        return (
            Outcome(decode(rows[0].result), audits.list_findings(connection, rows[0].seq)) if rows else None
        )

    outcome = read_ledger(settings, read)
    if outcome is None:
        raise click.ClickException(
            "no audit is stored: a relay makes one every night, and so does this command"
        )
    _finish(settings, outcome, as_json=as_json)


def _finish(settings: Settings, outcome: Outcome, *, as_json: bool) -> NoReturn:
    """Print the result, and end the command."""
    result = outcome.result
    if as_json:
        print_json(to_json(result) | {"findings": outcome.findings})
    else:
        situation = situation_of(settings, wall_clock(), for_people=True)
        _print(view_result(result, situation), outcome.findings)
        if result.repaired and not read_ledger(settings, lambda c: relays.list_running(c, now=wall_clock())):
            echo("\nno relay is running: the next `relay serve` writes to the CRMs")
    sys.exit(0 if result.is_good else 1)


def _print(view: AuditView, findings: Sequence[Finding]) -> None:
    echo(f"calls from {view.since} to {view.until}\n")
    rows = [[side.name, "?" if side.calls is None else side.calls, side.found] for side in view.sides]
    print_table(("side", "calls", "found"), rows, wrap="found")
    if findings:
        echo()
        views = [view_finding(each, Language.EN) for each in findings[:_SHOWN]]
        print_table(
            ("call", "where", "found", "action"),
            [[each.call, each.destination or "ledger", _found(each), each.action] for each in views],
            wrap="found",
        )
    if len(findings) > _SHOWN:
        echo(f"and {len(findings) - _SHOWN} more: --json has all of them")
    echo(f"\n{view.summary}")


def _found(view: FindingView) -> str:
    return f"{view.found}: {', '.join(view.details)}" if view.details else view.found
