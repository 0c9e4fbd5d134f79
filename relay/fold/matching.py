"""Whose call an event is. Pure.

A call has one uuid and one call_id. Two calls with different uuids, or different call_ids, never
merge: a constant typed into a workflow would swallow the company. Where an event's ids disagree, the
one that fits is believed, the other is dropped, and a person is told.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from relay.call import CallEvent, CallState, Kind

LINK_WITHIN: Final = 120_000_000
"""Microseconds between two said starts that may be one call's (the last resort: number and time)."""

_PRIORITY: Final = {"uuid": 0, "other": 1, "id": 2}
"""A uuid is known from the first ring; call_ids are typed by hand more often than they are right."""

_OVER: Final = frozenset({Kind.ENDED, Kind.MISSED, Kind.VOICEMAIL})
_CANNOT_BEGIN: Final = frozenset({Kind.RECORDING, Kind.TRANSCRIPT, Kind.SUMMARY})
_EDITS: Final = frozenset({Kind.MODIFIED, Kind.UPDATE})
_FACT_OF: Final = {"uuid": "call_uuid", "id": "call_id"}


class Match(msgspec.Struct, frozen=True):
    """Where an event belongs: to a call that there is, or to a new one where `call` is None.

    `kept` are its aliases that hold, `dropped` those that contradict, `merge` other calls that turn
    out to be this one.
    """

    call: str | None
    kept: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    merge: tuple[str, ...] = ()


def match_call(
    aliases: Sequence[str],
    owners: Mapping[str, str],
    aliases_of: Callable[[str], Iterable[str]],
    pinned: frozenset[str] = frozenset(),
) -> Match:
    """Where an event with these ids belongs. `pinned` ids were split off by a person: they link nothing."""
    ordered = sorted(aliases, key=lambda alias: _PRIORITY[_namespace(alias)])
    for alias in ordered:
        owner = owners.get(alias)
        if owner is not None and _agree(aliases_of(owner), _unpinned(ordered, alias, pinned)):
            return _at(owner, alias, ordered, owners, aliases_of, pinned)
    free = [alias for alias in ordered if alias not in owners]
    if len(free) == len(ordered):
        return Match(None, tuple(ordered))
    # Nothing that is known fits: an id of its own begins a call, else the best id is believed alone.
    kept = free[0] if free else ordered[0]
    return Match(owners.get(kept), (kept,), tuple(alias for alias in ordered if alias != kept))


def _at(
    owner: str,
    by: str,
    ordered: Sequence[str],
    owners: Mapping[str, str],
    aliases_of: Callable[[str], Iterable[str]],
    pinned: frozenset[str],
) -> Match:
    kept, dropped, merge = [by], list[str](), list[str]()
    for alias in ordered:
        other = owners.get(alias, owner)
        if alias == by:
            continue
        if alias in pinned or by in pinned:
            (kept if other == owner and alias in owners else dropped).append(alias)
        elif other == owner:
            kept.append(alias)
        elif _agree([*aliases_of(owner), *kept], aliases_of(other), said_together=ordered):
            kept.append(alias)
            merge.append(other)
        else:
            dropped.append(alias)
    return Match(owner, tuple(kept), tuple(dropped), tuple(merge))


def _unpinned(aliases: Sequence[str], by: str, pinned: frozenset[str]) -> list[str]:
    return [by] if by in pinned else [alias for alias in aliases if alias == by or alias not in pinned]


def _agree(one: Iterable[str], other: Iterable[str], *, said_together: Sequence[str] = ()) -> bool:
    """Whether these may be one call's: of each kind of id one side knows no more than the other, or
    an event says all of them together.
    """
    ours, theirs, said = (_by_namespace(aliases) for aliases in (one, other, said_together))
    return all(
        ours[kind] <= theirs[kind]
        or theirs[kind] <= ours[kind]
        or ours[kind] | theirs[kind] <= said.get(kind, set())
        for kind in ours.keys() & theirs.keys()
    )


