"""The state of a call: one last-writer-wins register for each fact."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

import msgspec

from relay.call.agents import Agent
from relay.call.event import ASKED_RANK, HISTORY_RANK, Kind
from relay.instants import Instant

ALTERNATIVES: Final = {time: f"{time}_repeated" for time in ("started_at", "answered_at", "ended_at")}
"""The fact with the other instant of a repeated time, see `repeated_times`. It has the rank of the time."""

OUTCOME_FACTS: Final = frozenset(
    {"status", "ended_at", ALTERNATIVES["ended_at"], "duration", "talking", "wrapup", "voicemail"}
)
"""How a call went. Only events of a call that is over set these facts: the mission repeats one payload in
all four events, so a Started may have an end."""


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


class CallBack(msgspec.Struct, frozen=True, array_like=True):
    """The conversation after a missed call: the id of its call, when that began, and who talked."""

    call: str
    began_at: Instant
    agent_name: str | None = None


class CallState(msgspec.Struct, omit_defaults=True):
    """The joined facts of a call.

    `stamps`: by sequence number, of the events that set a register. `seen`: the earliest arrival of each
    kind. `agents`: by its key, each agent that an event names, also one whose phone only rang. `legs`: by
    call_id and agent. `aliases`: sorted, without duplicates. `data` has the small values that CloudTalk sent,
    `large_data` the others, see `data_limits`; `left_out`: whether these have lost a value. `call_back`: of a
    missed call, the first conversation with its customer after it. No event states it: the fold finds it.
    """

    stamps: dict[int, Stamp]
    seen: dict[Kind, Instant]
    facts: dict[str, Register]
    data: dict[str, Register]
    agents: dict[str, tuple[int, Agent]] = {}
    legs: dict[str, LegState] = {}
    aliases: list[str] = []
    large_data: dict[str, Register] = {}
    left_out: bool = False
    call_back: CallBack | None = None

    def fact(self, name: str) -> Any:
        """The value of a fact; None if no event stated it."""
        register = self.facts.get(name)
        return None if register is None else register[1]


def call_back_of(state: CallState) -> CallBack | None:
    """Return the first conversation after a missed call: the one that the fold found, or an earlier one that
    CloudTalk's analytics state, such as a call from the customer's other number. That one has no id here.
    """
    stated_at, found = state.fact("resolved_at"), state.call_back
    started_at = state.fact("started_at")
    if stated_at is None or (started_at is not None and stated_at <= started_at):
        return found
    if found is not None and found.began_at <= stated_at:
        return found
    return CallBack("", Instant(stated_at), state.fact("resolved_by"))


def is_from_history(state: CallState) -> bool:
    """Whether CloudTalk's history has stated a fact of the call."""
    return any(stamp.source_rank == HISTORY_RANK for stamp in state.stamps.values())


def is_only_from_history(state: CallState) -> bool:
    """Whether no webhook stated a fact of the call: all are from the history, or were asked about it."""
    return all(stamp.source_rank in {HISTORY_RANK, ASKED_RANK} for stamp in state.stamps.values())


def referenced_stamps(
    stamps: Mapping[int, Stamp], *registers: Mapping[str, tuple[int, Any]]
) -> dict[int, Stamp]:
    """Return the stamps that a register points to, by ascending sequence number."""
    referenced = {seq for mapping in registers for seq, _ in mapping.values()}
    return {seq: stamps[seq] for seq in sorted(referenced)}
