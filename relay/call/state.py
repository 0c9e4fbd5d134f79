"""The state of a call: one last-writer-wins register for each fact."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

import msgspec

from relay.call.agents import NOBODY, Agent, agent_of_event
from relay.call.event import CallEvent, Kind
from relay.instants import Instant

ALTERNATIVES: Final = {time: f"{time}_repeated" for time in ("started_at", "answered_at", "ended_at")}
"""The fact with the other instant of a repeated time, see `repeated_times`. It has the rank of the time."""

OUTCOME_FACTS: Final = frozenset(
    {"status", "ended_at", ALTERNATIVES["ended_at"], "duration", "talking", "wrapup", "voicemail"}
)
"""How a call went. Only events of a call that is over set these facts: the mission repeats one payload in
all four events, so a Started may have an end."""

_OUTCOME_KINDS: Final = frozenset({Kind.ENDED, Kind.MISSED, Kind.VOICEMAIL})
_AGENT_FACTS: Final = frozenset({"agent_id", "agent_name", "agent_email"})
_LEG_FACTS: Final = frozenset({*ALTERNATIVES, *ALTERNATIVES.values(), "talking", "status", "voicemail"})


class Evidence(IntEnum):
    """Whether an event proves that somebody talked in its leg of the call."""

    NONE = 0
    """It states the opposite: no talking time, a missed call, a voicemail."""
    DOUBTFUL = 1
    """It states an answer, but a talking time of 0: "completed" may be typed once for all events."""
    UNKNOWN = 2
    CONVERSATION = 3


class Stamp(msgspec.Struct, frozen=True, array_like=True):
    """The event that set a register. `occurred_at` is `received_at` if the event has no time of its own."""

    kind: Kind
    source_rank: int
    occurred_at: Instant
    received_at: Instant
    evidence: Evidence = Evidence.UNKNOWN


Register = tuple[int, Any]
"""A value, after the sequence number of the event that set it."""


class LegState(msgspec.Struct, frozen=True):
    """What the events with this call_id and this agent state about one leg: the call as one agent has it.

    `seen`: their kinds, sorted.
    """

    call_id: str | None
    agent: Agent
    seen: list[Kind]
    facts: dict[str, Register]

    def fact(self, name: str) -> Any:
        """The value of a fact; None if no event stated it."""
        register = self.facts.get(name)
        return None if register is None else register[1]


class CallState(msgspec.Struct):
    """The joined facts of a call.

    `stamps`: by sequence number, of the events that set a register. `seen`: the earliest arrival of each
    kind. `agents`: by its key, each agent that an event names, also one whose phone only rang. `legs`: by
    call_id and agent. `aliases`: sorted, without duplicates.
    """

    stamps: dict[int, Stamp]
    seen: dict[Kind, Instant]
    facts: dict[str, Register]
    data: dict[str, Register]
    agents: dict[str, tuple[int, Agent]] = {}
    legs: dict[str, LegState] = {}
    aliases: list[str] = []

    def fact(self, name: str) -> Any:
        """The value of a fact; None if no event stated it."""
        register = self.facts.get(name)
        return None if register is None else register[1]


def state_from_event(event: CallEvent, *, seq: int, received_at: Instant) -> CallState:
    """Build the state of a call with this event alone. `seq`: the event's sequence number in the journal."""
    occurred_at = received_at if event.occurred_at is None else event.occurred_at
    facts = {name: (seq, value) for name, value in event.facts.items() if _may_set(event.kind, name, value)}
    data = {key: (seq, value) for key, value in event.data.items()}
    agent = agent_of_event(event)
    agents = {} if agent == NOBODY else {agent.key: (seq, agent)}
    legs = _legs_of(event.kind, agent, facts)
    stamp = Stamp(event.kind, event.source_rank, occurred_at, received_at, evidence_of(event))
    return CallState(
        stamps=referenced_stamps({seq: stamp}, facts, data, agents),
        seen={event.kind: received_at},
        facts=facts,
        data=data,
        agents=agents,
        legs=legs,
        aliases=sorted(event.aliases),
    )


def _may_set(kind: Kind, fact: str, value: object) -> bool:
    if fact in _AGENT_FACTS:
        return False  # an agent is one value: `agents`
    if fact not in OUTCOME_FACTS:
        return True
    if kind not in _OUTCOME_KINDS:
        return False
    # A payload typed once for all events states "completed" in a Missed too: there the kind counts.
    return not (kind is Kind.MISSED and fact == "status" and value == "answered")


def evidence_of(event: CallEvent) -> Evidence:
    """What the facts of one event prove. An Answered does not say for how long its agent talked."""
    if event.kind not in _OUTCOME_KINDS:
        return Evidence.UNKNOWN
    talking, status = event.fact("talking"), event.fact("status")
    if talking:
        return Evidence.CONVERSATION
    is_answered = status == "answered" and _may_set(event.kind, "status", status)
    if is_answered or event.fact("answered_at") is not None:
        return Evidence.CONVERSATION if talking is None else Evidence.DOUBTFUL
    says_nothing = event.kind is Kind.ENDED and talking is None and status is None
    return Evidence.UNKNOWN if says_nothing and not event.fact("voicemail") else Evidence.NONE


def has_unknown_outcome(event: CallEvent) -> bool:
    """Whether a call ended and this event does not state whether anybody talked."""
    return event.kind is Kind.ENDED and evidence_of(event) is Evidence.UNKNOWN


def _legs_of(kind: Kind, agent: Agent, facts: Mapping[str, Register]) -> dict[str, LegState]:
    """The leg that an event is about: an event that ends a leg, or an Answered that names its agent."""
    if kind not in _OUTCOME_KINDS and (kind is not Kind.ANSWERED or agent == NOBODY):
        return {}
    call_id = facts.get("call_id", (0, None))[1]
    leg_facts = {fact: register for fact, register in facts.items() if fact in _LEG_FACTS}
    key = msgspec.json.encode([call_id, agent]).decode()
    return {key: LegState(call_id, agent, [kind], leg_facts)}


def referenced_stamps(
    stamps: Mapping[int, Stamp], *registers: Mapping[str, tuple[int, Any]]
) -> dict[int, Stamp]:
    """Return the stamps that a register points to, by ascending sequence number."""
    referenced = {seq for mapping in registers for seq, _ in mapping.values()}
    return {seq: stamps[seq] for seq in sorted(referenced)}
