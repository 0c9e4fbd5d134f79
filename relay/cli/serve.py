"""`relay serve`."""

import asyncio
import sys

import click

from relay.cli.main import Context
from relay.ledger import LedgerError
from relay.serving import PortError, Server, bind, new_event_loop
from relay.settings import Settings


@click.command("serve")
@click.pass_obj
def command(context: Context) -> None:
    """Bring CloudTalk's calls to the CRMs, until stopped."""
    settings = context.settings()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        try:
            sys.exit(runner.run(serve(settings)))
        except (PortError, LedgerError) as error:
            raise click.ClickException(str(error)) from error


async def serve(settings: Settings) -> int:
    """Serve these settings until a signal; the exit code. Raises `PortError` and `LedgerError`."""
    from app import Relay, create_app, start_logging  # noqa: PLC0415 - app assembles what cli only starts

    start_logging(settings)
    listening = bind(settings.server.host, settings.server.port)
    relay = Relay(settings)
    await relay.open()
    server = Server(create_app(relay), settings.server.url_on(listening.getsockname()[1]))
    await server.serve(sockets=[listening])
    return server.exit_code
