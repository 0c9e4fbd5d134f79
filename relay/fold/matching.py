"""Which call an event belongs to, by its ids. Pure. Links that no id states are in `links`.

A call has one uuid, and one call_id for each of its legs: a transfer adds a leg with the same uuid, the same
customer and another call_id. If a number is unknown (a withheld caller), only a generated uuid proves a
transfer. Otherwise two calls with different uuids, or with different call_ids, never merge: a constant typed
into a workflow would merge every call of the company. Where the ids of an event belong to different calls,
the ids that fit one call are accepted; the others are dropped and reported.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

import msgspec

from relay.call import CallEvent, CallState, HasFacts, external_number, internal_number
from relay.instants import SECOND, Duration, Instant
from relay.ledger.aliases import AliasReason

TRANSFER_WITHIN: Final = Duration(4 * 3_600 * SECOND)
"""The longest time between the starts of two legs of one call."""

MOST_ALIASES: Final = 1_000
"""The number of aliases of one call. A real call has one uuid, and a call_id for each leg."""

PRIORITY: Final = {"uuid": 0, "other": 1, "id": 2}
"""Lower is more reliable. CloudTalk sends the uuid from the first ring; a call_id is often typed by hand."""

_UUID_VERSIONS: Final = range(1, 9)

_FACT_BY_NAMESPACE: Final = {"uuid": "call_uuid", "id": "call_id"}


class AliasIndex(msgspec.Struct, frozen=True):
    """The aliases that the ledger has.

    `owners`: alias → id of its call. `aliases_of`: id of a call → its aliases. `pinned`: aliases that a
    person split off (`relay calls split`); they link nothing any more. `is_leg`: id of a call → whether the
    event is another leg of it, None if this depends on the id that links them, see `is_transfer_of`.
    """

    owners: Mapping[str, str]
    aliases_of: Callable[[str], Iterable[str]]
    pinned: frozenset[str] = frozenset()
    is_leg: Callable[[str], bool | None] = lambda _: None


class Match(msgspec.Struct, frozen=True):
    """The call of an event: `call` is an id, or None where the event begins a new call.

    `accepted` and `dropped`: the event's aliases that fit this call, and those that contradict it.
    `merge`: other calls that the event proves to be this one. `reason`: why, if no id links them.
    """

    call: str | None
    accepted: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    merge: tuple[str, ...] = ()
    reason: AliasReason | None = None


# --- the normal rule: by ids ----------------------------------------------------------------------


def match_by_ids(aliases: Sequence[str], index: AliasIndex) -> Match:
    """Match an event with these aliases. The first rule that applies decides.

    1. A call owns one of the aliases and contradicts none of the others: that call.
    2. No call owns any of the aliases: a new call.
    3. The aliases contradict each other: the most reliable alias that no call owns begins a new call; if
       all are owned, the most reliable one decides. The others are dropped.
    """
    ordered = sorted(aliases, key=lambda alias: PRIORITY[namespace_of(alias)])
    owners = {index.owners.get(alias) for alias in ordered}
    if len(owners) == 1:
        return Match(owners.pop(), tuple(ordered))  # the usual case of the first rule, and the second rule
    for alias in ordered:
        owner = index.owners.get(alias)
        if owner is not None and _is_compatible(
            index.aliases_of(owner),
            _without_pinned(ordered, alias, index.pinned),
            may_differ=_may_differ(alias, owner, index),
        ):
            return _match_owner(owner, alias, ordered, index)
    accepted = next((alias for alias in ordered if alias not in index.owners), ordered[0])
    dropped = tuple(alias for alias in ordered if alias != accepted)
    return Match(index.owners.get(accepted), (accepted,), dropped)


def _match_owner(owner: str, link: str, ordered: Sequence[str], index: AliasIndex) -> Match:
    """Match the event to `owner`, which it shares `link` with, and sort its other aliases."""
    accepted, dropped, merge = [link], list[str](), list[str]()
    may_differ = _may_differ(link, owner, index)
    for alias in ordered:
        if alias == link:
            continue
        other = index.owners.get(alias, owner)
        if alias in index.pinned or link in index.pinned:
            (accepted if other == owner and alias in index.owners else dropped).append(alias)
        elif other == owner:
            accepted.append(alias)
        elif _is_compatible(
            [*index.aliases_of(owner), *accepted],
            index.aliases_of(other),
            together=ordered,
            may_differ=frozenset() if index.is_leg(other) is False else may_differ,
        ):
            accepted.append(alias)
            merge.append(other)
        else:
            dropped.append(alias)
    return Match(owner, tuple(accepted), tuple(dropped), tuple(merge))


def _without_pinned(aliases: Sequence[str], link: str, pinned: frozenset[str]) -> list[str]:
    if link in pinned:
        return [link]
    return [alias for alias in aliases if alias not in pinned]


def _may_differ(link: str, owner: str, index: AliasIndex) -> frozenset[str]:
    """The namespaces in which a call and another leg of it, linked by this alias, have different ids."""
    is_leg = index.is_leg(owner)
    if is_leg is False or (is_leg is None and not _is_generated_uuid(link)):
        return frozenset()
    reliability = PRIORITY[namespace_of(link)]
    return frozenset(namespace for namespace, priority in PRIORITY.items() if priority > reliability)


def _is_compatible(
    left: Iterable[str],
    right: Iterable[str],
    *,
    together: Sequence[str] = (),
    may_differ: frozenset[str] = frozenset(),
) -> bool:
    """Whether both sets of aliases may belong to one call.

    In each namespace that both have, apart from those in `may_differ`, one side must contain the other, or
    `together`, the aliases of one event, must contain both.
    """
    lefts, rights, events = (_by_namespace(aliases) for aliases in (left, right, together))
    return all(
        namespace in may_differ
        or lefts[namespace] <= rights[namespace]
        or rights[namespace] <= lefts[namespace]
        or lefts[namespace] | rights[namespace] <= events.get(namespace, set())
        for namespace in lefts.keys() & rights.keys()
    )


def _by_namespace(aliases: Iterable[str]) -> dict[str, set[str]]:
    grouped: dict[str, set[str]] = {}
    for alias in aliases:
        grouped.setdefault(namespace_of(alias), set()).add(alias)
    return grouped


def namespaces_of(aliases: Iterable[str]) -> set[str]:
    """Return the kinds of these ids: uuid, id, other."""
    return {namespace_of(alias) for alias in aliases}


def namespace_of(alias: str) -> str:
    return alias.partition(":")[0]


def _is_generated_uuid(alias: str) -> bool:
    """Whether software generated this uuid: one that a person made up rarely has a version and a variant."""
    namespace, _, id_ = alias.partition(":")
    try:
        uuid = UUID(id_)
    except ValueError:
        return False
    return namespace == "uuid" and uuid.version in _UUID_VERSIONS  # None of another variant


def may_be_legs(left: Iterable[str], right: Iterable[str]) -> bool:
    """Whether calls with these aliases may be legs of one call: only their call_ids may differ."""
    return _is_compatible(left, right, may_differ=frozenset({"id"}))


def is_transfer_of(event: HasFacts, received_at: Instant, state: CallState) -> bool | None:
    """Whether the event may be another leg of a call: the same customer, at most `TRANSFER_WITHIN` away.

    None if nothing contradicts this, but a number is unknown or identifies no customer. Then the own number
    and the direction are compared, too. Stated starts are compared, else arrivals.
    """
    number, other_number = external_number(event), external_number(state)
    if None not in (number, other_number) and number != other_number:
        return False
    starts = event.fact("started_at"), state.fact("started_at")
    times = (received_at, min(state.seen.values())) if None in starts else starts
    if abs(times[0] - times[1]) > TRANSFER_WITHIN:
        return False
    if None not in (customer_number(event), customer_number(state)):
        return True
    return None if has_same_own_side(event, state) else False


def limit_aliases(match: Match, aliases_of: Callable[[str], Collection[str]]) -> Match:
    """Leave out the aliases and the merges of an event that would give its call more than `MOST_ALIASES`.

    Without an alias that the call has, the event begins a call of its own. `aliases_of`: see `AliasIndex`.
    """
    if match.call is None:
        return match
    known = aliases_of(match.call)
    own = tuple(alias for alias in match.accepted if alias in known)
    new = len(match.accepted) - len(own) + sum(len(aliases_of(other)) for other in match.merge)
    if len(known) + new <= MOST_ALIASES:
        return match
    return Match(match.call, own, match.dropped) if own else Match(None, match.accepted, match.dropped)


def restrict_ids(event: CallEvent, accepted: Sequence[str]) -> CallEvent:
    """Return the event with these aliases only. The facts of the dropped ones go too: a dropped id must
    not appear in the record.
    """
    dropped = set(event.aliases) - set(accepted)
    if not dropped:
        return event
    dropped_facts = {_FACT_BY_NAMESPACE.get(namespace_of(alias)) for alias in dropped}
    facts = {name: value for name, value in event.facts.items() if name not in dropped_facts}
    name = accepted[0].partition(":")[2] if accepted else event.name
    return msgspec.structs.replace(event, aliases=tuple(accepted), facts=facts, name=name)


# --- the two sides of a call ------------------------------------------------------------------------


def has_same_own_side(event: HasFacts, state: HasFacts) -> bool:
    """Whether the own number and the direction are equal, as far as they are known."""
    pairs = (
        (internal_number(event), internal_number(state)),
        (event.fact("direction"), state.fact("direction")),
    )
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


def customer_number(source: HasFacts) -> str | None:
    """The external number if it is E.164; only then does it identify one customer."""
    number = external_number(source)
    return number if isinstance(number, str) and number.startswith("+") else None
