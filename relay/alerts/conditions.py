"""What is the case: conditions that are bad or good, each with a sentence. Pure."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from crm_clients.settings import DestinationSettings
from relay.alerts import texts
from relay.audit.report import decode
from relay.delivery.pauses import BRIEF_PAUSES
from relay.instants import Duration, duration
from relay.ledger.audits import AuditRow
from relay.ledger.backlog import Backlog, DestinationBacklog
from relay.operations.audits import summarize, to_json
from relay.operations.explanation import Situation, explain_destination
from relay.operations.history_status import FailingSearch
from relay.operations.languages import Text

_BRIEF_SECONDS: Final = 30.0

_UNAUTHORISED: Final = "unauthorised"
_HISTORY_SECONDS: Final = 1_800.0
"""CloudTalk's API is often away for minutes, and the reconciler reads on from where it stopped."""

_DISK_SHARE: Final = 0.05
_DISK_BYTES: Final = 2 * 1024**3
_MEGABYTE: Final = 1_000_000


class Kind(StrEnum):
    """What an alert is about."""

    DESTINATION_PAUSED = "destination_paused"
    NOTHING_DELIVERED = "nothing_delivered"
    DEAD_LETTERS = "dead_letters"
    NO_EVENTS = "no_events"
    HISTORY = "history"
    LEDGER = "ledger"
    DISK = "disk"
    AUDIT = "audit"


class Condition(msgspec.Struct, frozen=True):
    """One thing that is bad or good at present.

    `subject`: which destination, host or source. `patience`: how long it may be bad before anybody is
    alerted. `count`: of a condition that gets worse with each one, such as dead letters. `report`: the number
    of a report, of which each is sent once, good or bad. `details`: its numbers, for programs.
    """

    kind: Kind
    subject: str
    is_bad: bool
    text: Text
    patience: Duration = Duration(0)
    count: int | None = None
    report: int | None = None
    details: dict[str, Any] | None = None


def of_destinations(backlog: Backlog, situation: Situation) -> Iterator[Condition]:
    """Yield the conditions of the destinations that are enabled in the settings."""
    enabled = [each for each in backlog.destinations if _is_enabled(each.row.name, situation.destinations)]
    for each in enabled:
        yield _pause_of(each, situation)
        yield _dead_letters_of(each, situation)
    if len(enabled) > 1:
        names = ", ".join(each.row.name for each in enabled)
        is_bad = all(each.row.paused_reason for each in enabled)
        text = texts.NOTHING_DELIVERED.fill(names=names) if is_bad else texts.DELIVERED_AGAIN
        yield Condition(Kind.NOTHING_DELIVERED, "destinations", is_bad, text, duration(_BRIEF_SECONDS))


def _is_enabled(name: str, settings: Mapping[str, DestinationSettings]) -> bool:
    return name in settings and settings[name].enabled


def _pause_of(backlog: DestinationBacklog, situation: Situation) -> Condition:
    reason = backlog.row.paused_reason
    return Condition(
        Kind.DESTINATION_PAUSED,
        backlog.row.name,
        reason is not None,
        explain_destination(backlog.row, backlog.counts, situation, is_served=True).text,
        duration(_BRIEF_SECONDS if reason in BRIEF_PAUSES else 0),
    )


def _dead_letters_of(backlog: DestinationBacklog, situation: Situation) -> Condition:
    row = msgspec.structs.replace(backlog.row, paused_reason=None)
    text = explain_destination(row, backlog.counts, situation, is_served=True).text
    return Condition(Kind.DEAD_LETTERS, row.name, backlog.counts.dead > 0, text, count=backlog.counts.dead)


def of_events(*, is_unusual: bool, at: str, usual: int, url: str) -> Condition:
    """Return the condition of CloudTalk. `at`: when the last event arrived."""
    text = texts.NO_EVENTS.fill(at=at, usual=usual, url=url) if is_unusual else texts.EVENTS_AGAIN
    return Condition(Kind.NO_EVENTS, "cloudtalk", is_unusual, text)


def of_history(failing: FailingSearch | None) -> Condition:
    """Return the condition of the reconciler. A failure that a person must end is said at once."""
    if failing is None:
        return Condition(Kind.HISTORY, "cloudtalk", is_bad=False, text=texts.HISTORY_READ)
    text = texts.HISTORY_UNREAD.fill(at=failing.since, error=failing.message)
    patience = duration(0 if failing.code == _UNAUTHORISED else _HISTORY_SECONDS)
    return Condition(Kind.HISTORY, "cloudtalk", is_bad=True, text=text, patience=patience)


def of_audit(row: AuditRow) -> Condition:
    """Return the report of an audit."""
    result = decode(row.result)
    return Condition(
        Kind.AUDIT,
        "audit",
        not result.is_good,
        summarize(result),
        report=row.seq,
        details=to_json(result),
    )


def of_ledger(host: str, error: str | None) -> Condition:
    """Return the condition of the ledger, as this host sees it. `error`: why it cannot be written."""
    text = texts.LEDGER_UP if error is None else texts.LEDGER_DOWN
    return Condition(Kind.LEDGER, host, error is not None, text.fill(host=host, error=error))


def of_disk(host: str, *, free: int, total: int) -> Condition:
    """Return the condition of the ledger's disk, in bytes: bad below 5 %, but not above 2 GiB."""
    is_bad = free < min(total * _DISK_SHARE, _DISK_BYTES)
    text = texts.DISK_LOW if is_bad else texts.DISK_FREE
    return Condition(Kind.DISK, host, is_bad, text.fill(host=host, free=free // _MEGABYTE))
