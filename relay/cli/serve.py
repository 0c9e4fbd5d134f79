"""`relay serve`."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable

import click

from relay.cli.ledger import with_ledger
from relay.cli.main import Context
from relay.ledger import Ledger, LedgerError
from relay.logs import get_logger
from relay.server.server import PortError, Server, bind, block_sighup, new_event_loop
from relay.server.supervisor import Supervisor
from relay.settings import Settings, SettingsError

log = get_logger("relay.server")


@click.command("serve")
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes that share the port and the ledger.",
)
@click.pass_obj
def command(context: Context, workers: int) -> None:
    """Bring CloudTalk's calls to the CRMs, until stopped."""
    from relay.app import start_logging  # noqa: PLC0415 - app assembles what cli only starts

    block_sighup()
    settings = context.settings()
    start_logging(settings)
    try:
        listening = bind(settings.server.host, settings.server.port)

        def work() -> int:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                return runner.run(serve(settings, context.reread, listening))

        sys.exit(work() if workers == 1 else _several(settings, workers, work))
    except (PortError, LedgerError) as error:
        raise click.ClickException(str(error)) from error


def _several(settings: Settings, number: int, work: Callable[[], int]) -> int:
    if not hasattr(os, "fork"):
        raise click.UsageError("several workers need a system that can fork")
    # A ledger that cannot be used is told once, here, and not again and again by each of them.
    with_ledger(settings, Ledger.check_writable)
    return Supervisor(number, work).run()


async def serve(settings: Settings, reread: Callable[[], Settings], listening: socket.socket) -> int:
    """Serve these settings until a signal; the exit code. Raises `LedgerError`.

    At a SIGHUP the tokens and keys are read again.
    """
    from relay.app import Relay, create_app  # noqa: PLC0415 - see command

    relay = Relay(settings)
    await relay.lifecycle.open()

    async def refresh() -> None:
        try:
            loaded = reread()
        except SettingsError as error:
            # What runs goes on: a mistake in a file must not take the hook down.
            log.error("settings.reload_failed", error=str(error))  # noqa: TRY400 - the text says it all
            return
        try:
            await relay.reload_secrets(loaded)
        except LedgerError as error:
            log.error("settings.reload_failed", error=str(error))  # noqa: TRY400 - likewise

    url = settings.server.url_on(listening.getsockname()[1])
    server = Server(create_app(relay), url, on_reload=refresh, on_stop=relay.lifecycle.stop_delivering)
    await server.serve(sockets=[listening])
    return server.exit_code