def _by_namespace(aliases: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for alias in aliases:
        found.setdefault(_namespace(alias), set()).add(alias)
    return found


def _namespace(alias: str) -> str:
    return alias.partition(":")[0]


def keep_ids(event: CallEvent, kept: Sequence[str]) -> CallEvent:
    """The event as it is told with these ids alone: a dropped one must not stand in the record either."""
    dropped = set(event.aliases) - set(kept)
    if not dropped:
        return event
    wrong = {_FACT_OF.get(_namespace(alias), "") for alias in dropped}
    facts = {fact: value for fact, value in event.facts.items() if fact not in wrong}
    name = kept[0].partition(":")[2] if kept else event.name
    return msgspec.structs.replace(event, aliases=tuple(kept), facts=facts, name=name)


def dedup_keys(event: CallEvent) -> list[str]:
    """What a redelivery is known by: the ids of its message, and what it says.

    An id alone is not enough: where somebody typed one as a constant, news would be taken for a
    redelivery. A body that bears none is known by its words: an *ended* that comes once more must not
    speak over the tags that were edited since. Edits themselves are exempt: tags A, B and A again are
    three facts. Events with a single id have kinds that are ranked, and need no such key.
    """
    keys = event.keys
    if not keys and event.kind not in _EDITS and not event.single_id:
        keys = (f"said:{event.name}",)
    if not keys:
        return []
    words = msgspec.json.encode([event.aliases, event.data], order="deterministic")
    said = hashlib.blake2b(words, digest_size=8).hexdigest()
    return [f"{key}:{event.kind}:{said}" for key in keys]


# --- waiting for a link -------------------------------------------------------------------------


def may_wait(event: CallEvent) -> bool:
    """Whether this event cannot begin a call, or might be the end of one that is known by its uuid.

    An event with a single id has nothing to wait for: all events of its call have the same one.
    """
    bears_call_id_alone = not event.single_id and "call_uuid" not in event.facts
    return bears_call_id_alone and (event.kind in _CANNOT_BEGIN or event.kind is Kind.ENDED)


def must_wait(event: CallEvent, with_its_number: Iterable[CallState]) -> bool:
    """An Ended waits only where exactly one open call with its number has no call_id yet."""
    if event.kind in _CANNOT_BEGIN:
        return True
    return sum(_is_open(state) for state in with_its_number) == 1


def _is_open(state: CallState) -> bool:
    return _OVER.isdisjoint(state.seen) and state.fact("call_id") is None


def number_of(state: CallState | CallEvent) -> str | None:
    """The customer's number, where it is one that could be nobody else's (E.164)."""
    facts = state.facts if isinstance(state, CallEvent) else {name: v for name, (_, v) in state.facts.items()}
    number = facts.get("external_number") or _party(facts)
    return number if isinstance(number, str) and number.startswith("+") else None


def _party(facts: Mapping[str, object]) -> object:
    return {"inbound": facts.get("from"), "outbound": facts.get("to")}.get(str(facts.get("direction")))


def match_by_number_and_time(event: CallEvent, candidates: Mapping[str, CallState]) -> str | None:
    """The last resort: the one call with this number that began at this time; None where in doubt."""
    found = [call for call, state in candidates.items() if _fits(event, state)]
    return found[0] if len(found) == 1 else None


def _fits(event: CallEvent, state: CallState) -> bool:
    started_at, other = event.facts.get("started_at"), state.fact("started_at")
    if started_at is None or other is None or abs(started_at - other) > LINK_WITHIN:
        return False
    kinds = {_namespace(alias) for alias in state.aliases}
    if any(_namespace(alias) in kinds for alias in event.aliases):
        return False
    return all(
        None in (event.facts.get(fact), state.fact(fact)) or event.facts[fact] == state.fact(fact)
        for fact in ("internal_number", "direction")
    )
