"""Start: the time from the start of the process `relay serve` to its log event `server.ready`."""

from pathlib import Path
from statistics import median
from typing import Final

from bench.result import Figure, Result
from bench.server import ENGINE, scratch_folder, serve

TITLE: Final = "Time from start to ready"
_STARTS: Final = 5
_LIMIT_SECONDS: Final = 1.0


def measure(*, quick: bool) -> Result:
    """Measure the median of a few starts, with a new ledger each and with an existing one."""
    starts = 3 if quick else _STARTS
    return Result(
        TITLE,
        (
            Figure("new ledger", median(_start_new() for _ in range(starts)), "s", _LIMIT_SECONDS),
            Figure("existing ledger", median(_start_existing(starts)), "s", _LIMIT_SECONDS),
        ),
        f"median of {starts} processes each, {ENGINE}",
    )


def _start_new() -> float:
    with scratch_folder() as folder:
        return _start(folder)


def _start_existing(starts: int) -> list[float]:
    with scratch_folder() as folder:
        _start(folder)
        return [_start(folder) for _ in range(starts)]


def _start(folder: Path) -> float:
    """Start a relay and stop it again. Returns the seconds until it was ready."""
    with serve(folder) as server:
        return server.ready_seconds
