"""The calls of a run, in the dialect that is asked for."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Final

import msgspec

from relay.simulator import flow, mission, mixed, signed, workflow
from relay.simulator.message import SimulatedCall
from relay.simulator.story import Course, Story, story_of


class _Teller(msgspec.Struct, frozen=True):
    """Which courses of a call a dialect can tell, and how it tells one."""

    fits: Callable[[Course], bool]
    simulated: Callable[[Story, Random], SimulatedCall]


_TELLERS: Final = {
    "workflow": _Teller(workflow.fits, workflow.simulated),
    "flow": _Teller(flow.fits, flow.simulated),
    "signed": _Teller(signed.fits, signed.simulated),
    "mixed": _Teller(mixed.fits, mixed.simulated),
}
DEFAULT: Final = "mission"
DIALECTS: Final = (DEFAULT, *_TELLERS)


def scenarios(
    calls: int, seed: int, now: datetime, *, spacing: timedelta = timedelta(), dialect: str = DEFAULT
) -> list[SimulatedCall]:
    """The calls of a run. The same arguments give the same calls: nothing else is looked at.

    The first one is under way at `now`, or has just been, each further one `spacing` later.
    """
    if dialect == DEFAULT:
        return mission.calls_of(calls, seed, now, spacing)
    teller, run = _TELLERS[dialect], f"{seed}:{dialect}"
    return [
        teller.simulated(
            story_of(run, index, now + index * spacing, teller.fits),
            Random(f"{run}:{index}:told"),  # noqa: S311 - repeatable is the point, secret is not
        )
        for index in range(calls)
    ]
