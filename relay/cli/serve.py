"""`relay serve`: run the relay until it is stopped."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

import click

from relay.app import Relay, create_app, start_logging
from relay.cli.main import Context
from relay.ledger import Ledger, LedgerError
from relay.ledger.errors import LedgerDamaged
from relay.ledger.notifications import WakeUpPipe
from relay.ledger.write_check import check_writable
from relay.logs import get_logger
from relay.measurements import PROCESS_STARTS, SharedMemory, attach
from relay.server.connections import connection_limit, raise_open_files
from relay.server.lifecycle import log_schema
from relay.server.roles import Role, assign_roles
from relay.server.server import PortError, Server, block_sighup, new_event_loop, open_listening
from relay.server.stop_deadline import force_exit_later
from relay.server.supervisor import Supervisor
from relay.settings import Settings, SettingsError, review

log = get_logger("relay.server")


@click.command("serve")
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of processes. From two on, one folds and delivers, and the others accept events.",
)
@click.pass_obj
def command(context: Context, workers: int) -> None:
    """Receive events and deliver calls until stopped.

    SIGTERM stops it with exit code 0. SIGHUP reloads the tokens and keys of the settings.

    A socket that systemd passes (socket activation) is used instead of server.host and server.port.
    """
    block_sighup()
    settings = context.settings()
    start_logging(settings)
    for warning in review(settings):
        log.warning(
            "settings.warning",
            code=warning.code,
            problem=f"{warning.name}: {warning.problem}",
            hint=warning.hint,
        )
    try:
        is_open = not (settings.cloudtalk.tokens or settings.cloudtalk.signing_secrets)
        listening = open_listening(settings.server.host, settings.server.port, only_local=is_open)
        if is_open:
            log.warning("server.local_only", hint="set cloudtalk.tokens to accept requests of other machines")

        pipe = WakeUpPipe() if workers > 1 else None
        measurements = SharedMemory(workers)

        def work(role: Role, number: int) -> int:
            attach(measurements, number)
            PROCESS_STARTS.add((role,))
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                return runner.run(serve(settings, context.reload, listening, role, pipe))

        sys.exit(work(Role.ALL, 0) if workers == 1 else _serve_with_workers(settings, workers, work))
    except (PortError, LedgerError) as error:
        raise click.ClickException(str(error)) from error


def _serve_with_workers(settings: Settings, number: int, work: Callable[[Role, int], int]) -> int:
    if not hasattr(os, "fork"):
        raise click.UsageError("--workers needs a system with fork, such as Linux; run one worker")
    # An unusable ledger is reported once here, instead of by every worker again and again.
    with suppress(LedgerDamaged):  # the workers answer 503 and say why
        asyncio.run(_check_ledger(settings))
    return Supervisor(assign_roles(number), work).run()


async def _check_ledger(settings: Settings) -> None:
    """Create or migrate the ledger, and write to it. Raises `LedgerError`."""
    ledger = Ledger(settings.ledger.url.get_secret_value())
    try:
        log_schema(*await ledger.open())
        await check_writable(ledger)
    finally:
        await ledger.close()


async def serve(
    settings: Settings,
    reload: Callable[[], Settings],
    listening: socket.socket,
    role: Role,
    pipe: WakeUpPipe | None,
) -> int:
    """Do the work of this role until a signal stops the process, and return the exit code.

    `reload` loads the settings again; it is called at a SIGHUP. Raises `LedgerError`.
    """
    max_connections = connection_limit(raise_open_files(), settings.server.max_in_flight)
    relay = Relay(settings, role, max_connections=max_connections, pipe=pipe)
    await relay.lifecycle.open()

    async def reload_secrets() -> None:
        # After a mistake in the file the relay continues with the earlier secrets.
        try:
            await relay.reload_secrets(reload())
        except (SettingsError, LedgerError) as error:
            log.error("settings.reload_failed", error=str(error))  # noqa: TRY400 - the message is enough

    def stop() -> None:
        force_exit_later(lambda: server.exit_code)
        relay.lifecycle.stop_delivering()

    sockets = [] if role is Role.DELIVERY else [listening]
    server = Server(
        create_app(relay),
        settings.server.url_on(listening.getsockname()[1]) if sockets else None,
        keep_alive_seconds=settings.server.keep_alive_seconds,
        max_connections=max_connections,
        on_reload=reload_secrets,
        on_stop=stop,
    )
    await server.serve(sockets=sockets)
    return server.exit_code
