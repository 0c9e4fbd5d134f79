"""What a person sees of one call. The fields of the structs are the keys of their JSON."""

import msgspec

from relay.call import Call, CallState, distinct_agents
from relay.cloudtalk.identity import alias_of_id
from relay.instants import iso
from relay.ledger import aliases, calls, deliveries, journal
from relay.ledger.calls import CallRow
from relay.ledger.connection import Connection
from relay.ledger.deliveries import DeliveryRow
from relay.ledger.journal import StoredEvent
from relay.ledger.states import DeliveryState


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
