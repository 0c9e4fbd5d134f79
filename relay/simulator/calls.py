"""The calls of a run, in one of the dialects."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Final

import msgspec

from relay.simulator import flow, mission, mixed, signed, workflow
from relay.simulator.message import SimulatedCall
from relay.simulator.scenario import Scenario
from relay.simulator.script import CallScript, generate_script


class _Dialect(msgspec.Struct, frozen=True):
    """Which scenarios occur in a dialect, and how it builds the messages of a call."""

    supports: Callable[[Scenario], bool]
    simulate_call: Callable[[CallScript, Random], SimulatedCall]


_BY_NAME: Final = {
    "workflow": _Dialect(workflow.supports, workflow.simulate_call),
    "flow": _Dialect(flow.supports, flow.simulate_call),
    "signed": _Dialect(signed.supports, signed.simulate_call),
    "mixed": _Dialect(mixed.supports, mixed.simulate_call),
}
DEFAULT_DIALECT: Final = "mission"
DIALECTS: Final = (DEFAULT_DIALECT, *_BY_NAME)


def generate_calls(
    count: int,
    seed: int,
    now: datetime,
    *,
    spacing: timedelta = timedelta(),
    dialect: str = DEFAULT_DIALECT,
) -> list[SimulatedCall]:
    """Generate the calls of a run. The same arguments give the same calls.

    The first call is in progress at `now` or has just ended; each further call is `spacing` later.
    """
    if dialect == DEFAULT_DIALECT:
        return mission.generate_calls(count, seed, now, spacing)
    chosen, run = _BY_NAME[dialect], f"{seed}:{dialect}"
    return [
        chosen.simulate_call(
            generate_script(run, index, now + index * spacing, chosen.supports),
            Random(f"{run}:{index}:messages"),  # noqa: S311 - must be repeatable; nothing here is secret
        )
        for index in range(count)
    ]
