"""The join of two states of one call, and the order of the registers."""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from relay.call.data_limits import SMALL, most_values, split_large_key
from relay.call.event import HISTORY_RANK, ROW, Kind
from relay.call.state import (
    OUTCOME_FACTS,
    CallBack,
    CallState,
    Evidence,
    LegState,
    Register,
    Stamp,
    referenced_stamps,
)
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
OrderOf = Callable[[str, tuple[int, V]], Order]
"""Returns the order of a register, given its field and the register."""

_EDITED: Final = frozenset({"tags", "notes", "contact_id", "contact_name"})
"""What people change after a call. A row of the history states it as it is when the row is fetched, and the
rest of the call as it was when it ended: of several legs the last one counts, whichever is fetched first.
"""

_FACTS_WITH_OWN_ORDER: Final = OUTCOME_FACTS | _DURATIONS
"""Of all other fields that one event set, the order is the same."""


def join(left: CallState, right: CallState) -> CallState:
    """Merge two states of one call: for each fact the register with the higher order wins; ids are united.

    Commutative, associative and idempotent, so events may be folded in any order and more than once.
    """
    stamps = left.stamps | right.stamps
    orders = FactOrders(stamps)
    facts = join_registers(left.facts, right.facts, orders)
    data, large_data, is_limited = limit_data(
        join_registers(left.data, right.data, orders),
        join_registers(left.large_data, right.large_data, orders.of_large),
        orders,
    )
    of_agent = partial(agent_order, stamps)
    agents = join_registers(left.agents, right.agents, of_agent)
    agents = _keep_highest(agents, _MOST_AGENTS, of_agent)
    legs = _join_legs(left.legs, right.legs, orders)
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
        call_back=_first_call_back(left.call_back, right.call_back),
    )


class FactOrders:
    """The order of each register of a call: `orders(field, register)`.

    The order is computed once for all fields of an event that have the same one.
    """

    def __init__(self, stamps: Mapping[int, Stamp]) -> None:
        self._stamps = stamps
        self._common: dict[int, tuple[Order, Order | None]] = {}

    def __call__(self, field: str, register: Register) -> Order:
        """Return the order: by evidence of a conversation, then source (durations only), kind, time and
        arrival.
        """
        seq, value = register
        if field in _FACTS_WITH_OWN_ORDER:
            return _fact_order(field, seq, self._stamps[seq], value)
        common = self._common.get(seq)
        if common is None:
            common = self._common[seq] = self._common_orders(seq, value)
        order, fetched = common
        return order if fetched is None or not _is_as_fetched(field) else fetched

    def _common_orders(self, seq: int, value: object) -> tuple[Order, Order | None]:
        """The order of most fields, and for a row of the history that of the fields as they were fetched."""
        stamp = self._stamps[seq]
        order = _fact_order(None, seq, stamp, value)
        if stamp.source_rank != HISTORY_RANK:
            return order, None
        fetched = msgspec.structs.replace(stamp, occurred_at=stamp.received_at)
        return order, _fact_order(None, seq, fetched, value)

    def of_large(self, key: str, register: Register) -> Order:
        """The order of a register in `CallState.large_data`."""
        return self(split_large_key(key)[1], register)


def _is_as_fetched(field: str) -> bool:
    return field in _EDITED or field.startswith(ROW)


def join_registers(
    left: Mapping[str, tuple[int, V]], right: Mapping[str, tuple[int, V]], order: OrderOf[V]
) -> dict[str, tuple[int, V]]:
    """Return the winning register of each field. An empty value never replaces another value."""
    joined = dict(left)
    for field, register in right.items():
        other = joined.get(field)
        if other is None or _wins(field, register, other, order):
            joined[field] = register
    return joined


def _wins(field: str, register: tuple[int, V], other: tuple[int, V], order: OrderOf[V]) -> bool:
    value, other_value = register[1], other[1]
    if not (value and other_value) and _is_empty(value) != _is_empty(other_value):
        return _is_empty(other_value)
    return order(field, register) > order(field, other)


def _keep_highest(
    registers: dict[str, tuple[int, V]], most: int, order: OrderOf[V]
) -> dict[str, tuple[int, V]]:
    """Return the registers with the highest orders, at most `most`. This does not depend on the order of
    arrival, because the order of a field never falls.
    """
    if len(registers) <= most:
        return registers
    kept = sorted(
        registers.items(),
        key=lambda item: (not _is_empty(item[1][1]), order(item[0], item[1]), item[0]),
        reverse=True,
    )
    return dict(kept[:most])


