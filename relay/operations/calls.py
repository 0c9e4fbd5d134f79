"""What a person sees of one call. The fields of the structs are the keys of their JSON."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from relay.call import Call, CallState, distinct_agents, with_playable_recording
from relay.cloudtalk.identity import alias_of_id
from relay.ledger import aliases, attempts, calls, deliveries, destinations, journal, leases, tombstones
from relay.ledger.attempts import AttemptRow
from relay.ledger.calls import CallRow
from relay.ledger.connection import Connection
from relay.ledger.deliveries import DeliveryRow
from relay.ledger.journal import StoredEvent
from relay.ledger.states import DeliveryState
from relay.operations import explanation_texts as texts
from relay.operations.explanation import Explanation, Situation, explain_delivery
from relay.operations.explanation_texts import Cause

MOST_EVENTS: Final = 1_000
MOST_EVENT_BYTES: Final = 20 * 1024 * 1024
"""So many events of a call are shown, the newest: a sender may repeat events without end."""


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


class PushView(msgspec.Struct, frozen=True):
    """One push of the call, and the answer of the CRM. Retention deletes it after privacy.attempts_days.

    `action`: upsert, verify or retract. `duration_ms`: of the whole push, which may have had other calls.
    """

    at: str | None
    version: int
    action: str
    outcome: str
    code: str | None
    message: str | None
    duration_ms: int


class DeliveryView(msgspec.Struct, frozen=True):
    """The delivery of the call to one destination, and one sentence that explains it.

    `attempts`: how many since it became pending. `pushes`: all that are kept, oldest first.
    """

    destination: str
    state: DeliveryState
    explanation: str
    explanation_code: Cause
    version: int
    delivered_version: int | None
    attempts: int
    next_attempt_at: str | None
    remote_id: str | None
    outcome: str | None
    code: str | None
    message: str | None
    pushes: list[PushView]


class ExplanationView(msgspec.Struct, frozen=True):
    """A sentence about the call as a whole."""

    code: Cause
    text: str


class CallView(Call, frozen=True, kw_only=True):
    """The record of a call with everything that the ledger knows about it.

    `events_left_out`: how many older events `events` does not have. `explanations`: why the call has another
    id than the one that was asked for, and why destinations of the settings have no delivery of it.
    """

    agents: list[AgentView]
    events: list[EventView]
    deliveries: list[DeliveryView]
    explanations: list[ExplanationView]
    events_left_out: int


def view_call(
    connection: Connection, call: CallRow, situation: Situation, *, wanted: str | None = None
) -> CallView:
    """Return the view of a call. `wanted`: the id that a person asked for, see `find_call`."""
    views = view_deliveries(connection, call.record, situation)
    events, left_out = list_newest_events(connection, call.id)
    return CallView(
        **msgspec.structs.asdict(with_playable_recording(call.record, situation.recording_links)),
        agents=_agent_views(call.state),
        events=[_event_view(event, situation) for event in events],
        events_left_out=left_out,
        deliveries=views,
        explanations=[
            ExplanationView(found.code, found.text.read(situation.language))
            for found in (
                *_explain_merge(connection, call, wanted),
                *_explain_absent_deliveries(
                    connection, call, {view.destination for view in views}, situation
                ),
            )
        ],
    )


def list_newest_events(connection: Connection, call: str) -> tuple[list[StoredEvent], int]:
    """Return the events of a call that are shown, and how many older ones are left out."""
    return journal.list_newest_for_call(connection, call, limit=MOST_EVENTS, max_bytes=MOST_EVENT_BYTES)


def _agent_views(state: CallState) -> list[AgentView]:
    agents = distinct_agents(agent for _, agent in state.agents.values())
    ids = [(agent.id or agent.email or agent.name or "", agent) for agent in agents]
    return [AgentView(id_, agent.name or agent.email or id_) for id_, agent in ids]


def record_ids(id_: str) -> list[str]:
    """Return the ids of records that a person may mean: with or without `cloudtalk-`."""
    return [id_, f"cloudtalk-{id_}"]


def find_call(connection: Connection, id_: str) -> CallRow | None:
    """Return the call with this id: the record's id, with or without `cloudtalk-`, or an id of CloudTalk.

    A call that was merged into another one is found as that one.
    """
    alias = alias_of_id(id_)
    owners = [found.call for found in aliases.get_many(connection, [alias])]
    candidates = [*record_ids(id_), *owners]
    rows = calls.get_many(connection, candidates)
    call = next((rows[candidate] for candidate in candidates if candidate in rows), None)
    while call is not None and call.record.merged_into:
        survivor = call.record.merged_into
        call = calls.get_many(connection, [survivor]).get(survivor)
    return call


def _event_view(event: StoredEvent, situation: Situation) -> EventView:
    return EventView(
        seq=event.seq,
        kind=event.parsed.kind,
        dialect=event.parsed.dialect,
        said_at=situation.time(event.parsed.occurred_at),
        received_at=situation.time(event.received_at),
        raw=event.raw.decode(errors="replace"),
    )


def view_deliveries(connection: Connection, record: Call, situation: Situation) -> list[DeliveryView]:
    """Return the delivery of a call to each destination."""
    registered = {row.name: row for row in destinations.list_all(connection)}
    served = leases.list_names(connection, now=situation.now)
    pushes = attempts.list_for_calls(connection, [record.id])
    return [
        _delivery_view(
            row,
            [push for push in pushes if push.destination == row.destination],
            explain_delivery(
                row,
                record,
                registered[row.destination],
                situation,
                is_served=leases.delivery_lease(row.destination) in served,
            ),
            situation,
        )
        for row in deliveries.list_for_call(connection, record.id)
    ]


def _delivery_view(
    row: DeliveryRow, pushes: Sequence[AttemptRow], explanation: Explanation, situation: Situation
) -> DeliveryView:
    return DeliveryView(
        destination=row.destination,
        state=row.state,
        explanation=explanation.text.read(situation.language),
        explanation_code=explanation.code,
        version=row.version,
        delivered_version=row.delivered_version or None,
        attempts=row.attempts,
        next_attempt_at=situation.time(row.due_at) if row.state is DeliveryState.PENDING else None,
        remote_id=row.remote_id,
        outcome=row.outcome,
        code=row.code,
        message=row.message,
        pushes=[
            PushView(
                situation.time(push.at),
                push.version,
                push.action,
                push.outcome,
                push.code,
                push.message,
                push.duration_ms,
            )
            for push in pushes
        ],
    )


def _explain_merge(connection: Connection, call: CallRow, wanted: str | None) -> Iterator[Explanation]:
    """Explain that the call with the id that was asked for was merged into this one."""
    asked = calls.get_many(connection, record_ids(wanted)) if wanted else {}
    for id_, row in asked.items():
        if row.record.merged_into and id_ != call.id:
            text = texts.CALL[Cause.MERGED].fill(id=id_, survivor=call.id)
            yield Explanation(Cause.MERGED, text)


def _explain_absent_deliveries(
    connection: Connection, call: CallRow, present: set[str], situation: Situation
) -> Iterator[Explanation]:
    """Explain each destination of the settings that the call was never enqueued for."""
    if not situation.destinations and not present:
        yield Explanation(Cause.NO_DESTINATION, texts.CALL[Cause.NO_DESTINATION].fill())
    absent = sorted(set(situation.destinations) - present)
    is_continued = bool(absent and tombstones.list_ids(connection, [call.id]))
    cause = Cause.CONTINUED if is_continued else Cause.NOT_ENQUEUED
    for name in absent:
        yield Explanation(cause, texts.CALL[cause].fill(destination=name))
