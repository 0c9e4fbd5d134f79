"""How the rate of a stage is measured, with a clock that each poll advances by a second."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench import stages


class Clock:
    """Time that passes in `sleep` only."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, _: float) -> None:
        self.now += 1.0

    def read(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    fake = SimpleNamespace(sleep=clock.sleep, monotonic=clock.read, perf_counter=clock.read)
    monkeypatch.setattr(stages, "time", fake)
    return clock


def drain(clock: Clock, *left: int) -> stages.Stage:
    """Measure a stage of which so much is left at each poll, and which uses half of a core."""
    ledger = SimpleNamespace(scalar=lambda _: left[round(clock.now)])
    server = SimpleNamespace(cpu_seconds=lambda: clock.now / 2)
    return stages._measure_drain(cast("Any", ledger), cast("Any", server), "", lambda: None)


def test_the_rate_counts_what_was_left_when_the_work_was_first_seen(clock: Clock) -> None:
    """The first 100 took an unknown part of a second."""
    assert drain(clock, 400, 400, 400, 300, 150, 0) == stages.Stage(rate=150.0, cpu_seconds=2.5 / 400)


def test_a_stage_that_ends_within_one_poll_has_no_rate(clock: Clock) -> None:
    assert drain(clock, 400, 400, 0) == stages.Stage(rate=None, cpu_seconds=1.0 / 400)
