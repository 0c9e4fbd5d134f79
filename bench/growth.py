"""Whether a relay slows down as its ledger fills: each stage alone, on ledgers of different sizes."""

from typing import Final

from bench.environment import Environment
from bench.fill import filled_ledger
from bench.result import Result, Row
from bench.stages import Stages, measure_stages
from bench.table import about
from relay.ledger.states import DeliveryState

QUESTION: Final = "Does it slow down as it fills?"
COLUMNS: Final = (
    "accept/s",
    "accept CPU µs",
    "fold/s",
    "fold CPU µs",
    "deliver/s",
    "deliver CPU µs",
    "CPU / smallest",
)
_TIMES: Final = (2, 200)
_FULL_TIMES: Final = (*_TIMES, 1_000)
_QUICK_TIMES: Final = (2, 20)
"""The sizes of the ledgers, as multiples of the small ledger, which has about 5 000 events."""

_CALLS: Final = 4_000
_QUICK_CALLS: Final = 200
_SEED: Final = 7
_MICROSECONDS: Final = 1_000_000


def measure(environment: Environment) -> Result:
    """Fill ledgers with folded events and delivered calls, and measure the stages with new calls."""
    sizes = _QUICK_TIMES if environment.quick else _FULL_TIMES if environment.full else _TIMES
    measured = [_measure_size(environment, times) for times in sizes]
    _, again = _measure_size(environment, sizes[0])
    smallest = (measured[0][1].cpu_seconds + again.cpu_seconds) / 2
    return Result(
        "growth",
        QUESTION,
        "SQLite, embedded CRM, 64 connections. Each stage works alone, on the same events: accept and fold "
        "per event, deliver (claim, push, settle) per call. The ledger is filled with folded events and "
        "delivered calls. The last column compares the CPU time of all stages with the mean of two "
        "measurements of the smallest ledger, before and after the others: the machine changes, too. How far "
        "the figure of the smallest ledger is from 1 shows how much.",
        COLUMNS,
        tuple(_row(events, stages, smallest) for events, stages in measured),
    )


def _measure_size(environment: Environment, times: int) -> tuple[int, Stages]:
    """Return the number of events in the ledger before, and the stages."""
    calls = _QUICK_CALLS if environment.quick else _CALLS
    with filled_ledger(
        environment.base_ledger, times=times, client="local", state=DeliveryState.DELIVERED
    ) as ledger:
        return ledger.count_events(), measure_stages(environment, ledger, calls, seed=_SEED)


def _row(events: int, stages: Stages, smallest: float) -> Row:
    figures = [
        figure
        for stage in (stages.accept, stages.fold, stages.deliver)
        for figure in (stage.rate, stage.cpu_seconds * _MICROSECONDS)
    ]
    return Row(f"{about(events)} events", (*figures, stages.cpu_seconds / smallest))
