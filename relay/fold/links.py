"""Links between calls that no common id proves: by number and time, and legs that CloudTalk's history names.
Pure.

Number and time are the last resort. They link an event that waited for a link in vain, and a row of the
history with webhooks that have other ids, whichever arrives first: a row has a call_id alone, and most
webhooks have the uuid alone. Exactly one call must fit; where several do, only an id decides. The number and
the time of a call may be stated by different events.

A row names the call that it was transferred or redirected from. The ledger keeps this name under `LEG_OF`, so
that the link is found when that call arrives later.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from relay.call import OUTCOME_KINDS, CallEvent, CallState, HasFacts, is_from_history
from relay.fold.matching import (
    customer_number,
    has_same_own_side,
    is_transfer_of,
    may_be_legs,
    namespaces_of,
)
from relay.instants import SECOND, Duration, Instant
from relay.ledger.aliases import LEG_OF

LINK_WITHIN: Final = Duration(120 * SECOND)
"""The longest time between the stated starts of one call, where only number and time link two events."""

_ROUNDING: Final = Duration(2 * SECOND)
"""Two sources state one call in whole seconds and in milliseconds."""

_LONGEST_CALL: Final = Duration(86_400 * SECOND)
"""A call is in the history once it is over."""

_LATE: Final = Duration(3_600 * SECOND)
"""How long after the end of a call its webhook may arrive: CloudTalk sends an Ended after the wrap-up."""

# --- number and time ------------------------------------------------------------------------------


class Stated(NamedTuple):
    """What an event states about its call, together with what is known of the call: `own`, or None."""

    event: CallEvent
    own: HasFacts | None

    def fact(self, name: str) -> Any:
        """The value of a fact; None if it is unknown. The event counts first, as the join accepts it."""
        value = self.event.facts.get(name) if name != "ended_at" or states_end(self.event) else None
        return value if value is not None or self.own is None else self.own.fact(name)


def match_by_number_and_time(event: CallEvent, candidates: Mapping[str, CallState]) -> str | None:
    """Return the one call that has the event's number and took place at its time; None if there are several.

    `candidates`: calls with the same E.164 customer number, by id. A candidate that has an id of the same
    kind as the event, another own number or another direction is a different call, and so is one that was
    over when the event's call began.
    """
    if event.fact("started_at") is None:
        return None
    stated = Stated(event, None)
    matching = [call for call, state in candidates.items() if fits(stated, event.aliases, state)]
    return matching[0] if len(matching) == 1 else None


def needs_number(event: CallEvent, own: HasFacts | None, *, is_history: bool) -> bool:
    """Whether a row of the history and this event may be linked by number and time, so that the calls with
    its number must be read. `own`: what is known of its call; `is_history`: from the history.

    That is so when the number and a time of a call first become known, by whichever of its events, and when
    it becomes known from the history. The start counts, and the end only until a start is stated. An id of
    the history is a call_id, so a webhook with a call_id is linked by that.
    """
    facts = event.facts
    if not event.is_from_history and has_call_id(event.aliases):
        return False
    if own is not None and not (event.is_from_history and not is_history):
        states_time = ("started_at" in facts and own.fact("started_at") is None) or (
            states_end(event) and own.fact("started_at") is None and own.fact("ended_at") is None
        )
        if not states_time and customer_number(own) is not None:
            return False
    stated = Stated(event, own)
    return stated_time(stated) is not None and customer_number(stated) is not None


def states_end(event: CallEvent) -> bool:
    """Whether an event states when its call ended. A payload typed once for all events has an end in each."""
    return "ended_at" in event.facts and event.kind in OUTCOME_KINDS


def stated_time(source: HasFacts) -> Instant | None:
    """The start of a call, or its end if no start is stated."""
    started_at: Instant | None = source.fact("started_at")
    return source.fact("ended_at") if started_at is None else started_at


def has_call_id(aliases: Iterable[str]) -> bool:
    """Whether one of these aliases is a number, as CloudTalk's own call_id is."""
    return any(alias.startswith("id:") for alias in aliases)


