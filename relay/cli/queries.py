"""What the commands show of the ledger. The field names of the structs are the keys of their JSON."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from relay.call import Call, CallState, distinct_agents
from relay.cloudtalk.identity import alias_of_id
from relay.instants import SECOND, Instant, iso
from relay.ledger import aliases, calls, deliveries, destinations, journal, quarantine, warnings
from relay.ledger.calls import CallRow
from relay.ledger.connection import Connection
from relay.ledger.deliveries import DeliveryCounts, DeliveryRow
from relay.ledger.destinations import DestinationRow
from relay.ledger.journal import StoredEvent
from relay.ledger.states import DeliveryState

# --- one call -------------------------------------------------------------------------------------


class AgentView(msgspec.Struct, frozen=True):
    """An agent whose phone rang or who spoke in the call."""

    id: str
    name: str


class EventView(msgspec.Struct, frozen=True):
    """An event that was folded into the call. `said_at`: its own time, None if it states none."""

    seq: int
    kind: str
    dialect: str
    said_at: str | None
    received_at: str | None
    raw: str


class DeliveryView(msgspec.Struct, frozen=True):
    """The delivery of the call to one destination."""

    destination: str
    state: DeliveryState
    version: int
    delivered_version: int | None
    attempts: int
    next_attempt_at: str | None
    remote_id: str | None
    outcome: str | None
    code: str | None
    message: str | None


class CallView(Call, frozen=True, kw_only=True):
    """The record of a call with everything that the ledger knows about it."""

    agents: list[AgentView]
    events: list[EventView]
    deliveries: list[DeliveryView]


def view_call(connection: Connection, call: CallRow) -> CallView:
    return CallView(
        **msgspec.structs.asdict(call.record),
        agents=_agent_views(call.state),
        events=[_event_view(event) for event in journal.list_for_call(connection, call.id)],
        deliveries=[_delivery_view(row) for row in deliveries.list_for_call(connection, call.id)],
    )


def _agent_views(state: CallState) -> list[AgentView]:
    agents = distinct_agents(agent for _, agent in state.agents.values())
    ids = [(agent.id or agent.email or agent.name or "", agent) for agent in agents]
    return [AgentView(id_, agent.name or agent.email or id_) for id_, agent in ids]


def find_call(connection: Connection, id_: str) -> CallRow | None:
    """Return the call with this id: the record's id, with or without `cloudtalk-`, or an id of CloudTalk.

    A call that was merged into another one is found as that one.
    """
    alias = alias_of_id(id_)
    owners = [found.call for found in aliases.get_many(connection, [alias])]
    candidates = [id_, f"cloudtalk-{id_}", *owners]
    rows = calls.get_many(connection, candidates)
    call = next((rows[candidate] for candidate in candidates if candidate in rows), None)
    while call is not None and call.record.merged_into:
        survivor = call.record.merged_into
        call = calls.get_many(connection, [survivor]).get(survivor)
    return call


def _event_view(event: StoredEvent) -> EventView:
    return EventView(
        seq=event.seq,
        kind=event.parsed.kind,
        dialect=event.parsed.dialect,
        said_at=iso(event.parsed.occurred_at),
        received_at=iso(event.received_at),
        raw=event.raw.decode(errors="replace"),
    )


def _delivery_view(row: DeliveryRow) -> DeliveryView:
    return DeliveryView(
        destination=row.destination,
        state=row.state,
        version=row.version,
        delivered_version=row.delivered_version or None,
        attempts=row.attempts,
        next_attempt_at=iso(row.due_at) if row.state is DeliveryState.PENDING else None,
        remote_id=row.remote_id,
        outcome=row.outcome,
        code=row.code,
        message=row.message,
    )


# --- the status of everything ---------------------------------------------------------------------


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


class EventCounts(msgspec.Struct, frozen=True):
    accepted: int
    unfolded: int
    aside: int
    """Events on which the fold failed."""
    quarantined: int
    quarantine_dropped: int
    """Bodies that were deleted because the quarantine was full."""
    unclear: int
    """Ended events that do not state whether anybody talked: a missed call among them looks completed."""


class DestinationStatus(msgspec.Struct, frozen=True):
    """A destination with the numbers of its deliveries, and the reason of a pause."""

    name: str
    client: str
    state: DestinationState
    pending: int
    oldest_pending_seconds: int | None
    delivered: int
    dead: int
    paused_reason: str | None
    paused_until: str | None
    paused_message: str | None


class Status(msgspec.Struct, frozen=True):
    events: EventCounts
    calls: int
    destinations: list[DestinationStatus]
    retention_refused: str | None
    """Why retention deletes nothing; None while it works."""


def get_status(connection: Connection, enabled: Mapping[str, bool], *, now: Instant) -> Status:
    """Count events, calls and deliveries. `enabled` has every destination of the settings."""
    counts = journal.count(connection)
    return Status(
        events=EventCounts(
            counts.accepted,
            counts.unfolded,
            counts.aside,
            quarantine.count(connection),
            quarantine.count_dropped(connection),
            sum(journal.count_missing(connection, since=Instant(0)).values()),
        ),
        calls=calls.count(connection),
        destinations=list_destinations(connection, enabled, now=now),
        retention_refused=warnings.get(connection, warnings.CLOCK_JUMPED, since=Instant(0)),
    )


def list_destinations(
    connection: Connection, enabled: Mapping[str, bool], *, now: Instant
) -> list[DestinationStatus]:
    """List the destinations that are registered in the ledger, by name. For `enabled` see `get_status`."""
    counts = deliveries.counts_by_destination(connection)
    return [
        _destination_status(row, counts.get(row.name, DeliveryCounts()), enabled.get(row.name), now)
        for row in destinations.list_all(connection)
    ]


def _destination_status(
    row: DestinationRow, counts: DeliveryCounts, enabled: bool | None, now: Instant
) -> DestinationStatus:
    since = counts.oldest_pending_since
    return DestinationStatus(
        name=row.name,
        client=row.client,
        state=_destination_state(row, enabled),
        pending=counts.pending,
        # A clock that was set back must not give a negative age.
        oldest_pending_seconds=None if since is None else max(now - since, 0) // SECOND,
        delivered=counts.delivered,
        dead=counts.dead,
        paused_reason=row.paused_reason,
        paused_until=iso(row.paused_until),
        paused_message=row.paused_message,
    )


def _destination_state(row: DestinationRow, enabled: bool | None) -> DestinationState:
    if enabled is None:
        return DestinationState.ORPHANED
    if not enabled:
        return DestinationState.DISABLED
    if row.paused_reason == destinations.BY_OPERATOR:
        return DestinationState.PAUSED
    return DestinationState.WAITING if row.paused_reason else DestinationState.DELIVERING
