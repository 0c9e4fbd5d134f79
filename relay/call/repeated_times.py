"""Times in the hour that a zone repeats when summer time ends: each is one of two instants.

An event states its own choice as the fact, and the other instant under the name in `ALTERNATIVES`. The record
chooses again, from the facts of all events of the call.
"""

from collections.abc import Mapping
from itertools import pairwise, product
from typing import Any, Final

import msgspec

from relay.call.state import ALTERNATIVES, CallState, LegState, Register
from relay.instants import SECOND, Instant

_TIMES: Final = tuple(ALTERNATIVES)
"""The times of a call, in their order."""


def choose_instants(facts: Mapping[str, Any]) -> dict[str, Instant]:
    """Return, for each time that has an alternative, the instant that makes the call consistent.

    A call ends after it started, and lasts as long as its durations say; without durations the shortest call
    is the most probable one.
    """
    pairs = {
        time: sorted((facts[time], facts[other])) for time, other in ALTERNATIVES.items() if other in facts
    }
    choices = (dict(zip(pairs, chosen, strict=True)) for chosen in product(*pairs.values()))
    return min(choices, key=lambda choice: _inconsistency({**facts, **choice}))


def _inconsistency(facts: Mapping[str, Any]) -> tuple[int, int]:
    """How many times are out of order, and by how much the length of the call differs from its durations."""
    moments = [facts[time] for time in _TIMES if time in facts]
    disorder = sum(earlier > later for earlier, later in pairwise(moments))
    length = (moments[-1] - moments[0]) // SECOND if moments else 0
    stated = facts.get("duration", facts.get("talking", 0) + facts.get("waiting", 0))
    return disorder, abs(length - stated)


def resolve_times(state: CallState) -> CallState:
    """Return the state with the chosen instant for each repeated time, also in the legs."""
    if state.facts.keys().isdisjoint(ALTERNATIVES.values()):
        return state
    chosen = _choose_registers(state.facts)
    legs = {key: _resolve_leg(leg, chosen) for key, leg in state.legs.items()}
    return msgspec.structs.replace(state, facts=state.facts | chosen, legs=legs)


def _resolve_leg(leg: LegState, chosen: Mapping[str, Register]) -> LegState:
    """A time of the same event is the same instant in the call and in its leg."""
    same = {
        time: register for time, register in chosen.items() if leg.facts.get(time, (None,))[0] == register[0]
    }
    settled = {ALTERNATIVES[time] for time in same}
    facts = {fact: register for fact, register in leg.facts.items() if fact not in settled} | same
    return msgspec.structs.replace(leg, facts=facts | _choose_registers(facts))


def _choose_registers(registers: Mapping[str, Register]) -> dict[str, Register]:
    """An alternative counts only if the event that states it also set the time."""
    outdated = {
        other
        for time, other in ALTERNATIVES.items()
        if other in registers and (time not in registers or registers[time][0] != registers[other][0])
    }
    facts = {fact: value for fact, (_, value) in registers.items() if fact not in outdated}
    return {time: (registers[time][0], instant) for time, instant in choose_instants(facts).items()}
