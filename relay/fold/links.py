"""Links between calls that no common id proves: by number and time, and legs that CloudTalk's history names.
Pure.

Number and time are the last resort. They link an event that waited for a link in vain, and a row of the
history with webhooks that have other ids, whichever arrives first: a row has a call_id alone, and most
webhooks have the uuid alone. Exactly one call must fit; where several do, only an id decides.

A row names the call that it was transferred or redirected from. The ledger keeps this name under `LEG_OF`, so
that the link is found when that call arrives later.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from relay.call import CallEvent, CallState, HasFacts, is_from_history
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

_LATE: Final = Duration(3_600 * SECOND)
"""How long after the end of a call its webhook may arrive: CloudTalk sends an Ended after the wrap-up."""

# --- number and time ------------------------------------------------------------------------------


def match_by_number_and_time(event: CallEvent, candidates: Mapping[str, CallState]) -> str | None:
    """Return the one call that has the event's number and took place at its time; None if there are several.

    `candidates`: calls with the same E.164 customer number, by id. A candidate that has an id of the same
    kind as the event, another own number or another direction is a different call, and so is one that was
    over when the event's call began.
    """
    matching = [call for call, state in candidates.items() if _fits(event, event.aliases, state)]
    return matching[0] if len(matching) == 1 else None


def needs_number(event: CallEvent, own: CallState | None) -> bool:
    """Whether a row of the history and this event may be linked by number and time, so that the calls with
    its number must be read. `own`: the call that its ids name.

    That is so once for each call: when its number and its start are known, or when it becomes known from the
    history. An id of the history is a call_id, so a webhook with a call_id is linked by that.
    """
    if event.fact("started_at") is None or (not event.is_from_history and _has_call_id(event)):
        return False
    is_first = own is None or own.fact("started_at") is None or customer_number(own) is None
    if not is_first and not (own is not None and event.is_from_history and not is_from_history(own)):
        return False
    return customer_number(event) is not None


def _has_call_id(event: CallEvent) -> bool:
    return any(alias.startswith("id:") for alias in event.aliases)


def find_by_number(event: CallEvent, own: CallState | None, candidates: Mapping[str, CallState]) -> list[str]:
    """Return the calls that number and time may link to this event: one of both is from the history.

    `candidates`: other calls with the same E.164 customer number, by id.
    """
    aliases = event.aliases if own is None else (*event.aliases, *own.aliases)
    has_history = event.is_from_history or (own is not None and is_from_history(own))
    if event.fact("alone") or (own is not None and own.fact("alone")):
        return []
    return [
        call
        for call, state in candidates.items()
        if (has_history or is_from_history(state))
        and not state.fact("alone")
        and _fits(event, aliases, state)
    ]


def _fits(event: CallEvent, aliases: Iterable[str], state: CallState) -> bool:
    started_at, starts = event.fact("started_at"), _starts(state)
    if started_at is None or not any(abs(started_at - start) <= LINK_WITHIN for start in starts):
        return False
    if not namespaces_of(aliases).isdisjoint(namespaces_of(state.aliases)):
        return False
    ended_at, other_ended_at = event.fact("ended_at"), state.fact("ended_at")
    is_over = other_ended_at is not None and started_at > other_ended_at + _ROUNDING
    was_over = ended_at is not None and min(starts) > ended_at + _ROUNDING
    return not (is_over or was_over) and has_same_own_side(event, state)


def arrived_during(row: CallEvent, state: CallState) -> bool:
    """Whether a call whose start nobody stated may be that of a row of the history, by its first arrival.

    That is no proof, as webhooks may be late; but it is worth a question to CloudTalk.
    """
    started_at = row.fact("started_at")
    if started_at is None or _starts(state) or state.fact("alone"):
        return False
    if not namespaces_of(row.aliases).isdisjoint(namespaces_of(state.aliases)):
        return False
    latest = (row.fact("ended_at") or started_at) + _LATE
    return started_at - LINK_WITHIN <= min(state.seen.values()) <= latest and has_same_own_side(row, state)


def _starts(state: CallState) -> list[Instant]:
    """The stated starts of a call and of its legs."""
    parts: list[HasFacts] = [state, *state.legs.values()]
    return [start for part in parts if (start := part.fact("started_at")) is not None]


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
