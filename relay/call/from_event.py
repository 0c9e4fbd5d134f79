"""The state of a call with one event alone."""

from collections.abc import Mapping
from typing import Final

import msgspec

from relay.call.agents import NOBODY, Agent, agent_of_event
from relay.call.data_limits import split_by_size
from relay.call.event import CallEvent, Kind
from relay.call.join import FactOrders, join, limit_data
from relay.call.state import (
    ALTERNATIVES,
    OUTCOME_FACTS,
    CallState,
    Evidence,
    LegState,
    Register,
    Stamp,
)
from relay.instants import Instant

OUTCOME_KINDS: Final = frozenset({Kind.ENDED, Kind.MISSED, Kind.VOICEMAIL})
"""Only events of these kinds state how a call went, and when it ended."""
_AGENT_FACTS: Final = frozenset({"agent_id", "agent_name", "agent_email"})
_AGENT_OR_OUTCOME_FACTS: Final = _AGENT_FACTS | OUTCOME_FACTS
_LEG_FACTS: Final = frozenset({*ALTERNATIVES, *ALTERNATIVES.values(), "talking", "status", "voicemail"})


def join_event(before: CallState | None, event: CallEvent, *, seq: int, received_at: Instant) -> CallState:
    """Return the state with one more event. `seq`: its sequence number in the journal.

    The journal has the order of arrival, and the clock may have been set back. So an event is compared as if
    it arrived after all events of the call with a lower sequence number.
    """
    if before is None:
        return state_from_event(event, seq=seq, received_at=received_at)
    earlier = (stamp.received_at for number, stamp in before.stamps.items() if number < seq)
    ordered_at = Instant(max(received_at, max(earlier, default=0) + 1))
    return join(before, state_from_event(event, seq=seq, received_at=received_at, ordered_at=ordered_at))


def state_from_event(
    event: CallEvent, *, seq: int, received_at: Instant, ordered_at: Instant | None = None
) -> CallState:
    """Build the state of a call with this event alone. `seq`: the event's sequence number in the journal.

    `ordered_at`: the arrival by which its values are compared, see `join_event`.
    """
    ordered_at = received_at if ordered_at is None else ordered_at
    occurred_at = ordered_at if event.occurred_at is None else event.occurred_at
    facts = _facts_of(event, seq)
    small, large, left_out = split_by_size(event.data)
    agent = agent_of_event(event)
    agents = {} if agent == NOBODY else {agent.key: (seq, agent)}
    legs = _legs_of(event.kind, agent, facts)
    stamp = Stamp(event.kind, event.source_rank, occurred_at, ordered_at, evidence_of(event))
    data, large_data, is_limited = limit_data(
        {key: (seq, value) for key, value in small.items()},
        {key: (seq, value) for key, value in large.items()},
        FactOrders({seq: stamp}),
    )
    return CallState(
        stamps={seq: stamp} if facts or data or large_data or agents else {},
        seen={event.kind: received_at},
        facts=facts,
        data=data,
        agents=agents,
        legs=legs,
        aliases=sorted(event.aliases),
        large_data=large_data,
        left_out=left_out or is_limited,
    )


def _facts_of(event: CallEvent, seq: int) -> dict[str, Register]:
    """The registers that an event sets. An agent is one value: `agents`."""
    not_set = _AGENT_FACTS if event.kind in OUTCOME_KINDS else _AGENT_OR_OUTCOME_FACTS
    facts = {name: (seq, value) for name, value in event.facts.items() if name not in not_set}
    if event.kind is Kind.MISSED and event.fact("status") == "answered":
        # A payload typed once for all events states "completed" in a Missed too: there the kind counts.
        del facts["status"]
    return facts


def evidence_of(event: CallEvent) -> Evidence:
    """What the facts of one event prove. An Answered does not say for how long its agent talked."""
    if event.kind not in OUTCOME_KINDS:
        return Evidence.UNKNOWN
    talking, status = event.fact("talking"), event.fact("status")
    if talking:
        return Evidence.CONVERSATION
    is_answered = status == "answered" and event.kind is not Kind.MISSED
    if is_answered or event.fact("answered_at") is not None:
        return Evidence.CONVERSATION if talking is None else Evidence.DOUBTFUL
    says_nothing = event.kind is Kind.ENDED and talking is None and status is None
    return Evidence.UNKNOWN if says_nothing and not event.fact("voicemail") else Evidence.NONE


def has_unknown_outcome(event: CallEvent) -> bool:
    """Whether a call ended and this event does not state whether anybody talked."""
    return event.kind is Kind.ENDED and evidence_of(event) is Evidence.UNKNOWN


def _legs_of(kind: Kind, agent: Agent, facts: Mapping[str, Register]) -> dict[str, LegState]:
    """The leg that an event is about: an event that ends a leg, or an Answered that names its agent."""
    if kind not in OUTCOME_KINDS and (kind is not Kind.ANSWERED or agent == NOBODY):
        return {}
    call_id = facts.get("call_id", (0, None))[1]
    leg_facts = {fact: register for fact, register in facts.items() if fact in _LEG_FACTS}
    key = msgspec.json.encode([call_id, agent]).decode()
    return {key: LegState(call_id, agent, [kind], leg_facts)}
