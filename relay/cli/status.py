"""`relay status`: count events, calls and deliveries, once or again and again."""

import time
from typing import Final, NoReturn

import click
import msgspec

from relay.cli.ledger_session import read_with_ledger
from relay.cli.main import Context
from relay.cli.output import echo, json_option, print_json, print_records
from relay.ledger import Ledger
from relay.operations.explanation import situation_of
from relay.operations.status import Status, get_status
from relay.settings import Settings

_COLUMNS: Final = ("name", "client", "state", "pending", "oldest_pending_seconds", "delivered", "dead")
_WATCH_SECONDS: Final = 2.0


@click.command("status")
@click.option(
    "--watch", is_flag=True, help="Repeat every 2 s until Ctrl-C; with --json print one object per line."
)
@json_option
@click.pass_obj
def command(context: Context, *, watch: bool, as_json: bool) -> None:
    """Count events, calls, and the deliveries of each CRM."""
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
    while True:
        status = _read(settings, for_people=not as_json)
        if as_json:
            click.echo(msgspec.json.encode(status))
        else:
            click.clear()
            _print(status)
        time.sleep(_WATCH_SECONDS)


def _print(status: Status) -> None:
    events = status.events
    echo(
        f"events: {events.accepted} accepted, {events.unfolded} not folded yet,"
        f" {events.quarantined} in quarantine\ncalls: {status.calls}\n"
    )
    if events.aside:
        echo(
            f"{events.aside} events could not be folded and were set aside: `relay quarantine list` shows"
            " why, `relay quarantine retry` tries them again\n"
        )
    if events.quarantine_dropped:
        echo(
            f"{events.quarantine_dropped} bodies were deleted because the quarantine was full: look at the"
            " others (`relay quarantine list`), then retry or drop them\n"
        )
    if events.unclear:
        echo(
            f"{events.unclear} ended events do not state whether anybody talked: a missed call among them"
            " looks completed; `relay check` names the missing variable\n"
        )
    if status.retention_refused:
        echo(f"retention deletes nothing: {status.retention_refused}\n")
    print_records(_COLUMNS, status.destinations)
    for destination in status.destinations:
        echo(f"\n{destination.explanation}")
