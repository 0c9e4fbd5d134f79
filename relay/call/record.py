"""The record of a call, built from its state."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from relay.call.agents import NOBODY, Agent, complete_agent, complete_only_agent, is_same_agent
from relay.call.data_limits import LEFT_OUT, MAX_BYTES, SMALL, size_of, split_large_key
from relay.call.event import Kind
from relay.call.join import AGENT_KINDS, FactOrders, agent_order, join_registers
from relay.call.legs import Leg, build_legs, group_legs
from relay.call.parties import external_number, internal_number
from relay.call.repeated_times import resolve_times
from relay.call.state import CallState, LegState, Register, call_back_of
from relay.call.status import Status, compute_status
from relay.instants import SECOND, Duration, Instant, iso

ANSWER_WITHIN: Final = Duration(3_600 * SECOND)
"""The longest plausible time between the start of a call and its answer."""


class Call(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """The canonical record of a call, as CRM clients receive it.

    Times are ISO 8601 UTC and end in `Z`; numbers are E.164 if they can be. `follow_up`: an inbound call that
    nobody answered, and whose customer nobody has talked to since. `called_back_at`: when the first call
    after it began in which somebody talked to its customer; `called_back_by`: the agent of that call.
    `missed_reason`: why nobody answered a missed call, see `MissedReason`. `smart_notes`: what CloudTalk's AI
    noted, one line for each item.
    `legs`: one for each agent of a transferred call, or of a queue. `merged_into`: the id of
    the call that this one became part of.
    """

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
    legs: list[Leg] = []
    called_back_at: str | None = None
    called_back_by: str | None = None
    missed_reason: str | None = None
    smart_notes: str | None = None


FIELDS: Final = tuple(field.encode_name for field in msgspec.structs.fields(Call))
"""The names of the fields, in the order of the record."""

_NEED_FOLLOW_UP: Final = frozenset({Status.MISSED, Status.VOICEMAIL})
"""Of inbound calls."""

DELIVERED_FIELDS: Final = tuple(f for f in FIELDS if f not in {"id", "version", "merged_into"})
"""The fields whose changes are delivered to a CRM."""


def build_record(state: CallState, *, id: str, version: int) -> Call:  # noqa: A002 - the field's own name
    """Build the canonical record of this state."""
    state = resolve_times(state)
    fact = state.fact
    status, direction = compute_status(state), fact("direction")
    external, internal = external_number(state), internal_number(state)
    caller, callee = (external, internal) if direction == "inbound" else (internal, external)
    agent, legs = _agent(state), group_legs(state)
    started_at, ended_at = _earliest(legs, "started_at") or fact("started_at"), fact("ended_at")
    answered_at = _earliest(legs, "answered_at") or _answered_at(state, started_at)
    is_missed = direction == "inbound" and status in _NEED_FOLLOW_UP
    call_back = call_back_of(state) if is_missed else None
    return Call(
        id=id,
        call_id=next((leg.call_id for leg in legs if leg.call_id), fact("call_id")),
        call_uuid=fact("call_uuid"),
        direction=direction,
        status=status,
        from_=fact("from") or (caller if direction else None),
        to=fact("to") or (callee if direction else None),
        external_number=external,
        internal_number=internal,
        contact_id=fact("contact_id"),
        contact_name=fact("contact_name"),
        agent_id=agent.id,
        agent_name=agent.name,
        agent_email=agent.email,
        started_at=iso(started_at),
        answered_at=iso(answered_at),
        ended_at=iso(ended_at),
        response_seconds=_seconds_between(started_at, answered_at),
        duration_seconds=_duration_seconds(state, started_at),
        talking_seconds=_talking_seconds(state, agent, legs),
        waiting_seconds=fact("waiting"),
        wrapup_seconds=fact("wrapup"),
        recording_url=fact("recording_url") or fact("api_recording_url"),
        tags=fact("tags") or [],
        notes=fact("notes"),
        transcript=fact("transcript"),
        summary=fact("summary"),
        follow_up=is_missed and call_back is None,
        version=version,
        cloudtalk_data=_build_data(state),
        legs=build_legs(state, legs),
        called_back_at=iso(call_back.began_at) if call_back else None,
        called_back_by=call_back.agent_name if call_back else None,
        missed_reason=fact("missed_reason") if is_missed else None,
        smart_notes=fact("smart_notes"),
    )


def is_missed(call: Call) -> bool:
    """Whether a customer called and nobody answered, whether or not somebody talked to them later."""
    return call.direction == "inbound" and call.status in _NEED_FOLLOW_UP


def seconds_to_call_back(call: Call) -> int | None:
    """Return the whole seconds from a missed call to the first conversation with its customer; None if there
    was none, or if it is not known when the missed call began.
    """
    if call.called_back_at is None or call.started_at is None:
        return None
    began, called_back = (datetime.fromisoformat(time) for time in (call.started_at, call.called_back_at))
    return max(int((called_back - began).total_seconds()), 0)


def known_fields(call: Call) -> frozenset[str]:
    """Return the names of the delivered fields that events have stated, or that follow from stated ones.

    The status of a call that is not over, and its follow-up, are only defaults: an event that arrives late
    or alone yields them for a call that ended long ago. So is the follow-up of a missed call without a
    direction.
    """
    values = zip(FIELDS, msgspec.structs.astuple(call), strict=True)
    stated = {field for field, value in values if value not in (None, "", [], {})}
    return frozenset(stated & set(DELIVERED_FIELDS) - _defaults(call))


def _defaults(call: Call) -> set[str]:
    if call.status in {Status.IN_PROGRESS, Status.ANSWERED}:
        return {"status", "follow_up"}
    has_unknown_side = call.direction is None and call.status in _NEED_FOLLOW_UP
    return {"follow_up"} if has_unknown_side else set()


def _build_data(state: CallState) -> dict[str, Any]:
    """What CloudTalk sent, the newest value of each key. If it exceeds the limit, the values with the lowest
    orders are left out, and the key `LEFT_OUT` says so.
    """
    registers, orders = state.data, FactOrders(state.stamps)
    for large_key, register in state.large_data.items():
        key = split_large_key(large_key)[1]
        registers = join_registers(registers, {key: register}, orders)
    is_small = not state.large_data and len(registers) <= MAX_BYTES // SMALL
    kept = registers if is_small else _within_limit(registers, orders)
    data = {key: value for key, (_, value) in sorted(kept.items())}
    return data | {LEFT_OUT: True} if state.left_out or len(kept) < len(registers) else data


def _within_limit(registers: Mapping[str, Register], orders: FactOrders) -> dict[str, Register]:
    """Return the registers that fit into the limit, tried from the highest order to the lowest."""
    ordered = sorted(
        registers.items(),
        key=lambda item: (orders(item[0], item[1]), item[0]),
        reverse=True,
    )
    kept: dict[str, Register] = {}
    total = size_of(LEFT_OUT, value=True)
    for key, register in ordered:
        size = size_of(key, register[1])
        if total + size <= MAX_BYTES:
            kept[key] = register
            total += size
    return kept


def changed_fields(before: Call, after: Call) -> list[str]:
    """Return the names of the delivered fields in which two versions of a record differ."""
    old, new = msgspec.structs.astuple(before), msgspec.structs.astuple(after)
    return [f for f, a, b in zip(FIELDS, old, new, strict=True) if a != b and f in DELIVERED_FIELDS]


def _agent(state: CallState) -> Agent:
    """The agent who talked last, else the last one who is known. Values of other agents are not mixed in."""
    ordered = sorted(state.agents.items(), key=lambda item: agent_order(state.stamps, *item), reverse=True)
    claims = [agent for _, (_, agent) in ordered]
    setting = [agent for _, (seq, agent) in ordered if state.stamps[seq].kind in AGENT_KINDS]
    return complete_only_agent(complete_agent(setting[0], claims), setting) if setting else NOBODY


def _talking_seconds(state: CallState, agent: Agent, legs: Iterable[LegState]) -> int | None:
    """Of several conversations the one of the call's agent counts."""
    conversations = [leg for leg in legs if leg.fact("talking") and is_same_agent(leg.agent, agent)]
    source: LegState | CallState = conversations[-1] if conversations else state
    talking: int | None = source.fact("talking")
    return talking


