"""`relay calls list`: search the calls, or list the newest."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

import click

from relay.call import with_playable_recording
from relay.cli.ledger_session import read_with_ledger
from relay.cli.local_times import local_time
from relay.cli.main import Context
from relay.cli.option_values import parse_time, usage_errors
from relay.cli.output import echo, json_option, print_json_array, print_table
from relay.ledger import Ledger
from relay.ledger.states import DeliveryState
from relay.operations.call_list import CallFilter, ListedCall, iterate_calls
from relay.operations.filter_values import (
    DIRECTIONS,
    parse_delivery_states,
    parse_directions,
    parse_statuses,
)
from relay.operations.unanswered import WaitingCall, iterate_unanswered
from relay.settings import Settings
from relay.standards.intervals import format_interval

_DEFAULT_ROWS: Final = 50
_NO_CALLS: Final = "no calls"
_NOBODY_WAITS: Final = "no customer whose call was missed in the last 7 days waits for a call"

_COLUMNS: Final = {
    "id": "id",
    "direction": "direction",
    "status": "status",
    "number": "external_number",
    "contact": "contact_name",
    "started": "started_at",
    "secs": "duration_seconds",
}
"""Headings of the table, and the fields of the record."""


class Source(Protocol):
    """Yields calls of the ledger, the newest first, up to a limit."""

    def __call__(self, ledger: Ledger, *, limit: int | None) -> AsyncIterator[ListedCall]: ...


@click.command("list")
@click.option("--number", metavar="NUMBER", help="Its beginning or its end, in any spelling.")
@click.option("--name", metavar="WORDS", help="Beginnings of words of the contact's name.")
@click.option(
    "--agent", metavar="WORDS", help="Beginnings of words of an agent's name, or an e-mail address or id."
)
@click.option("--since", metavar="TIME", help="Calls that started at or after this time.")
@click.option("--until", metavar="TIME", help="Calls that started before this time.")
@click.option(
    "--status", "statuses", metavar="STATUS", multiple=True, help="A status, or its label in a CRM."
)
@click.option(
    "--direction", "directions", metavar="DIRECTION", multiple=True, help=f"{', '.join(DIRECTIONS)}."
)
@click.option("--destination", metavar="NAME", help="Calls with a delivery to this CRM.")
@click.option(
    "--delivery",
    "states",
    metavar="STATE",
    multiple=True,
    help=f"The state of the delivery to a CRM: {', '.join(DeliveryState)}.",
)
@click.option(
    "--unanswered",
    is_flag=True,
    help="Only the last missed call of each customer of the last 7 days who was not called back, who"
    " waits longest first, in office hours. Not with other conditions.",
)
@click.option(
    "--limit", type=click.IntRange(1), help="List at most this many calls. Default: 50; all with --json."
)
@json_option
@click.pass_obj
def command(
    context: Context, /, limit: int | None, *, unanswered: bool, as_json: bool, **options: Any
) -> None:
    """List calls, the latest first. Of several conditions a call must satisfy all.

    Names are compared without accents and case, in any order of the words. --status, --direction and
    --delivery may be repeated: then one of the values is enough.

    TIME is a date (its midnight) or ISO 8601. Without an offset it is in cloudtalk.timezone.
    """
    settings = context.settings()
    if unanswered and any(options.values()):
        raise click.UsageError("--unanswered is a list of its own: leave out the other conditions")
    with usage_errors():
        filter_ = _parse_filter(settings, **options)
        waiting = partial(iterate_unanswered, hours=settings.office_hours)
        source = waiting if unanswered else partial(iterate_calls, filter_=filter_)
        if as_json:
            _print_list_as_json(settings, source, limit)
        elif unanswered:
            _print_waiting(settings, waiting, limit or _DEFAULT_ROWS)
        else:
            _print_list(settings, source, limit or _DEFAULT_ROWS)


def _parse_filter(
    settings: Settings,
    *,
    since: str | None,
    until: str | None,
    statuses: Sequence[str],
    directions: Sequence[str],
    states: Sequence[str],
    destination: str | None,
    **texts: str | None,
) -> CallFilter:
    zone = ZoneInfo(settings.cloudtalk.timezone)
    return CallFilter(
        region=settings.cloudtalk.default_region,
        since=parse_time(since, zone, "since"),
        until=parse_time(until, zone, "until"),
        statuses=parse_statuses(statuses, settings.destinations),
        directions=parse_directions(directions),
        delivery=parse_delivery_states(states),
        destination=destination,
        **{name: text or "" for name, text in texts.items()},
    )


def _print_waiting(settings: Settings, source: Source, limit: int) -> None:
    found, has_more = read_with_ledger(settings, lambda ledger: _first_calls(ledger, source, limit))
    zone = ZoneInfo(settings.cloudtalk.timezone)
    rows = [
        (
            call.id,
            call.external_number,
            call.contact_name,
            str(call.missed_calls),
            format_interval(call.unanswered_seconds),
            local_time(call.started_at, zone, seconds=False),
        )
        for call in found
        if isinstance(call, WaitingCall)
    ]
    print_table(("last call", "number", "contact", "calls", "waits", "last missed"), rows, crop="contact")
    if not found:
        echo(f"\n{_NOBODY_WAITS}", err=True)
    if has_more:
        echo(f"\nthe {len(found)} who wait longest; there are more: use --limit to list them", err=True)


def _print_list(settings: Settings, source: Source, limit: int) -> None:
    found, has_more = read_with_ledger(settings, lambda ledger: _first_calls(ledger, source, limit))
    zone = ZoneInfo(settings.cloudtalk.timezone)
    rows = [
        [
            getattr(call, field)
            if field != "started_at"
            else local_time(call.started_at, zone, seconds=False)
            for field in _COLUMNS.values()
        ]
        for call in found
    ]
    print_table(tuple(_COLUMNS), rows, crop="contact")
    if not found:
        echo(f"\n{_NO_CALLS}", err=True)
    if has_more:
        echo(f"\nthe latest {len(found)} calls; there are more: use --limit to list them", err=True)


async def _first_calls(ledger: Ledger, source: Source, limit: int) -> tuple[list[ListedCall], bool]:
    """Return up to `limit` calls, and whether there are more."""
    found = [call async for call in source(ledger, limit=limit + 1)]
    return found[:limit], len(found) > limit


def _print_list_as_json(settings: Settings, source: Source, limit: int | None) -> None:
    async def print_calls(ledger: Ledger) -> None:
        links = settings.recording_links
        await print_json_array(
            with_playable_recording(call, links) async for call in source(ledger, limit=limit)
        )

    read_with_ledger(settings, print_calls)
