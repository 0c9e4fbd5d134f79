"""The part of `check` about the ledger: whether it can be written, and what a relay stored in it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from crm_clients.base import Finding
from crm_clients.settings import DestinationSettings
from relay.fold.options import questions_of
from relay.history.enrichment.schedule import API_OF
from relay.instants import SECOND, Instant
from relay.ledger import LedgerError, deliveries, destinations, journal, warnings
from relay.ledger.connection import Connection
from relay.ledger.write_check import check_writable
from relay.operations.explanation import Situation, situation_of
from relay.operations.ledger_access import has_ledger, open_ledger
from relay.operations.refused_senders import list_refused
from relay.operations.status import DestinationStatus, list_destinations, list_paused_apis
from relay.settings import Settings
from relay.standards.file_access import explain_denied, explain_uncreatable
from relay.standards.private_files import review_database

_WARNING_AGE: Final = 86_400 * SECOND
"""A warning about the clock, or about what an event lacks, counts for one day."""


async def check_ledger(settings: Settings) -> list[Finding]:
    """Check that the ledger can be written, and look in it for what a running relay found."""
    if not await asyncio.to_thread(has_ledger, settings):
        return [_check_missing_ledger(settings.ledger.path)]
    try:
        async with open_ledger(settings) as ledger:
            await check_writable(ledger)
            now = ledger.now()
            return [
                Finding(name="ledger", ok=True),
                *_review_files(settings.ledger.path),
                *await ledger.read(lambda connection: list(_find_in_ledger(connection, settings, now))),
            ]
    except LedgerError as error:
        return [
            Finding(
                name="ledger", ok=False, code="unreachable", problem=str(error), hint=_ledger_hint(settings)
            )
        ]


def _check_missing_ledger(path: Path | None) -> Finding:
    """Check that `relay serve` can create the ledger. On PostgreSQL only the server knows."""
    if path is not None and (reason := explain_uncreatable(path)) is not None:
        problem = f"the ledger {path} cannot be created"
        return Finding(name="ledger", ok=False, code="unreachable", problem=problem, hint=reason)
    what = f"{path}" if path is not None else "its tables"
    return Finding(name="ledger", ok=True, code="not_created", hint=f"`relay serve` creates {what}")


def _review_files(path: Path | None) -> Iterator[Finding]:
    if path is not None:
        yield from (Finding(name="ledger", ok=True, **warning) for warning in review_database(path))


def _ledger_hint(settings: Settings) -> str:
    if settings.ledger.path is not None:
        if (denied := explain_denied(settings.ledger.path)) is not None:
            return denied
        return "check that the folder of ledger.url exists and is writable, and that the disk is not full"
    return (
        "check that the server of ledger.url runs and accepts connections from this machine, and that its"
        " disk is not full"
    )


def _find_in_ledger(connection: Connection, settings: Settings, now: Instant) -> Iterator[Finding]:
    if settings.cloudtalk.signing_secrets:
        yield _check_clock(connection, now)
    situation = situation_of(settings, now, for_people=True)
    yield from _check_senders(connection, situation)
    yield from _check_outcomes(connection, now)
    yield from _check_retention(connection)
    yield from _check_enrichment(connection, settings)
    for status in list_destinations(connection, situation):
        if status.name in settings.destinations:
            yield from _check_deliveries(status)
            yield from _check_rendering(connection, settings.destinations[status.name], status.name)


def _check_clock(connection: Connection, now: Instant) -> Finding:
    """Look for a warning that the ingest wrote when it refused a signed webhook because of its time."""
    warning = warnings.get(connection, warnings.CLOCK_OFF, since=Instant(now - _WARNING_AGE))
    if warning is None:
        return Finding(name="clock", ok=True)
    return Finding(
        name="clock",
        ok=False,
        code="clock_off",
        problem=f"a signed webhook was refused within the last day: {warning}",
        hint="set this machine's clock (with systemd: timedatectl set-ntp true), then let CloudTalk resend",
    )


def _check_senders(connection: Connection, situation: Situation) -> Iterator[Finding]:
    """Report requests to the webhook that were refused: CloudTalk may have sent them."""
    for each in list_refused(connection, situation):
        yield Finding(name="cloudtalk", ok=True, code=each.reason, problem=each.problem, hint=each.hint)


def _check_outcomes(connection: Connection, now: Instant) -> Iterator[Finding]:
    """Report Ended events of the last day that do not state whether anybody talked."""
    for variable, count in journal.count_missing(connection, since=Instant(now - _WARNING_AGE)).items():
        yield Finding(
            name="cloudtalk",
            ok=True,
            code="missing_variable",
            problem=f"ended events without {variable} within the last day: {count}; a missed call among them"
            " looks completed",
            hint=f"add {variable} to the body of the ended event, with a value from the variable picker;"
            " `relay cloudtalk-setup` prints the body",
        )


def _check_retention(connection: Connection) -> Iterator[Finding]:
    """Report that retention deletes nothing, because the clock is far ahead of the newest call."""
    message = warnings.get(connection, warnings.CLOCK_JUMPED, since=Instant(0))
    if message is not None:
        yield Finding(
            name="retention",
            ok=True,
            code="clock_jumped",
            problem=message,
            hint="if the time is wrong, set this machine's clock; if it is right, the first call after the"
            " pause ends this",
        )


def _check_enrichment(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Report an API of CloudTalk that is not asked about calls, unless the settings ask nothing any more."""
    asked = {API_OF[question] for question in questions_of(settings)}
    for paused in list_paused_apis(connection):
        if paused.api in asked:
            yield Finding(
                name="cloudtalk",
                ok=False,
                code="enrichment_paused",
                problem=f"CloudTalk is not asked about calls: {paused.problem}",
                hint="correct the cause; a running relay tries again by itself, at once after a restart; if"
                " your plan does not have this API, switch it off in [enrich]",
            )


def _check_deliveries(status: DestinationStatus) -> Iterator[Finding]:
    """Report a pause and dead letters of a destination: its CRM lacks calls."""
    name = status.name
    if status.paused_reason == destinations.BY_OPERATOR:
        yield Finding(
            name=name,
            ok=False,
            code="paused",
            problem=f"a person paused it; pending calls: {status.pending}",
            hint=f"`relay destinations resume {name}` delivers them",
        )
    elif status.paused_reason:
        answer = status.paused_message or "no explanation was given"
        yield Finding(
            name=name,
            ok=False,
            code="paused",
            problem=f"the relay paused it until {status.paused_until}; pending calls: {status.pending};"
            f" {status.paused_reason}: {answer}",
            hint="correct the cause; a running relay probes the CRM and resumes by itself, at once after"
            f" `relay destinations probe {name}`",
        )
    if status.dead:
        yield Finding(
            name=name,
            ok=False,
            code="dead_letters",
            problem=f"calls that could not be delivered and are not retried: {status.dead}",
            hint=f"`relay dead list --destination {name}` shows why; then replay or drop them",
        )


def _check_rendering(
    connection: Connection, destination: DestinationSettings, name: str
) -> Iterator[Finding]:
    """Report records that a CRM has with labels, fields or constants of earlier settings."""
    if destination.update == "never":
        return
    number = deliveries.count_other_renderings(connection, name, destination.rendering)
    if number:
        yield Finding(
            name=name,
            ok=True,
            code="changed_settings",
            problem=f"delivered calls that still have earlier labels, fields or constants: {number}",
            hint=f"`relay replay --changed-settings --destination {name}` writes these calls again",
        )
