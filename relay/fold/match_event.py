"""The call of one event of a batch: by its ids, by what the history names, by number and time."""

from collections.abc import Iterator
from functools import partial

import msgspec

from relay.call import CallEvent, CallState, is_from_history
from relay.fold.links import (
    Stated,
    find_by_number,
    is_certain,
    is_leg,
    leg_keys,
    match_by_number_and_time,
    needs_number,
)
from relay.fold.matching import AliasIndex, Match, customer_number, is_transfer_of, match_by_ids
from relay.fold.planned_calls import PlannedCalls
from relay.fold.waiting import may_wait, must_wait
from relay.ledger.aliases import AliasReason
from relay.ledger.journal import UnfoldedEvent


def match_event(unfolded: UnfoldedEvent, calls: PlannedCalls) -> Match | None:
    """Match the event to its call; None if it must wait for a link."""
    event = unfolded.parsed
    index = AliasIndex(
        calls.owners, calls.aliases_of, calls.snapshot.pinned, partial(_is_transfer, unfolded, calls)
    )
    match = match_by_ids(event.aliases, index)
    if calls.snapshot.pinned.isdisjoint(event.aliases):
        match = _add_links(match, unfolded, calls)
    if match.call is not None:
        return match
    if unfolded.waited:
        call = match_by_number_and_time(event, calls.with_number(customer_number(event)))
        return match if call is None else _linked(match, [call], AliasReason.NUMBER_AND_TIME)
    if may_wait(event) and must_wait(event, _calls_of_customer(event, calls)):
        return None
    return match


def find_candidates(unfolded: UnfoldedEvent, own: str | None, calls: PlannedCalls) -> list[str]:
    """Return the calls that number and time link to the event, if it is the first event that states them.
    `own`: the call that its ids name.

    The importer has asked which call a row is, if that was not certain. A webhook may be of a call whose row
    is not in the history yet.
    """
    event = unfolded.parsed
    state = None if own is None else calls.state(own)
    is_history = state is not None and is_from_history(state)
    if not needs_number(event, state, is_history=is_history):
        return []
    found = find_others(event, own, calls)
    if event.is_from_history or is_history:
        return found
    stated = Stated(event, state)
    states = (state for call in found if (state := calls.state(call)) is not None)
    return found if all(is_certain(stated, each, unfolded.received_at) for each in states) else []


def find_others(event: CallEvent, own: str | None, calls: PlannedCalls) -> list[str]:
    """Return the calls that number and time may link to the event, also if they were compared before."""
    state = None if own is None else calls.state(own)
    others = calls.with_number(customer_number(Stated(event, state)))
    others.pop(own or "", None)
    found = find_by_number(event, state, others)
    # A person split these calls off from others.
    return [call for call in found if calls.snapshot.pinned.isdisjoint(calls.aliases_of(call))]


def find_legs(unfolded: UnfoldedEvent, own: str | None, calls: PlannedCalls) -> list[str]:
    """Return the calls that the history names as legs of the event's call, or the other way round."""
    event = unfolded.parsed
    owners = dict.fromkeys(calls.owners[key] for key in leg_keys(event) if key in calls.owners)
    owners.pop(own or "", None)
    state = None if own is None else calls.state(own)
    return [
        call
        for call in owners
        if (other := calls.state(call)) is not None and is_leg(event, unfolded.received_at, state, other)
    ]


def _calls_of_customer(event: CallEvent, calls: PlannedCalls) -> Iterator[CallState]:
    """Few events need the calls with their number."""
    yield from calls.with_number(customer_number(event)).values()


def _is_transfer(unfolded: UnfoldedEvent, calls: PlannedCalls, call: str) -> bool | None:
    state = calls.state(call)
    return None if state is None else is_transfer_of(unfolded.parsed, unfolded.received_at, state)


def _add_links(match: Match, unfolded: UnfoldedEvent, calls: PlannedCalls) -> Match:
    """Add the calls that are one with the event's call although no id says so."""
    legs = find_legs(unfolded, match.call, calls)
    found = find_candidates(unfolded, match.call, calls)
    by_number = [call for call in found if call not in legs] if len(found) == 1 else []
    match = _linked(match, legs, AliasReason.LEG)
    return _linked(match, by_number, AliasReason.NUMBER_AND_TIME)


def _linked(match: Match, calls: list[str], reason: AliasReason) -> Match:
    others = [call for call in calls if call not in match.merge]
    if not others:
        return match
    if match.call is not None:
        return msgspec.structs.replace(match, merge=(*match.merge, *others))
    return msgspec.structs.replace(match, call=others[0], merge=tuple(others[1:]), reason=reason)