def find_by_number(event: CallEvent, own: CallState | None, candidates: Mapping[str, CallState]) -> list[str]:
    """Return the calls that number and time may link to this event: one of both is from the history.

    `candidates`: other calls with the same E.164 customer number, by id.
    """
    aliases = event.aliases if own is None else (*event.aliases, *own.aliases)
    has_history = event.is_from_history or (own is not None and is_from_history(own))
    stated = Stated(event, own)
    if event.fact("alone") or (own is not None and own.fact("alone")):
        return []
    return [
        call
        for call, state in candidates.items()
        if (has_history or is_from_history(state))
        and not state.fact("alone")
        and fits(stated, aliases, state)
    ]


def fits(source: HasFacts, aliases: Iterable[str], state: CallState) -> bool:
    """Whether nothing contradicts that `source`, which has these ids, is a call of the same customer: not its
    ids, not its times, not its own side.
    """
    return (
        namespaces_of(aliases).isdisjoint(namespaces_of(state.aliases))
        and _is_at_the_same_time(source, state)
        and has_same_own_side(source, state)
    )


def _is_at_the_same_time(source: HasFacts, state: CallState, within: Duration = LINK_WITHIN) -> bool:
    """By the stated starts, or by the ends if one of both states no start."""
    started_at, starts = source.fact("started_at"), _times(state, "started_at")
    ended_at, ends = source.fact("ended_at"), _times(state, "ended_at")
    if started_at is None or not starts:
        return ended_at is not None and any(abs(ended_at - end) <= within for end in ends)
    other_ended_at = state.fact("ended_at")
    is_over = other_ended_at is not None and started_at > other_ended_at + _ROUNDING
    was_over = ended_at is not None and min(starts) > ended_at + _ROUNDING
    return not (is_over or was_over) and any(abs(started_at - start) <= within for start in starts)


def is_certain(source: HasFacts, state: CallState, now: Instant) -> bool:
    """Whether a call that fits cannot be another one, whose row is not in the history yet: both state the
    same time, or the call is so old that the history has all rows of its time.
    """
    at = stated_time(source)
    return _is_at_the_same_time(source, state, _ROUNDING) or (at is not None and at < now - _LONGEST_CALL)


def arrived_during(row: CallEvent, state: CallState) -> bool:
    """Whether a call whose times nobody stated may be that of a row of the history, by its first arrival.

    That is no proof, as webhooks may be late; but it is worth a question to CloudTalk.
    """
    started_at = row.fact("started_at")
    if started_at is None or stated_time(state) is not None or state.fact("alone"):
        return False
    if not namespaces_of(row.aliases).isdisjoint(namespaces_of(state.aliases)):
        return False
    latest = (row.fact("ended_at") or started_at) + _LATE
    return started_at - LINK_WITHIN <= min(state.seen.values()) <= latest and has_same_own_side(row, state)


def _times(state: CallState, time: str) -> list[Instant]:
    """The stated starts or ends of a call and of its legs."""
    parts: list[HasFacts] = [state, *state.legs.values()]
    return [at for part in parts if (at := part.fact(time)) is not None]


# --- legs -----------------------------------------------------------------------------------------


def leg_keys(event: CallEvent) -> list[str]:
    """Return the aliases of the calls that may be one with the event's call: those that it names, others that
    name the same ones, and those that name it.
    """
    keys = [LEG_OF + alias[3:] for alias in event.aliases if alias.startswith("id:")]
    for call_id in named_calls(event):
        keys += [f"id:{call_id}", LEG_OF + call_id]
    return keys


def named_calls(event: CallEvent) -> Sequence[str]:
    """Return the call_ids of the calls that the event's call was transferred or redirected from."""
    named: Sequence[str] = event.fact("leg_of") or ()
    return named


def is_leg(event: CallEvent, received_at: Instant, own: CallState | None, other: CallState) -> bool:
    """Whether nothing contradicts that `other` and the event's call, which are linked by name, are legs of
    one call: another customer, more than four hours, or different uuids do.
    """
    aliases = event.aliases if own is None else (*event.aliases, *own.aliases)
    if is_transfer_of(event, received_at, other) is False or not may_be_legs(aliases, other.aliases):
        return False
    return own is None or is_transfer_of(own, min(own.seen.values()), other) is not False
