"""`relay status`: count events, calls and deliveries, once or again and again."""

import sys
import time
from collections.abc import Iterator
from typing import Final, NoReturn

import click
import msgspec
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from relay.cli.ledger_session import read_with_ledger
from relay.cli.main import Context
from relay.cli.output import echo, json_option, print_json, print_records
from relay.ledger import Ledger
from relay.operations.explanation import situation_of
from relay.operations.history_status import BackfillStatus, HistoryStatus
from relay.operations.status import Status, get_status
from relay.operations.unanswered import FollowUps
from relay.settings import Settings
from relay.standards.intervals import format_interval
from relay.standards.unprintable import escape_unprintable

DESTINATION_COLUMNS: Final = (
    "name",
    "client",
    "state",
    "pending",
    "oldest_pending_seconds",
    "delivered",
    "delivered_today",
    "dead",
)
_SCREEN_COLUMNS: Final = {
    "name": "name",
    "state": "state",
    "pending": "pending",
    "oldest s": "oldest_pending_seconds",
    "delivered": "delivered",
    "today": "delivered_today",
    "dead": "dead",
}
"""Headings of the live screen, which has 80 columns or more, and the fields."""

_WATCH_SECONDS: Final = 2.0


@click.command("status")
@click.option(
    "--watch", is_flag=True, help="Repeat every 2 s until Ctrl-C; with --json print one object per line."
)
@json_option
@click.pass_obj
def command(context: Context, *, watch: bool, as_json: bool) -> None:
    """Show whether a relay runs, and the state of each CRM."""
    settings = context.settings()
    if watch:
        _watch(settings, as_json=as_json)
    status = _read(settings, for_people=not as_json)
    if as_json:
        print_json(status)
    else:
        _print(status)


def _read(settings: Settings, *, for_people: bool) -> Status:
    async def read(ledger: Ledger) -> Status:
        situation = situation_of(settings, ledger.now(), for_people=for_people)
        return await ledger.read(lambda connection: get_status(connection, situation))

    return read_with_ledger(settings, read)


def _watch(settings: Settings, *, as_json: bool) -> NoReturn:
    if as_json or not sys.stdout.isatty():
        while True:
            status = _read(settings, for_people=not as_json)
            if as_json:
                click.echo(msgspec.json.encode(status))
            else:
                _print(status)
            time.sleep(_WATCH_SECONDS)
    with Live(screen=True, auto_refresh=False, vertical_overflow="ellipsis") as live:
        while True:
            live.update(build_screen(_read(settings, for_people=True)), refresh=True)
            time.sleep(_WATCH_SECONDS)


def build_screen(status: Status) -> Group:
    """Return the live screen: the numbers of the destinations, then a sentence about each."""
    table = Table(*_SCREEN_COLUMNS, box=None, pad_edge=False, header_style="bold")
    for destination in status.destinations:
        cells = (getattr(destination, field) for field in _SCREEN_COLUMNS.values())
        table.add_row(*(Text("" if cell is None else escape_unprintable(str(cell))) for cell in cells))
    sentences = (Text(f"\n{escape_unprintable(each.explanation)}") for each in status.destinations)
    return Group(Text("\n".join(_heads(status))), Text(), table, *sentences, Text("\nCtrl-C ends", "dim"))


def _print(status: Status) -> None:
    echo("\n\n".join(["\n".join(_heads(status)), *_problems(status)]) + "\n")
    print_records(DESTINATION_COLUMNS, status.destinations)
    for destination in status.destinations:
        echo(f"\n{destination.explanation}")


_API_NAMES: Final = {"analytics": "analytics API", "ai": "AI"}


def _heads(status: Status) -> list[str]:
    """Return a line about the relays, the events, the calls and CloudTalk's history, one about each."""
    events = status.events
    last = f", the last at {events.last_at}" if events.last_at else ""
    waiting = f"{events.unfolded} not folded yet, {events.quarantined} in quarantine"
    return [
        *(f"relay: {each.host}, process {each.pid}, since {each.started_at}" for each in status.relays),
        *([] if status.relays else ["no relay is running; `relay serve` starts one"]),
        f"events: {events.accepted} accepted{last}, {waiting}",
        f"calls: {status.calls}{_describe_follow_ups(status.follow_ups)}",
        f"history: {_describe_history(status.history)}",
        *map(_describe_backfill, status.history.backfills),
        *([f"audit: {status.audit.finished_at}: {status.audit.summary}"] if status.audit else []),
    ]


def _describe_history(history: HistoryStatus) -> str:
    """Describe the last search of the reconciler, and the next one."""
    if not history.reconciles:
        return "not searched for calls that CloudTalk never announced ([reconcile] is off)"
    if (last := history.last) is None:
        return "not searched yet"
    coming = f"; the next search at {history.next_at}" if history.next_at else ""
    return f"searched at {last.at}: {last.calls} calls, {last.new} new, {last.filled} filled{coming}"


def _describe_backfill(backfill: BackfillStatus) -> str:
    requests = f"request {backfill.requests} of about {backfill.requests + backfill.requests_left}"
    found = f"{backfill.calls} calls, {backfill.new} new, {backfill.filled} filled"
    state = "runs" if backfill.is_running else "was interrupted, the same command continues it"
    return f"backfill since {backfill.since} {state}: {requests}, {found}"


def _describe_follow_ups(follow_ups: FollowUps) -> str:
    """Describe the missed calls of the last days; empty if there is none to describe."""
    customers, median = follow_ups.customers, follow_ups.median_seconds
    longest = f" (longest: {format_interval(follow_ups.longest_seconds or 0)})"
    who = "customer waits" if customers == 1 else "customers wait"
    waiting = [f"{customers} missed {who} for a call{longest}"]
    called_back = [f"others waited {format_interval(median)} (median)"] if median is not None else []
    parts = [*(waiting if customers else []), *called_back]
    return f"; {', '.join(parts)}" if parts else ""


def _problems(status: Status) -> Iterator[str]:
    """Yield a paragraph about each problem that no destination has."""
    events = status.events
    for each in status.refused:
        yield f"{each.problem}; {each.hint} (`relay cloudtalk-setup`)"
    if events.aside:
        yield (
            f"{events.aside} events could not be folded and were set aside: `relay quarantine list` shows"
            " why, `relay quarantine retry` tries them again"
        )
    if events.quarantine_dropped:
        yield (
            f"{events.quarantine_dropped} bodies were deleted because the quarantine was full: look at the"
            " others (`relay quarantine list`), then retry or drop them"
        )
    if events.unclear:
        yield (
            f"{events.unclear} ended events do not state whether anybody talked: a missed call among them"
            " looks completed; `relay check` names the missing variable"
        )
    if failing := status.history.failing:
        yield f"CloudTalk's history cannot be read since {failing.since}: {failing.message}"
    if status.audit and not status.audit.good:
        yield "the audit found something to look at: `relay audit --last` shows it"
    if status.retention_refused:
        yield f"retention deletes nothing: {status.retention_refused}"
    for paused in status.enrichment.paused:
        yield f"CloudTalk's {_API_NAMES[paused.api]} is not asked about calls for a while: {paused.problem}"