def limit_data(
    small: dict[str, Register], large: dict[str, Register], orders: FactOrders
) -> tuple[dict[str, Register], dict[str, Register], bool]:
    """Return the small and the large values that a call keeps, and whether others are left out."""
    kept_small = _keep_highest(small, most_values(SMALL), orders)
    by_class: dict[int, dict[str, Register]] = {}
    for key, register in large.items():
        by_class.setdefault(split_large_key(key)[0], {})[key] = register
    kept_large: dict[str, Register] = {}
    for largest, of_class in by_class.items():
        kept_large |= _keep_highest(of_class, most_values(largest), orders.of_large)
    return kept_small, kept_large, len(kept_small) + len(kept_large) < len(small) + len(large)


def _unite(left: list[str], right: list[str]) -> list[str]:
    """The union of two sorted lists. A call may have thousands of aliases, and an event has two."""
    new = [alias for alias in right if not _contains(left, alias)]
    return sorted([*left, *new]) if new else left


def _contains(ordered: list[str], alias: str) -> bool:
    index = bisect_left(ordered, alias)
    return index < len(ordered) and ordered[index] == alias


def _is_empty(value: object) -> bool:
    return not value and (value is None or value in ("", [], {}))


def _fact_order(fact: str | None, seq: int, stamp: Stamp, value: object) -> Order:
    """`fact`: None for one without an order of its own."""
    source_rank = stamp.source_rank if fact in _DURATIONS else 0
    if fact in OUTCOME_FACTS:
        kind_rank = _OUTCOME_RANK.get(stamp.kind, 0)
    else:
        kind_rank = _PHASE_RANK.get(stamp.kind, _AFTER_THE_CALL)
    return _evidence(fact, stamp, value), source_rank, kind_rank, stamp.occurred_at, stamp.received_at, seq


def _evidence(fact: str | None, stamp: Stamp, value: object) -> int:
    """A leg without a conversation never replaces what a leg with one states."""
    if fact == "talking":
        return bool(value)
    if fact == "status":
        return stamp.evidence
    return stamp.evidence >= Evidence.UNKNOWN if fact in _DURATIONS else 0


def agent_order(stamps: Mapping[int, Stamp], _key: str, register: tuple[int, Any]) -> Order:
    """Return the order of an agent: kinds that set the agent first; then evidence of a conversation, where an
    edit by a person counts like one; then phase, time and arrival.
    """
    seq, _ = register
    stamp = stamps[seq]
    evidence = Evidence.CONVERSATION if stamp.kind is Kind.MODIFIED else stamp.evidence
    phase = _PHASE_RANK.get(stamp.kind, _AFTER_THE_CALL)
    return stamp.kind in AGENT_KINDS, evidence, phase, stamp.occurred_at, stamp.received_at, seq


def _join_legs(
    left: Mapping[str, LegState], right: Mapping[str, LegState], orders: FactOrders
) -> dict[str, LegState]:
    joined = dict(left)
    for key, leg in right.items():
        joined[key] = join_leg(joined[key], leg, orders) if key in joined else leg
    return joined if len(joined) <= _MOST_LEGS else {key: joined[key] for key in sorted(joined)[:_MOST_LEGS]}


def join_leg(left: LegState, right: LegState, orders: FactOrders) -> LegState:
    """Merge what is stated about one leg. The call_id and the agent are those of `left`."""
    seen = sorted({*left.seen, *right.seen})
    return msgspec.structs.replace(left, seen=seen, facts=join_registers(left.facts, right.facts, orders))


def _first_call_back(left: CallBack | None, right: CallBack | None) -> CallBack | None:
    """The earlier one. If one call has two forms of it, the fold writes the present one afterwards."""
    if left is None or right is None:
        return left or right
    return min(left, right, key=lambda back: (back.began_at, back.call, back.agent_name or ""))


def _earliest(left: Mapping[Kind, Instant], right: Mapping[Kind, Instant]) -> dict[Kind, Instant]:
    seen = dict(left)
    for kind, instant in right.items():
        seen[kind] = min(instant, seen.get(kind, instant))
    return {kind: seen[kind] for kind in sorted(seen)}
