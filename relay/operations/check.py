"""Whether calls could be delivered, and how to fix what is wrong: the settings, the ledger and every CRM.

A finding that is `ok` and has a problem is a warning. The fields of a finding are the keys of its JSON.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec

from crm_clients.base import CrmClient, Finding
from crm_clients.state import InMemoryClientState
from relay.delivery.clients import build_clients
from relay.logs import remove_secrets
from relay.operations.alert_receiver import AlertReceiver
from relay.operations.check_ledger import check_ledger
from relay.recordings.check import API, check_recordings
from relay.settings import Settings, review

__all__ = ["Finding", "is_good", "run_checks"]


async def run_checks(settings: Settings) -> list[Finding]:
    """Check the settings, the ledger with what a relay stored in it, and every CRM, even a disabled one.

    Writes no call, and creates nothing.
    """
    clients = build_clients(settings, lambda _: InMemoryClientState())
    by_client = await asyncio.gather(*map(_check_client, clients.values()))
    findings = [
        *review(settings),
        *await check_ledger(settings),
        *await _check_cloudtalk(settings),
        *(finding for findings in by_client for finding in findings),
        *([await AlertReceiver(settings.alerts).check()] if settings.alerts.host else []),
    ]
    return list(map(_without_secrets, findings))


async def _check_cloudtalk(settings: Settings) -> list[Finding]:
    """Check the API key and the archive of recordings; with a key that works also what it may read."""
    findings = await check_recordings(settings)
    if all(finding.ok for finding in findings if finding.name == API):
        # Loaded with the first check: an HTTP client needs 7 MB of memory.
        from relay.history.check import check_history  # noqa: PLC0415

        findings += await check_history(settings)
    return findings


def is_good(findings: Iterable[Finding]) -> bool:
    """Whether no finding is a failure. Warnings are good."""
    return all(finding.ok for finding in findings)


def _without_secrets(finding: Finding) -> Finding:
    """An error of a CRM or a database may quote the request with its key."""
    problem, hint = (text and remove_secrets(text) for text in (finding.problem, finding.hint))
    return msgspec.structs.replace(finding, problem=problem, hint=hint)


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
