"""One call: what CloudTalk said about it, and what that makes of it. Pure: no I/O, no clock.

A call is a set of *facts*, each a last-writer-wins register. `state_from_event` reads one event as the
state of a call of which nothing else is known, and `join` brings two states together. The join is
commutative, associative and idempotent, so events may come late, doubled and in any order.

Instants are integers, microseconds since 1970 UTC. Durations are whole seconds.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from relay.instants import SECOND, iso

ANSWER_WITHIN: Final = 3_600 * SECOND
"""An Answered that bears no time stands for the answer for this long after the start."""


class Kind(StrEnum):
    """What an event says about its call."""

    STARTED = "started"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"
    MISSED = "missed"
    VOICEMAIL = "voicemail"
    RECORDING = "recording"
    TRANSCRIPT = "transcript"
    SUMMARY = "summary"
    MODIFIED = "modified"
    UPDATE = "update"
    """Says something of a call and not what happened to it: never changes the state."""


class Status(StrEnum):
    """What a call came to; always computed from the facts, never stored as a step."""

    IN_PROGRESS = "in_progress"
    ANSWERED = "answered"
    COMPLETED = "completed"
    MISSED = "missed"
    VOICEMAIL = "voicemail"
    NO_ANSWER = "no_answer"


class CallEvent(msgspec.Struct, frozen=True):
    """What one body says about one call, in canonical words.

    `name` is what follows `cloudtalk-` in the id of a record that this event begins. `facts` holds
    the known ones only: what is absent or empty never erases. `data` is what CloudTalk sent.
    `keys` name the message itself, so that a redelivery is known as one. `warnings` are for the
    log: what was there and could not be read. `source_rank`: of two events the one with the higher rank
    sets the durations. `single_id`: all events of the call have the same single id.

    Facts: `call_id call_uuid direction status from to external_number internal_number contact_id
    contact_name agent_id agent_name agent_email recording_url tags notes transcript summary` as in
    the record (`tags` a list, `status` answered, missed or voicemail), `started_at answered_at
    ended_at` instants, `duration talking waiting wrapup` seconds, `voicemail` true.
    """

    kind: Kind
    dialect: str
    name: str
    aliases: tuple[str, ...]
    occurred_at: int | None
    facts: dict[str, Any]
    data: dict[str, Any]
    keys: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    source_rank: int = 0
    single_id: bool = False


class Stamp(msgspec.Struct, frozen=True, array_like=True):
    """When and by which event a fact was said. `occurred_at` is the arrival where no time was said."""

    kind: Kind
    source_rank: int
    occurred_at: int
    received_at: int


Register = tuple[int, Any]
"""The sequence number of the event that said it last, and what it said."""


class CallState(msgspec.Struct):
    """All that is known of a call: the stamps of the events that count, by sequence number, and
    the registers that point to them. `seen` is the earliest arrival of each kind, `agents` whoever
    was rung or spoke, by id, e-mail or name, `aliases` every id that is the call's own.
    """

    stamps: dict[int, Stamp]
    seen: dict[Kind, int]
    facts: dict[str, Register]
    data: dict[str, Register]
    agents: dict[str, str] = {}
    aliases: list[str] = []

    def fact(self, name: str) -> Any:
        """The value of a fact, or None where nothing said it."""
        register = self.facts.get(name)
        return None if register is None else register[1]


class Call(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """The canonical record. Times are ISO 8601 UTC, numbers E.164 where they can be."""

    id: str
    call_id: str | None
    call_uuid: str | None
    direction: str | None
    status: Status
    from_: str | None
    to: str | None
    external_number: str | None
    internal_number: str | None
    contact_id: str | None
    contact_name: str | None
    agent_id: str | None
    agent_name: str | None
    agent_email: str | None
    started_at: str | None
    answered_at: str | None
    ended_at: str | None
    response_seconds: int | None
    duration_seconds: int | None
    talking_seconds: int | None
    waiting_seconds: int | None
    wrapup_seconds: int | None
    recording_url: str | None
    tags: list[str]
    notes: str | None
    transcript: str | None
    summary: str | None
    follow_up: bool
    version: int
    cloudtalk_data: dict[str, Any]
    merged_into: str | None = None


FIELDS: Final = tuple(field.encode_name for field in msgspec.structs.fields(Call))
"""The canonical field names, in the record's order."""

DELIVERED_FIELDS: Final = tuple(f for f in FIELDS if f not in {"id", "version", "merged_into"})
"""The fields of which a CRM is owed the changes."""


# --- the order of a register ------------------------------------------------------------------

_OUTCOME_KINDS: Final = frozenset({Kind.ENDED, Kind.MISSED, Kind.VOICEMAIL})
_OUTCOME_FACTS: Final = frozenset({"status", "ended_at", "duration", "talking", "wrapup", "voicemail"})
"""What says how a call went counts only where a call is over: the mission repeats one payload in
all four events, so a *started* may bear an end."""

