"""How long a start takes, as a supervisor sees it: from the start of `relay serve` to its ready line."""

from pathlib import Path
from statistics import median
from typing import Final

from bench.answer import Answer, Figure
from bench.server import ENGINE, scratch, serving

QUESTION: Final = "How long from start to ready?"
_STARTS: Final = 5
_BOUND_SECONDS: Final = 1.0


def answer(*, quick: bool) -> Answer:
    """The median of a few starts, on ledgers that are made and on one that is there."""
    starts = 3 if quick else _STARTS
    return Answer(
        QUESTION,
        (
            Figure("fresh ledger", median(_fresh() for _ in range(starts)), "s", _BOUND_SECONDS),
            Figure("warm ledger", median(_warm(starts)), "s", _BOUND_SECONDS),
        ),
        f"median of {starts} processes each, {ENGINE}",
    )


def _fresh() -> float:
    with scratch() as folder:
        return _start(folder)


def _warm(starts: int) -> list[float]:
    with scratch() as folder:
        _start(folder)
        return [_start(folder) for _ in range(starts)]


def _start(folder: Path) -> float:
    with serving(folder) as server:
        return server.ready_seconds
