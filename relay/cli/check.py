"""`relay check`: test whether calls could be delivered, and say how to fix what is wrong."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import click

from crm_clients.base import CrmClient, Finding
from crm_clients.state import InMemoryClientState
from relay.app import build_clients
from relay.cli.main import Context
from relay.cli.output import json_option, print_json, print_table
from relay.instants import SECOND, Instant
from relay.ledger import Ledger, LedgerError, warnings
from relay.settings import Settings

_CLOCK_WARNING_AGE: Final = 86_400 * SECOND
"""A warning about the clock counts for one day."""


@click.command("check")
@json_option
@click.pass_obj
def command(context: Context, *, as_json: bool) -> None:
    """Test the ledger and every CRM, without writing a call.

    Exit code 1 if a test failed; the output says how to fix it.
    """
    findings = asyncio.run(run_checks(context.settings()))
    if as_json:
        print_json(findings)
    else:
        print_table(("", "name", "code", "problem"), map(_row, findings))
        for finding in findings:
            if finding.hint:
                click.echo(f"\n{finding.name}, {finding.code}: {finding.hint}")
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


def _row(finding: Finding) -> tuple[str | None, ...]:
    return "ok" if finding.ok else "failed", finding.name, finding.code, finding.problem


async def run_checks(settings: Settings) -> list[Finding]:
    """Check the ledger, the clock if webhooks are signed, and every destination, even a disabled one."""
    clients = build_clients(settings, lambda _: InMemoryClientState())
    by_client = await asyncio.gather(*map(_check_client, clients.values()))
    ledger = await _check_ledger(settings)
    clock = [await _check_clock(settings)] if ledger.ok and settings.cloudtalk.signing_secrets else []
    return [ledger, *clock, *(finding for findings in by_client for finding in findings)]


async def _check_client(client: CrmClient[Any]) -> list[Finding]:
    """Let the client check its CRM. A fault of the client itself must not hide the other findings."""
    try:
        return await client.check()
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
        return [
            Finding(
                name=client.name,
                ok=False,
                code="client_fault",
                problem=f"the client failed: {type(error).__name__}: {error}",
                hint=f"report this to the author of {type(client).__module__}",
            )
        ]
    finally:
        await client.aclose()


async def _check_ledger(settings: Settings) -> Finding:
    try:
        async with _open_ledger(settings) as ledger:
            await ledger.check_writable()
    except LedgerError as error:
        return Finding(
            name="ledger", ok=False, code="unreachable", problem=str(error), hint=_ledger_hint(settings)
        )
    return Finding(name="ledger", ok=True)


def _ledger_hint(settings: Settings) -> str:
    if settings.ledger.path is not None:
        return "check that the folder of ledger.url exists and is writable, and that the disk is not full"
    return (
        "check that the server of ledger.url runs and accepts connections from this machine, and that its"
        " disk is not full"
    )


async def _check_clock(settings: Settings) -> Finding:
    """Look for a warning that the ingest wrote when it refused a signed webhook because of its time."""
    async with _open_ledger(settings) as ledger:
        since = Instant(ledger.now() - _CLOCK_WARNING_AGE)
        warning = await ledger.read(
            lambda connection: warnings.get(connection, warnings.CLOCK_OFF, since=since)
        )
    if warning is None:
        return Finding(name="clock", ok=True)
    return Finding(
        name="clock",
        ok=False,
        code="clock_off",
        problem=f"a signed webhook was refused within the last day: {warning}",
        hint="set this machine's clock (with systemd: timedatectl set-ntp true), then let CloudTalk resend",
    )


@asynccontextmanager
async def _open_ledger(settings: Settings) -> AsyncIterator[Ledger]:
    ledger = Ledger(settings.ledger.url.get_secret_value())
    try:
        await ledger.open()
        yield ledger
    finally:
        await ledger.close()
