from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench import growth
from bench.stages import Stage, Stages


def stages_of(cpu_seconds: float) -> Stages:
    """Stages that cost so much in all, half of it to accept."""
    return Stages(
        accept=Stage(1_000.0, cpu_seconds / 2),
        fold=Stage(2_000.0, cpu_seconds / 4),
        deliver=Stage(None, cpu_seconds / 2),
        bare_cpu_seconds=0.1,
        events_per_call=2.0,
    )


def test_the_cost_is_compared_with_the_smallest_ledger_before_and_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine that becomes slower meanwhile is no growth."""
    measured = iter([(10_000, stages_of(2.0)), (1_000_000, stages_of(3.0)), (10_000, stages_of(4.0))])
    monkeypatch.setattr(growth, "_measure_size", lambda *_: next(measured))
    rows = growth.measure(cast("Any", SimpleNamespace(quick=False, full=False))).rows
    assert [row.case for row in rows] == ["10 thousand events", "1 million events"]
    assert [row.figures[-1] for row in rows] == pytest.approx([2 / 3, 1.0])
