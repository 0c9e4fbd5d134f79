"""The join of two states of one call, and the order of the registers."""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from relay.call.data_limits import SMALL, most_values, split_large_key
from relay.call.event import Kind
from relay.call.state import OUTCOME_FACTS, CallState, Evidence, LegState, Register, Stamp, referenced_stamps
from relay.instants import Instant

V = TypeVar("V")

_DURATIONS: Final = frozenset({"duration", "talking", "waiting", "wrapup"})
_OUTCOME_RANK: Final = {Kind.MISSED: 1, Kind.VOICEMAIL: 1, Kind.ENDED: 2}
_PHASE_RANK: Final = {Kind.STARTED: 0, Kind.RINGING: 1, Kind.ANSWERED: 2, Kind.UPDATE: 2}
_AFTER_THE_CALL: Final = 3
"""The rank of all other kinds, from the Ended on: among them only time decides, so that an edit wins."""

AGENT_KINDS: Final = frozenset({Kind.ANSWERED, Kind.ENDED, Kind.MODIFIED})
"""Only these set the agent of the call. A phone that rings is not the agent who answers."""

_MOST_AGENTS: Final = 100
_MOST_LEGS: Final = 50
"""The limits of what one call keeps. Of the legs those with the lowest keys stay, because a leg grows with
later events and has no order of its own."""

Order = tuple[int, int, int, Instant, Instant, int]


def join(left: CallState, right: CallState) -> CallState:
    """Merge two states of one call: for each fact the register with the higher order wins; ids are united.

    Commutative, associative and idempotent, so events may be folded in any order and more than once.
    """
    stamps = left.stamps | right.stamps
    facts = join_registers(left.facts, right.facts, stamps)
    data, large_data, is_limited = limit_data(
        join_registers(left.data, right.data, stamps),
        join_registers(left.large_data, right.large_data, stamps, large_order),
        stamps,
    )
    agents = join_registers(left.agents, right.agents, stamps, agent_order)
    agents = _keep_highest(agents, stamps, _MOST_AGENTS, agent_order)
    legs = _join_legs(left.legs, right.legs, stamps)
    return CallState(
        stamps=referenced_stamps(
            stamps, facts, data, large_data, agents, *(leg.facts for leg in legs.values())
        ),
        seen=_earliest(left.seen, right.seen),
        facts=facts,
        data=data,
        agents=agents,
        legs=legs,
        aliases=_unite(left.aliases, right.aliases),
        large_data=large_data,
        left_out=left.left_out or right.left_out or is_limited,
    )


def join_registers(
    left: Mapping[str, tuple[int, Any]],
    right: Mapping[str, tuple[int, Any]],
    stamps: Mapping[int, Stamp],
    order: Callable[[str, Mapping[int, Stamp], Register], Order] | None = None,
) -> dict[str, tuple[int, Any]]:
    """Return the winning register of each field. An empty value never replaces another value."""
    joined = dict(left)
    for field, register in right.items():
        other = joined.get(field)
        if other is None or _wins(field, register, other, stamps, order or fact_order):
            joined[field] = register
    return joined


def _wins(
    field: str,
    register: Register,
    other: Register,
    stamps: Mapping[int, Stamp],
    order: Callable[[str, Mapping[int, Stamp], Register], Order],
) -> bool:
    is_empty, other_is_empty = _is_empty(register[1]), _is_empty(other[1])
    if is_empty != other_is_empty:
        return other_is_empty
    return order(field, stamps, register) > order(field, stamps, other)


def _keep_highest(
    registers: dict[str, tuple[int, V]],
    stamps: Mapping[int, Stamp],
    most: int,
    order: Callable[[str, Mapping[int, Stamp], tuple[int, V]], Order],
) -> dict[str, tuple[int, V]]:
    """Return the registers with the highest orders, at most `most`. This does not depend on the order of
    arrival, because the order of a field never falls.
    """
    if len(registers) <= most:
        return registers
    kept = sorted(
        registers.items(),
        key=lambda item: (not _is_empty(item[1][1]), order(item[0], stamps, item[1]), item[0]),
        reverse=True,
    )
    return dict(kept[:most])


