"""`relay setup`: create in a CRM the tables or properties that the relay needs."""

import asyncio
import sys
from typing import Any

import click

from crm_clients.base import CrmClient
from crm_clients.state import InMemoryClientState
from relay.app import hide_secrets
from relay.cli.lookup import require_destination
from relay.cli.main import Context
from relay.cli.output import echo
from relay.delivery.clients import build_clients
from relay.logs import remove_secrets


@click.command("setup")
@click.argument("destination")
@click.option("--print", "print_only", is_flag=True, help="Print what to run in the CRM, and change nothing.")
@click.pass_obj
def command(context: Context, destination: str, *, print_only: bool) -> None:
    """Create in a CRM what the relay needs there. It may be repeated.

    Exit code 1 if `relay check` would still find a problem in the CRM.
    """
    settings = context.settings()
    hide_secrets(settings)
    clients = build_clients(settings, lambda _: InMemoryClientState())
    require_destination(destination, clients)
    client = clients[destination]
    if print_only:
        click.echo(client.setup_text(), nl=False)
        return
    try:
        lines, is_ready = asyncio.run(_set_up(client))
    except Exception as error:  # a plug-in may raise anything
        reason = remove_secrets(str(error))
        raise click.ClickException(f"{destination} could not be set up: {reason}") from error
    for line in lines:
        echo(line)
    sys.exit(0 if is_ready else 1)


async def _set_up(client: CrmClient[Any]) -> tuple[list[str], bool]:
    """Return one line per thing that was done, and whether the client's checks succeed now."""
    try:
        lines = await client.setup()
        return lines, all(finding.ok for finding in await client.check())
    finally:
        await client.aclose()
