"""Which events wait for a link. Pure.

An event with a call_id alone may belong to a call that the ledger knows by its uuid only. If it cannot
begin a call, it waits for an event that has both ids, at most for `cloudtalk.grace_seconds`.
"""

from collections.abc import Iterable
from typing import Final

from relay.call import CallEvent, CallState, Kind

_OVER: Final = frozenset({Kind.ENDED, Kind.MISSED, Kind.VOICEMAIL})
_CANNOT_BEGIN: Final = frozenset({Kind.RECORDING, Kind.TRANSCRIPT, Kind.SUMMARY})


def may_wait(event: CallEvent) -> bool:
    """Whether an event of this kind and with these ids waits if no call owns its ids.

    With a single id, the same in all events of a call, there is no link to wait for.
    """
    if event.is_from_history:
        return False  # what links a row is known at once
    has_call_id_alone = not event.single_id and "call_uuid" not in event.facts
    return has_call_id_alone and (event.kind in _CANNOT_BEGIN or event.kind is Kind.ENDED)


def must_wait(event: CallEvent, same_number: Iterable[CallState]) -> bool:
    """Whether an event that may wait does so, given the calls with the same customer number.

    An Ended waits only if exactly one of these calls is open and has no call_id yet.
    """
    if event.kind in _CANNOT_BEGIN:
        return True
    return sum(_is_open(state) for state in same_number) == 1


def _is_open(state: CallState) -> bool:
    return _OVER.isdisjoint(state.seen) and state.fact("call_id") is None
