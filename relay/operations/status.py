"""The status of the relay and of each destination. The fields of the structs are the keys of their JSON."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from relay.instants import SECOND, Instant
from relay.ledger import (
    calls,
    delivered_counts,
    deliveries,
    destinations,
    enrichments,
    journal,
    leases,
    quarantine,
    relays,
    warnings,
)
from relay.ledger.connection import Connection
from relay.ledger.deliveries import DeliveryCounts
from relay.ledger.destinations import DestinationRow
from relay.ledger.warnings import PAUSED_APIS
from relay.operations.audits import AuditView, view_newest
from relay.operations.explanation import Explanation, Situation, explain_destination
from relay.operations.explanation_texts import Cause
from relay.operations.history_status import HistoryStatus, get_history
from relay.operations.refused_senders import Refusal, list_refused
from relay.operations.unanswered import FollowUps, count_follow_ups


class DestinationState(StrEnum):
    """What a destination does at present."""

    DELIVERING = "delivering"
    WAITING = "waiting"
    """The relay paused it after a failure, until an instant."""
    PAUSED = "paused"
    """An operator paused it, until an operator resumes it."""
    DISABLED = "disabled"
    """The settings say `enabled = false`. Calls are enqueued and not delivered."""
    ORPHANED = "orphaned"
    """It is no longer in the settings."""


class RelayView(msgspec.Struct, frozen=True):
    """A relay that runs, whatever the number of its processes. `pid`: of its first process."""

    host: str
    pid: int
    started_at: str | None
    last_seen_at: str | None


class EventCounts(msgspec.Struct, frozen=True):
    accepted: int
    unfolded: int
    last_at: str | None
    """When the last one arrived; None before the first."""
    aside: int
    """Events on which the fold failed."""
    quarantined: int
    quarantine_dropped: int
    """Bodies that were deleted because the quarantine was full."""
    unclear: int
    """Ended events that do not state whether anybody talked: a missed call among them looks completed."""


class DestinationStatus(msgspec.Struct, frozen=True):
    """A destination with the numbers of its deliveries, and one sentence that explains its state.

    `delivered_today`: calls that the CRM got for the first time since midnight in the zone of the settings.
    `paused_since`: since when nothing has been delivered because of pauses.
    """

    name: str
    client: str
    state: DestinationState
    explanation: str
    explanation_code: Cause
    pending: int
    oldest_pending_seconds: int | None
    delivered: int
    delivered_today: int
    dead: int
    paused_reason: str | None
    paused_until: str | None
    paused_since: str | None
    paused_message: str | None


class PausedApi(msgspec.Struct, frozen=True):
    """An API of CloudTalk that the relay does not ask about calls for a while, and why."""

    api: str
    problem: str


class EnrichmentStatus(msgspec.Struct, frozen=True):
    """What CloudTalk is asked about single calls. `pending`: questions that have no answer yet."""

    pending: int
    paused: list[PausedApi]


class Status(msgspec.Struct, frozen=True):
    relays: list[RelayView]
    events: EventCounts
    calls: int
    follow_ups: FollowUps
    destinations: list[DestinationStatus]
    history: HistoryStatus
    retention_refused: str | None
    """Why retention deletes nothing; None while it works."""
    audit: AuditView | None
    """The newest audit; None before the first."""
    refused: list[Refusal]
    """Requests to the webhook that were refused within the last day."""
    enrichment: EnrichmentStatus


class Totals(msgspec.Struct, frozen=True):
    """The numbers of which a large ledger takes a second to count. `delivered`: for each destination."""

    accepted: int
    calls: int
    delivered: dict[str, int]


def count_totals(connection: Connection) -> Totals:
    """Count them."""
    return Totals(
        journal.count_accepted(connection), calls.count(connection), deliveries.count_delivered(connection)
    )


def get_status(
    connection: Connection,
    situation: Situation,
    totals: Totals | None = None,
    follow_ups: FollowUps | None = None,
) -> Status:
    """Count events, calls and deliveries. `totals`: from a while ago; `follow_ups`: counted before. None
    counts them now.
    """
    totals = totals or count_totals(connection)
    return Status(
        relays=_list_relays(connection, situation),
        events=EventCounts(
            accepted=totals.accepted,
            unfolded=journal.count_unfolded(connection),
            last_at=situation.time(journal.last_received_at(connection)),
            aside=len(journal.list_aside(connection)),
            quarantined=quarantine.count(connection),
            quarantine_dropped=quarantine.count_dropped(connection),
            unclear=sum(journal.count_missing(connection, since=Instant(0)).values()),
        ),
        calls=totals.calls,
        follow_ups=follow_ups or count_follow_ups(connection, situation.now, situation.office_hours),
        destinations=list_destinations(connection, situation, totals.delivered),
        history=get_history(connection, situation),
        retention_refused=warnings.get(connection, warnings.CLOCK_JUMPED, since=Instant(0)),
        audit=view_newest(connection, situation),
        refused=list_refused(connection, situation),
        enrichment=EnrichmentStatus(enrichments.count_pending(connection), list_paused_apis(connection)),
    )


def list_paused_apis(connection: Connection) -> list[PausedApi]:
    """Return the APIs that are not asked, by name."""
    messages = {api: warnings.get(connection, name, since=Instant(0)) for api, name in PAUSED_APIS.items()}
    return [PausedApi(api, message) for api, message in messages.items() if message is not None]


def _list_relays(connection: Connection, situation: Situation) -> list[RelayView]:
    return [
        RelayView(row.host, row.pid, situation.time(row.started_at), situation.time(row.last_seen_at))
        for row in relays.list_running(connection, now=situation.now)
    ]


def list_destinations(
    connection: Connection, situation: Situation, delivered: Mapping[str, int] | None = None
) -> list[DestinationStatus]:
    """List the destinations that are registered in the ledger, by name. `delivered`: see `Totals`."""
    counts = deliveries.counts_by_destination(connection, delivered)
    today = delivered_counts.count_since(connection, situation.midnight)
    served = leases.list_names(connection, now=situation.now)
    return [
        _destination_status(
            row,
            counts.get(row.name, DeliveryCounts()),
            situation,
            delivered_today=today.get(row.name, 0),
            is_served=leases.delivery_lease(row.name) in served,
        )
        for row in destinations.list_all(connection)
    ]


def _destination_status(
    row: DestinationRow,
    counts: DeliveryCounts,
    situation: Situation,
    *,
    delivered_today: int,
    is_served: bool,
) -> DestinationStatus:
    since = counts.oldest_pending_since
    explanation = explain_destination(row, counts, situation, is_served=is_served)
    return DestinationStatus(
        name=row.name,
        client=row.client,
        state=_destination_state(row, explanation),
        explanation=explanation.text.read(situation.language),
        explanation_code=explanation.code,
        pending=counts.pending,
        # A clock that was set back must not give a negative age.
        oldest_pending_seconds=None if since is None else max(situation.now - since, 0) // SECOND,
        delivered=counts.delivered,
        delivered_today=delivered_today,
        dead=counts.dead,
        paused_reason=row.paused_reason,
        paused_until=situation.time(row.paused_until),
        paused_since=situation.time(row.paused_since),
        paused_message=row.paused_message,
    )


def _destination_state(row: DestinationRow, explanation: Explanation) -> DestinationState:
    match explanation.code:
        case Cause.ORPHANED:
            return DestinationState.ORPHANED
        case Cause.DISABLED:
            return DestinationState.DISABLED
        case Cause.PAUSED:
            return DestinationState.PAUSED
    return DestinationState.WAITING if row.paused_reason else DestinationState.DELIVERING
