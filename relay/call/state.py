"""The state of a call: one last-writer-wins register for each fact."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from relay.call.event import CallEvent, Kind
from relay.instants import Instant

OUTCOME_FACTS: Final = frozenset({"status", "ended_at", "duration", "talking", "wrapup", "voicemail"})
"""How a call went. Only events of a call that is over set these facts: the mission repeats one payload in
all four events, so a Started may have an end."""

_OUTCOME_KINDS: Final = frozenset({Kind.ENDED, Kind.MISSED, Kind.VOICEMAIL})
_AGENT_FACTS: Final = frozenset({"agent_id", "agent_name", "agent_email"})
_AGENT_KINDS: Final = frozenset({Kind.ANSWERED, Kind.ENDED, Kind.MODIFIED})
"""Only these set the agent of the call. A phone that rings is not the agent who answers."""


class Stamp(msgspec.Struct, frozen=True, array_like=True):
    """The event that set a register. `occurred_at` is `received_at` if the event has no time of its own."""

    kind: Kind
    source_rank: int
    occurred_at: Instant
    received_at: Instant


Register = tuple[int, Any]
"""A value, after the sequence number of the event that set it."""


class CallState(msgspec.Struct):
    """The joined facts of a call.

    `stamps`: by sequence number, of the events that set a register. `seen`: the earliest arrival of each
    kind. `agents`: name by id, of all agents whose phone rang or who talked; without an id by e-mail, without
    that by name. `aliases`: sorted, without duplicates.
    """

    stamps: dict[int, Stamp]
    seen: dict[Kind, Instant]
    facts: dict[str, Register]
    data: dict[str, Register]
    agents: dict[str, str] = {}
    aliases: list[str] = []

    def fact(self, name: str) -> Any:
        """The value of a fact; None if no event stated it."""
        register = self.facts.get(name)
        return None if register is None else register[1]


def state_from_event(event: CallEvent, *, seq: int, received_at: Instant) -> CallState:
    """Build the state of a call with this event alone. `seq`: the event's sequence number in the journal."""
    occurred_at = received_at if event.occurred_at is None else event.occurred_at
    stamps = {seq: Stamp(event.kind, event.source_rank, occurred_at, received_at)}
    facts = {name: (seq, value) for name, value in event.facts.items() if _may_set(event.kind, name, value)}
    data = {key: (seq, value) for key, value in event.data.items()}
    return CallState(
        stamps=referenced_stamps(stamps, facts, data),
        seen={event.kind: received_at},
        facts=facts,
        data=data,
        agents=_agents_of(event),
        aliases=sorted(event.aliases),
    )


def _may_set(kind: Kind, fact: str, value: object) -> bool:
    if fact in _AGENT_FACTS:
        return kind in _AGENT_KINDS
    if fact not in OUTCOME_FACTS:
        return True
    if kind not in _OUTCOME_KINDS:
        return False
    # A payload typed once for all events states "completed" in a Missed too: there the kind counts.
    return not (kind is Kind.MISSED and fact == "status" and value == "answered")


def _agents_of(event: CallEvent) -> dict[str, str]:
    id_, email, name = (event.fact(fact) for fact in ("agent_id", "agent_email", "agent_name"))
    key = next((value for value in (id_, email, name) if value is not None), None)
    return {} if key is None else {key: name or email or key}


def referenced_stamps(stamps: Mapping[int, Stamp], *registers: Mapping[str, Register]) -> dict[int, Stamp]:
    """Return the stamps that a register points to, by ascending sequence number."""
    referenced = {seq for mapping in registers for seq, _ in mapping.values()}
    return {seq: stamps[seq] for seq in sorted(referenced)}
