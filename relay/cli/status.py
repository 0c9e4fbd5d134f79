"""`relay status`."""

import asyncio
from typing import Any, Final

import click
import msgspec

from relay.cli.ledger import with_ledger
from relay.cli.main import Context
from relay.cli.output import as_json, print_json, print_table
from relay.cli.queries import status_view
from relay.ledger import Ledger
from relay.settings import Settings

_COLUMNS: Final = ("name", "client", "state", "pending", "oldest_pending_seconds", "delivered", "dead")
_WATCH_SECONDS: Final = 2.0


@click.command("status")
@click.option("--watch", is_flag=True, help="Again every 2 s, until Ctrl-C; with --json an object a line.")
@as_json
@click.pass_obj
def command(context: Context, *, watch: bool, wants_json: bool) -> None:
    """Count events, calls, and what each CRM is owed."""
    settings = context.settings()
    if watch:
        with_ledger(settings, lambda ledger: _watch(ledger, settings, wants_json=wants_json))
        return
    found = with_ledger(settings, lambda ledger: _look(ledger, settings))
    if wants_json:
        print_json(found)
    else:
        _print(found)


async def _look(ledger: Ledger, settings: Settings) -> dict[str, Any]:
    enabled = {name: destination.enabled for name, destination in settings.destinations.items()}
    return await ledger.read(lambda connection: status_view(connection, enabled, now=ledger.now()))


async def _watch(ledger: Ledger, settings: Settings, *, wants_json: bool) -> None:
    while True:
        found = await _look(ledger, settings)
        if wants_json:
            click.echo(msgspec.json.encode(found))
        else:
            click.clear()
            _print(found)
        await asyncio.sleep(_WATCH_SECONDS)


def _print(found: dict[str, Any]) -> None:
    events = found["events"]
    click.echo(
        f"events: {events['accepted']} accepted, {events['unfolded']} not folded yet,"
        f" {events['quarantined']} in quarantine\ncalls: {found['calls']}\n"
    )
    print_table(_COLUMNS, [[row[column] for column in _COLUMNS] for row in found["destinations"]])
    for row in found["destinations"]:
        if row["state"] == "paused":
            click.echo(f"\n{row['name']} is paused; `relay destinations resume {row['name']}` ends that")
        elif row["paused_reason"]:
            click.echo(
                f"\n{row['name']} waits until {row['paused_until']}: {row['paused_reason']},"
                f" {row['paused_message']}"
            )
