"""`relay status`."""

from typing import Any, Final

import click

from relay.cli.ledger import read_ledger
from relay.cli.main import Context
from relay.cli.output import as_json, print_json, print_table
from relay.ledger.ledger import wall_clock
from relay.views import status_view

_COLUMNS: Final = ("name", "client", "state", "owed", "oldest_owed_seconds", "delivered", "dead")


@click.command("status")
@as_json
@click.pass_obj
def command(context: Context, *, wants_json: bool) -> None:
    """Count events, calls, and what each CRM is owed."""
    settings = context.settings()
    enabled = {name: d.enabled for name, d in settings.destinations.items()}
    found = read_ledger(settings, lambda connection: status_view(connection, enabled, now=wall_clock()))
    if wants_json:
        print_json(found)
    else:
        _print(found)


def _print(found: dict[str, Any]) -> None:
    events = found["events"]
    click.echo(
        f"events: {events['accepted']} accepted, {events['unfolded']} not folded yet,"
        f" {events['quarantined']} in quarantine\ncalls: {found['calls']}\n"
    )
    print_table(_COLUMNS, [[row[column] for column in _COLUMNS] for row in found["destinations"]])
    for row in found["destinations"]:
        if row["paused_reason"]:
            click.echo(
                f"\n{row['name']} waits until {row['paused_until']}: {row['paused_reason']},"
                f" {row['paused_message']}"
            )
