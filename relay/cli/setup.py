"""`relay setup`: prepare a CRM for calls."""

import asyncio
import sys
from typing import Any

import click

from crm_clients.base import CrmClient
from crm_clients.state import InMemoryClientState
from relay.cli.main import Context


@click.command("setup")
@click.argument("destination")
@click.option("--print", "only_print", is_flag=True, help="Print what would be done, for a person to run.")
@click.pass_obj
def command(context: Context, destination: str, *, only_print: bool) -> None:
    """Create in the CRM what the relay needs there. Doing it twice does no harm."""
    from relay.app import build_clients  # noqa: PLC0415 - app assembles what cli only asks

    clients = build_clients(context.settings(), lambda _: InMemoryClientState())
    if destination not in clients:
        known = ", ".join(clients) or "none"
        raise click.ClickException(f"no destination {destination} in the settings; there are: {known}")
    client = clients[destination]
    if only_print:
        click.echo(client.setup_text(), nl=False)
        return
    try:
        lines, stands = asyncio.run(_set_up(client))
    except Exception as error:  # a client may fail in any way, and its words help more than its traceback
        raise click.ClickException(f"{destination} could not be set up: {error}") from error
    for line in lines:
        click.echo(line)
    sys.exit(0 if stands else 1)


async def _set_up(client: CrmClient[Any]) -> tuple[list[str], bool]:
    """What was done, and whether calls could be brought now."""
    try:
        lines = await client.setup()
        return lines, all(finding.ok for finding in await client.check())
    finally:
        await client.aclose()
