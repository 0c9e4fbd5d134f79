from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.capacity.figures import Latency, Service
from bench.capacity.installations import Installation
from bench.capacity.traffic import STEP_SECONDS, STEPS_OF_DAY
from bench.capacity.year import Latencies, Year, replay

LATENCIES: Final = (
    Latency(0.1, (0.01, 0.02, 0.03)),
    Latency(0.5, (0.05, 0.06, 0.07)),
    Latency(0.9, (0.09, 0.10, 0.11)),
)
NO_OUTAGE: Final = 1_000


def installation(rate: float) -> Installation:
    """One process on one core that holds this rate."""
    return Installation("any", 1, 1, Service(0.5 / rate, 0.5 / rate, 2 / rate, 0.0))


def replayed(traffic: list[int], rate: float, *, crm_rate: float = 1e9, outage_day: int = NO_OUTAGE) -> Year:
    return replay(
        traffic,
        installation(rate),
        LATENCIES,
        crm_rate=crm_rate,
        events_per_call=2.0,
        outage_day=outage_day,
    )


def test_without_a_backlog_the_latency_is_the_measured_one_at_that_load() -> None:
    year = replayed([30 * STEP_SECONDS] * 10, 100.0)  # a load of 0.3
    assert [year.latencies.percentile(percent) for percent in (50, 95, 99)] == pytest.approx(
        [0.03, 0.04, 0.05], rel=0.01
    )
    assert (year.peak_rate, year.most_waiting, year.drain_seconds) == (30.0, 0.0, 0.0)


@pytest.mark.parametrize(("load", "p50"), [(0.01, 0.01), (0.7, 0.07), (1.0, 0.10)])
def test_latencies_are_interpolated(load: float, p50: float) -> None:
    year = replayed([round(1_000 * load * STEP_SECONDS)], 1_000.0)
    assert year.latencies.percentile(50) == pytest.approx(p50, rel=0.01)


def test_what_is_too_much_waits() -> None:
    year = replayed([150 * STEP_SECONDS, 0, 0], 100.0)
    assert year.most_waiting == 50 * STEP_SECONDS
    # In the middle of the step a quarter of the step's capacity is in front.
    assert year.latencies.longest == pytest.approx(0.25 * STEP_SECONDS + 0.12, rel=0.05)


def test_calls_wait_for_the_crm_and_drain_at_its_rate() -> None:
    days = [20 * STEP_SECONDS] * (2 * STEPS_OF_DAY)  # 20 events, that is 10 calls, a second
    year = replayed(days, 1_000.0, crm_rate=110.0, outage_day=0)
    calls = 10 * 24 * 3_600
    assert year.most_pending == pytest.approx(calls)
    assert year.drain_seconds == pytest.approx(calls / 100, abs=1)
    assert year.longest_of_outage == pytest.approx(24 * 3_600, rel=0.01)
    assert year.latencies.longest < 0.1


def test_a_crm_that_cannot_keep_up_drains_until_the_end() -> None:
    days = [20 * STEP_SECONDS] * (2 * STEPS_OF_DAY)
    assert replayed(days, 1_000.0, crm_rate=10.0, outage_day=0).drain_seconds == 24 * 3_600


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=20), st.floats(1, 1_000), st.floats(1, 10))
def test_a_larger_installation_is_never_slower(traffic: list[int], rate: float, factor: float) -> None:
    slow, fast = replayed(traffic, rate), replayed(traffic, rate * factor)
    assert slow.events == fast.events == sum(traffic)
    assert fast.most_waiting <= slow.most_waiting
    assert 0 <= fast.latencies.longest <= slow.latencies.longest * (1 + 1e-9)
    for percent in (50, 95, 99):
        assert fast.latencies.percentile(percent) <= slow.latencies.percentile(percent) * 1.02


def test_percentiles_are_weighted() -> None:
    latencies = Latencies()
    for seconds, weight in ((0.1, 98.0), (7.0, 1.5), (90.0, 0.5)):
        latencies.add(seconds, weight)
    assert latencies.percentile(50) == pytest.approx(0.1, rel=0.01)
    assert latencies.percentile(99) == pytest.approx(7.0, rel=0.01)
    assert latencies.percentile(100) == latencies.longest == 90.0
