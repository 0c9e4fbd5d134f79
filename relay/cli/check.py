"""`relay check`: whether calls could be brought, and what to do where not."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import click

from crm_clients.base import CrmClient, Finding
from crm_clients.state import InMemoryClientState
from relay.cli.main import Context
from relay.cli.output import as_json, print_json, print_table
from relay.instants import SECOND
from relay.ledger import Ledger, LedgerError, warnings
from relay.settings import Settings

_NEWS: Final = 86_400 * SECOND


@click.command("check")
@as_json
@click.pass_obj
def command(context: Context, *, wants_json: bool) -> None:
    """Try the ledger and every destination; writes no call. Ends with 1 where something is wrong."""
    found = asyncio.run(findings(context.settings()))
    if wants_json:
        print_json(found)
    else:
        print_table(("", "name", "code", "problem"), [_line(finding) for finding in found])
        for finding in found:
            if finding.hint:
                click.echo(f"\n{finding.name}, {finding.code}: {finding.hint}")
    sys.exit(0 if all(finding.ok for finding in found) else 1)


def _line(finding: Finding) -> tuple[str | None, ...]:
    return "ok" if finding.ok else "bad", finding.name, finding.code, finding.problem


async def findings(settings: Settings) -> list[Finding]:
    """What the ledger and each destination say of themselves."""
    from relay.app import build_clients  # noqa: PLC0415 - app assembles what cli only asks

    clients = build_clients(settings, lambda _: InMemoryClientState())
    by_client = await asyncio.gather(*map(_checked, clients.values()))
    ledger = await _ledger(settings)
    clock = [await _clock(settings)] if ledger.ok and settings.cloudtalk.signing_secrets else []
    return [ledger, *clock, *(finding for found in by_client for finding in found)]


async def _checked(client: CrmClient[Any]) -> list[Finding]:
    """What a client finds; a fault of its own is told like any other, and hides no other's finding."""
    try:
        return await client.check()
    except Exception as error:  # noqa: BLE001 - a plug-in may fail in any way; its words help a person more
        return [
            Finding(
                name=client.name,
                ok=False,
                code="client_fault",
                problem=f"its client failed: {type(error).__name__}: {error}",
                hint=f"tell the author of {type(client).__module__}",
            )
        ]
    finally:
        await client.aclose()


async def _ledger(settings: Settings) -> Finding:
    try:
        async with _opened(settings.ledger.url.get_secret_value()) as ledger:
            await ledger.check_writable()
    except LedgerError as error:
        return Finding(
            name="ledger",
            ok=False,
            code="unreachable",
            problem=str(error),
            hint=_hint(settings),
        )
    return Finding(name="ledger", ok=True)


def _hint(settings: Settings) -> str:
    if settings.ledger.path is not None:
        return "see that the folder of ledger.url exists, can be written, and that the disk is not full"
    return "see that the server of ledger.url runs, lets this machine in, and that its disk is not full"


async def _clock(settings: Settings) -> Finding:
    async with _opened(settings.ledger.url.get_secret_value()) as ledger:
        since = ledger.now() - _NEWS
        seen = await ledger.read(lambda connection: warnings.get(connection, warnings.CLOCK_OFF, since=since))
    if seen is None:
        return Finding(name="clock", ok=True)
    return Finding(
        name="clock",
        ok=False,
        code="clock_off",
        problem=f"a signed webhook was refused within the last day: {seen}",
        hint="set this machine's clock (on systemd: timedatectl set-ntp true), then let CloudTalk resend",
    )


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Ledger]:
    ledger = Ledger(url)
    try:
        await ledger.open()
        yield ledger
    finally:
        await ledger.close()
