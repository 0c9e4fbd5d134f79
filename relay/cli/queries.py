"""What the command line shows: calls with their events and deliveries, and how all of it stands."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from relay.cloudtalk.identity import alias_of
from relay.instants import iso
from relay.ledger import aliases, calls, deliveries, destinations, journal, quarantine
from relay.ledger.calls import CallRow
from relay.ledger.deliveries import DeliveryCounts, DeliveryRow
from relay.ledger.destinations import DestinationRow
from relay.ledger.journal import StoredEvent
from relay.ledger.states import DeliveryState

_SECOND: Final = 1_000_000


def call_view(connection: Connection, wanted: str) -> dict[str, Any] | None:
    """A call with everything that is known of it, by the record's id or an id of CloudTalk's.

    One that went into another call is found as that one. `agents`: whoever was rung or spoke.
    """
    found = find_call(connection, wanted)
    if found is None:
        return None
    record: dict[str, Any] = msgspec.to_builtins(found.record)
    return record | {
        "agents": [{"id": id_, "name": name} for id_, name in found.state.agents.items()],
        "events": [_event(row) for row in journal.list_for_call(connection, found.id)],
        "deliveries": [_delivery(row) for row in deliveries.list_for_call(connection, found.id)],
    }


def find_call(connection: Connection, wanted: str) -> CallRow | None:
    """The call of this record id or id of CloudTalk's; the one that it went into, where it did."""
    alias = alias_of(wanted)
    owner = aliases.resolve(connection, [alias]).get(alias)
    candidates = [wanted, f"cloudtalk-{wanted}", *([owner] if owner else [])]
    rows = calls.get_many(connection, candidates)
    found = next((rows[call] for call in candidates if call in rows), None)
    while found is not None and found.record.merged_into:
        found = calls.get_many(connection, [found.record.merged_into]).get(found.record.merged_into)
    return found


def _event(event: StoredEvent) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "kind": event.parsed.kind,
        "dialect": event.parsed.dialect,
        "said_at": iso(event.parsed.occurred_at),
        "received_at": iso(event.received_at),
        "raw": event.raw.decode(errors="replace"),
    }


def _delivery(row: DeliveryRow) -> dict[str, Any]:
    return {
        "destination": row.destination,
        "state": row.state,
        "version": row.version,
        "delivered_version": row.delivered_version or None,
        "attempts": row.attempts,
        "next_attempt_at": iso(row.due_at) if row.state is DeliveryState.PENDING else None,
        "remote_id": row.remote_id,
        "outcome": row.outcome,
        "code": row.code,
        "message": row.message,
    }


def status_view(connection: Connection, enabled: Mapping[str, bool], *, now: int) -> dict[str, Any]:
    """How events, calls and destinations stand. `enabled`: the destinations in the settings."""
    events = journal.count(connection)
    tallies = deliveries.counts_by_destination(connection)
    return {
        "events": {
            "accepted": events.accepted,
            "unfolded": events.unfolded,
            "quarantined": quarantine.count(connection),
        },
        "calls": calls.count(connection),
        "destinations": [
            _destination(row, tallies.get(row.name, DeliveryCounts()), enabled.get(row.name), now)
            for row in destinations.list_all(connection)
        ],
    }


def _destination(
    row: DestinationRow, tally: DeliveryCounts, enabled: bool | None, now: int
) -> dict[str, Any]:
    since = tally.oldest_pending_since
    return {
        "name": row.name,
        "client": row.client,
        "state": _state(row, enabled),
        "pending": tally.pending,
        "oldest_pending_seconds": None if since is None else max(now - since, 0) // _SECOND,
        "delivered": tally.delivered,
        "dead": tally.dead,
        "paused_reason": row.paused_reason,
        "paused_until": iso(row.paused_until),
        "paused_message": row.paused_message,
    }


def _state(row: DestinationRow, enabled: bool | None) -> str:
    if enabled is None:
        return "orphaned"
    if not enabled:
        return "disabled"
    if row.paused_reason == destinations.BY_OPERATOR:
        return "paused"
    return "waiting" if row.paused_reason else "delivering"