_MEASURES: Final = frozenset({"duration", "talking", "waiting", "wrapup"})
_OUTCOME_RANK: Final = {Kind.MISSED: 1, Kind.VOICEMAIL: 1, Kind.ENDED: 2}
_PHASE_RANK: Final = {Kind.STARTED: 0, Kind.RINGING: 1, Kind.ANSWERED: 2, Kind.UPDATE: 2}
_AFTERWARDS: Final = 3
"""What is said at and after the end, tags and notes of a *modified* included, follows time alone."""

_AGENT_FACTS: Final = frozenset({"agent_id", "agent_name", "agent_email"})
_AGENT_KINDS: Final = frozenset({Kind.ANSWERED, Kind.ENDED, Kind.MODIFIED})
"""A phone that rings sets no agent: only who answered, or had the call at its end."""

Order = tuple[int, int, int, int, int]


def _order(field: str, stamp: Stamp, seq: int) -> Order:
    """Later phases of a call speak over earlier ones, then the later word over the earlier."""
    source = stamp.source_rank if field in _MEASURES else 0
    return source, _rank(field, stamp.kind), stamp.occurred_at, stamp.received_at, seq


def _rank(field: str, kind: Kind) -> int:
    if field in _OUTCOME_FACTS:
        return _OUTCOME_RANK.get(kind, 0)
    return _PHASE_RANK.get(kind, _AFTERWARDS)


def _is_empty(value: object) -> bool:
    return value is None or value in ("", [], {})


# --- the join ---------------------------------------------------------------------------------


def state_from_event(event: CallEvent, *, seq: int, received_at: int) -> CallState:
    """The state of a call of which only this event is known."""
    occurred_at = received_at if event.occurred_at is None else event.occurred_at
    stamps = {seq: Stamp(event.kind, event.source_rank, occurred_at, received_at)}
    facts = {name: (seq, value) for name, value in event.facts.items() if _counts(event.kind, name, value)}
    data = {key: (seq, value) for key, value in event.data.items()}
    seen = {event.kind: received_at}
    return CallState(
        _referenced(stamps, facts, data), seen, facts, data, _agents_in(event), sorted(event.aliases)
    )


def _counts(kind: Kind, fact: str, value: object) -> bool:
    if fact in _AGENT_FACTS:
        return kind in _AGENT_KINDS
    if fact not in _OUTCOME_FACTS:
        return True
    if kind not in _OUTCOME_KINDS:
        return False
    # A payload typed once for all events may say "completed" in a call.missed: the event counts.
    return not (kind is Kind.MISSED and fact == "status" and value == "answered")


def _agents_in(event: CallEvent) -> dict[str, str]:
    """Who was rung or spoke, whether the event sets the call's agent or not."""
    key = next(
        (event.facts[fact] for fact in ("agent_id", "agent_email", "agent_name") if fact in event.facts), None
    )
    return (
        {} if key is None else {key: event.facts.get("agent_name") or event.facts.get("agent_email") or key}
    )


def join(left: CallState, right: CallState) -> CallState:
    """What both know together."""
    stamps = left.stamps | right.stamps
    facts = _join_registers(left.facts, right.facts, stamps)
    data = _join_registers(left.data, right.data, stamps)
    seen = _earliest(left.seen, right.seen)
    return CallState(
        _referenced(stamps, facts, data),
        seen,
        facts,
        data,
        _union(left.agents, right.agents),
        sorted({*left.aliases, *right.aliases}),
    )


def _join_registers(
    left: Mapping[str, Register], right: Mapping[str, Register], stamps: Mapping[int, Stamp]
) -> dict[str, Register]:
    joined = dict(left)
    for field, ours in right.items():
        theirs = joined.get(field)
        if theirs is None or _later(field, ours, theirs, stamps):
            joined[field] = ours
    return joined


def _later(field: str, one: Register, other: Register, stamps: Mapping[int, Stamp]) -> bool:
    """Whether `one` speaks over `other`; what is empty never erases what is not."""
    one_empty, other_empty = _is_empty(one[1]), _is_empty(other[1])
    if one_empty != other_empty:
        return other_empty
    return _order(field, stamps[one[0]], one[0]) > _order(field, stamps[other[0]], other[0])


def _referenced(stamps: Mapping[int, Stamp], *registers: Mapping[str, Register]) -> dict[int, Stamp]:
    used = {seq for mapping in registers for seq, _ in mapping.values()}
    return {seq: stamps[seq] for seq in sorted(used)}


def _union(left: Mapping[str, str], right: Mapping[str, str]) -> dict[str, str]:
    return {key: max(left.get(key, ""), right.get(key, "")) for key in sorted(left.keys() | right.keys())}