def _earliest(legs: Iterable[LegState], fact: str) -> Instant | None:
    """A transferred call began when its first leg began."""
    return min((instant for leg in legs if (instant := leg.fact(fact)) is not None), default=None)


def _answered_at(state: CallState, started_at: Instant | None) -> Instant | None:
    """When the call was answered: as stated, else the first arrival of an Answered, if that is plausible.

    Plausible: after the start, at most `ANSWER_WITHIN` later, and not after the end. An end in whole seconds
    was up to a second later than stated: an answer in this second came with the end.
    """
    stated = state.fact("answered_at")
    if isinstance(stated, int):
        return Instant(stated)
    arrived_at = state.seen.get(Kind.ANSWERED)
    if arrived_at is None or started_at is None:
        return None
    ended_at = state.fact("ended_at") or arrived_at
    if arrived_at >= _end_of_second(ended_at):
        return None
    answered_at = min(arrived_at, ended_at)
    return answered_at if started_at <= answered_at <= started_at + ANSWER_WITHIN else None


def _end_of_second(instant: Instant) -> Instant:
    """Return the first instant that is later than one that was stated, in whole seconds or more exactly."""
    return Instant(instant + (1 if instant % SECOND else SECOND))


def _duration_seconds(state: CallState, started_at: Instant | None) -> int | None:
    """As stated, else the time between the start and the end, else talking and waiting time."""
    stated = state.fact("duration")
    if isinstance(stated, int):
        return stated
    between = _seconds_between(started_at, state.fact("ended_at"))
    talking, waiting = state.fact("talking"), state.fact("waiting")
    if between is not None or talking is None or waiting is None:
        return between
    return int(talking + waiting)


def _seconds_between(start: Instant | None, end: Instant | None) -> int | None:
    """Whole seconds; None if one of the two is unknown or the end is before the start."""
    if start is None or end is None or end < start:
        return None
    return (end - start) // SECOND