def limit_data(
    small: dict[str, Register], large: dict[str, Register], stamps: Mapping[int, Stamp]
) -> tuple[dict[str, Register], dict[str, Register], bool]:
    """Return the small and the large values that a call keeps, and whether others are left out."""
    kept_small = _keep_highest(small, stamps, most_values(SMALL), fact_order)
    by_class: dict[int, dict[str, Register]] = {}
    for key, register in large.items():
        by_class.setdefault(split_large_key(key)[0], {})[key] = register
    kept_large: dict[str, Register] = {}
    for largest, of_class in by_class.items():
        kept_large |= _keep_highest(of_class, stamps, most_values(largest), large_order)
    return kept_small, kept_large, len(kept_small) + len(kept_large) < len(small) + len(large)


def large_order(key: str, stamps: Mapping[int, Stamp], register: Register) -> Order:
    """The order of a register in `CallState.large_data`."""
    return fact_order(split_large_key(key)[1], stamps, register)


def _unite(left: list[str], right: list[str]) -> list[str]:
    """The union of two sorted lists. A call may have thousands of aliases, and an event has two."""
    new = [alias for alias in right if not _contains(left, alias)]
    return sorted([*left, *new]) if new else left


def _contains(ordered: list[str], alias: str) -> bool:
    index = bisect_left(ordered, alias)
    return index < len(ordered) and ordered[index] == alias


def _is_empty(value: object) -> bool:
    return value is None or value in ("", [], {})


def fact_order(field: str, stamps: Mapping[int, Stamp], register: Register) -> Order:
    """Evidence of a conversation first, then source (durations only), then kind, then time, then arrival."""
    seq, value = register
    stamp = stamps[seq]
    source_rank = stamp.source_rank if field in _DURATIONS else 0
    kind_rank = _kind_rank(field, stamp.kind)
    return _evidence(field, stamp, value), source_rank, kind_rank, stamp.occurred_at, stamp.received_at, seq


def _evidence(field: str, stamp: Stamp, value: object) -> int:
    """A leg without a conversation never replaces what a leg with one states."""
    if field == "talking":
        return bool(value)
    if field == "status":
        return stamp.evidence
    return stamp.evidence >= Evidence.UNKNOWN if field in _DURATIONS else 0


def agent_order(_key: str, stamps: Mapping[int, Stamp], register: tuple[int, Any]) -> Order:
    """Kinds that set the agent first; then evidence of a conversation, where an edit by a person counts like
    one; then phase, time and arrival.
    """
    seq, _ = register
    stamp = stamps[seq]
    evidence = Evidence.CONVERSATION if stamp.kind is Kind.MODIFIED else stamp.evidence
    phase = _PHASE_RANK.get(stamp.kind, _AFTER_THE_CALL)
    return stamp.kind in AGENT_KINDS, evidence, phase, stamp.occurred_at, stamp.received_at, seq


def _kind_rank(field: str, kind: Kind) -> int:
    if field in OUTCOME_FACTS:
        return _OUTCOME_RANK.get(kind, 0)
    return _PHASE_RANK.get(kind, _AFTER_THE_CALL)


def _join_legs(
    left: Mapping[str, LegState], right: Mapping[str, LegState], stamps: Mapping[int, Stamp]
) -> dict[str, LegState]:
    joined = dict(left)
    for key, leg in right.items():
        joined[key] = join_leg(joined[key], leg, stamps) if key in joined else leg
    return joined if len(joined) <= _MOST_LEGS else {key: joined[key] for key in sorted(joined)[:_MOST_LEGS]}


def join_leg(left: LegState, right: LegState, stamps: Mapping[int, Stamp]) -> LegState:
    """Merge what is stated about one leg. The call_id and the agent are those of `left`."""
    seen = sorted({*left.seen, *right.seen})
    return msgspec.structs.replace(left, seen=seen, facts=join_registers(left.facts, right.facts, stamps))


def _earliest(left: Mapping[Kind, Instant], right: Mapping[Kind, Instant]) -> dict[Kind, Instant]:
    return {
        kind: min(seen[kind] for seen in (left, right) if kind in seen)
        for kind in sorted(left.keys() | right.keys())
    }
