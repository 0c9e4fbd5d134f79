"""The join of two states of one call, and the order of the registers."""

from collections.abc import Mapping
from typing import Final

from relay.call.event import Kind
from relay.call.state import OUTCOME_FACTS, CallState, Register, Stamp, referenced_stamps
from relay.instants import Instant

_DURATIONS: Final = frozenset({"duration", "talking", "waiting", "wrapup"})
_OUTCOME_RANK: Final = {Kind.MISSED: 1, Kind.VOICEMAIL: 1, Kind.ENDED: 2}
_PHASE_RANK: Final = {Kind.STARTED: 0, Kind.RINGING: 1, Kind.ANSWERED: 2, Kind.UPDATE: 2}
_AFTER_THE_CALL: Final = 3
"""The rank of all other kinds, from the Ended on: among them only time decides, so that an edit wins."""

Order = tuple[int, int, Instant, Instant, int]


def join(left: CallState, right: CallState) -> CallState:
    """Merge two states of one call: for each fact the register with the higher order wins; ids are united.

    Commutative, associative and idempotent, so events may be folded in any order and more than once.
    """
    stamps = left.stamps | right.stamps
    facts = _join_registers(left.facts, right.facts, stamps)
    data = _join_registers(left.data, right.data, stamps)
    return CallState(
        stamps=referenced_stamps(stamps, facts, data),
        seen=_earliest(left.seen, right.seen),
        facts=facts,
        data=data,
        agents=_unite_agents(left.agents, right.agents),
        aliases=sorted({*left.aliases, *right.aliases}),
    )


def _join_registers(
    left: Mapping[str, Register], right: Mapping[str, Register], stamps: Mapping[int, Stamp]
) -> dict[str, Register]:
    joined = dict(left)
    for field, register in right.items():
        other = joined.get(field)
        if other is None or _wins(field, register, other, stamps):
            joined[field] = register
    return joined


def _wins(field: str, register: Register, other: Register, stamps: Mapping[int, Stamp]) -> bool:
    """Whether `register` replaces `other`. An empty value never replaces another value."""
    is_empty, other_is_empty = _is_empty(register[1]), _is_empty(other[1])
    if is_empty != other_is_empty:
        return other_is_empty
    return _order(field, stamps, register) > _order(field, stamps, other)


def _is_empty(value: object) -> bool:
    return value is None or value in ("", [], {})


def _order(field: str, stamps: Mapping[int, Stamp], register: Register) -> Order:
    """Source first (durations only), then kind, then time, then arrival."""
    seq, _ = register
    stamp = stamps[seq]
    source_rank = stamp.source_rank if field in _DURATIONS else 0
    return source_rank, _kind_rank(field, stamp.kind), stamp.occurred_at, stamp.received_at, seq


def _kind_rank(field: str, kind: Kind) -> int:
    if field in OUTCOME_FACTS:
        return _OUTCOME_RANK.get(kind, 0)
    return _PHASE_RANK.get(kind, _AFTER_THE_CALL)


def _unite_agents(left: Mapping[str, str], right: Mapping[str, str]) -> dict[str, str]:
    """Of two names of one agent the alphabetically last wins: any rule that is commutative would do."""
    return {key: max(left.get(key, ""), right.get(key, "")) for key in sorted(left.keys() | right.keys())}


def _earliest(left: Mapping[Kind, Instant], right: Mapping[Kind, Instant]) -> dict[Kind, Instant]:
    return {
        kind: min(seen[kind] for seen in (left, right) if kind in seen)
        for kind in sorted(left.keys() | right.keys())
    }