def _earliest(left: Mapping[Kind, int], right: Mapping[Kind, int]) -> dict[Kind, int]:
    return {
        kind: min(m[kind] for m in (left, right) if kind in m) for kind in sorted(left.keys() | right.keys())
    }


# --- what the facts come to -------------------------------------------------------------------


def compute_status(state: CallState) -> Status:
    """The status table of the design, its rows from top to bottom."""
    outbound = state.fact("direction") in {"outbound", "internal"}
    word = state.fact("status")
    ended = Kind.ENDED in state.seen
    voicemail = Kind.VOICEMAIL in state.seen or word == "voicemail" or bool(state.fact("voicemail"))
    missed = Kind.MISSED in state.seen or Kind.VOICEMAIL in state.seen
    answered = _was_answered(state)
    if ended and (answered or word == "answered"):
        return Status.COMPLETED
    if answered:
        return Status.COMPLETED if missed else Status.ANSWERED
    if (ended or missed) and voicemail:
        return Status.NO_ANSWER if outbound else Status.VOICEMAIL
    if missed or (ended and (word == "missed" or state.fact("talking") == 0)):
        return Status.NO_ANSWER if outbound else Status.MISSED
    return Status.COMPLETED if ended else Status.IN_PROGRESS


def _was_answered(state: CallState) -> bool:
    return bool(state.fact("talking")) or Kind.ANSWERED in state.seen or state.fact("answered_at") is not None


def build_record(state: CallState, *, id: str, version: int) -> Call:  # noqa: A002 - the record's own word
    """The canonical record that the facts come to."""
    fact = state.fact
    status, direction = compute_status(state), fact("direction")
    external, internal = _parties(state)
    caller, callee = (external, internal) if direction == "inbound" else (internal, external)
    started_at, answered_at, ended_at = fact("started_at"), _answered_at(state), fact("ended_at")
    return Call(
        id=id,
        call_id=fact("call_id"),
        call_uuid=fact("call_uuid"),
        direction=direction,
        status=status,
        from_=fact("from") or (caller if direction else None),
        to=fact("to") or (callee if direction else None),
        external_number=external,
        internal_number=internal,
        contact_id=fact("contact_id"),
        contact_name=fact("contact_name"),
        agent_id=fact("agent_id"),
        agent_name=fact("agent_name"),
        agent_email=fact("agent_email"),
        started_at=iso(started_at),
        answered_at=iso(answered_at),
        ended_at=iso(ended_at),
        response_seconds=_seconds_between(started_at, answered_at),
        duration_seconds=_duration(state),
        talking_seconds=fact("talking"),
        waiting_seconds=fact("waiting"),
        wrapup_seconds=fact("wrapup"),
        recording_url=fact("recording_url"),
        tags=fact("tags") or [],
        notes=fact("notes"),
        transcript=fact("transcript"),
        summary=fact("summary"),
        follow_up=direction == "inbound" and status in {Status.MISSED, Status.VOICEMAIL},
        version=version,
        cloudtalk_data={key: value for key, (_, value) in sorted(state.data.items())},
    )


def changed_fields(before: Call, after: Call) -> list[str]:
    """The names of the fields that a CRM is owed anew."""
    old, new = msgspec.structs.astuple(before), msgspec.structs.astuple(after)
    return [f for f, a, b in zip(FIELDS, old, new, strict=True) if a != b and f in DELIVERED_FIELDS]


def _parties(state: CallState) -> tuple[str | None, str | None]:
    """The customer's number and the own one, said or told by the direction."""
    external, internal = state.fact("external_number"), state.fact("internal_number")
    caller, callee = state.fact("from"), state.fact("to")
    match state.fact("direction"):
        case "inbound":
            return external or caller, internal or callee
        case "outbound":
            return external or callee, internal or caller
        case _:
            return external, internal


def _answered_at(state: CallState) -> int | None:
    """When it was answered: as said, else the first arrival of an Answered where that is plausible."""
    said = state.fact("answered_at")
    if isinstance(said, int):
        return said
    arrived, started_at = state.seen.get(Kind.ANSWERED), state.fact("started_at")
    if arrived is None or started_at is None:
        return None
    latest = min(started_at + ANSWER_WITHIN, state.fact("ended_at") or arrived)
    return arrived if started_at <= arrived <= latest else None


def _duration(state: CallState) -> int | None:
    """As said, else the time between the start and the end."""
    said = state.fact("duration")
    if isinstance(said, int):
        return said
    return _seconds_between(state.fact("started_at"), state.fact("ended_at"))


def _seconds_between(start: int | None, end: int | None) -> int | None:
    """Whole seconds, or None where an end is unknown or lies before the start."""
    if start is None or end is None or end < start:
        return None
    return (end - start) // SECOND
