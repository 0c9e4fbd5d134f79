from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.capacity.figures import Service, read_figures
from bench.capacity.installations import Installation, installations
from tests.support.bench_report import make_report

SECONDS = st.floats(1e-6, 1e-2)
SERVICES = st.builds(Service, accept=SECONDS, work=SECONDS, alone=SECONDS, database=SECONDS)
INSTALLATIONS = st.builds(
    Installation,
    name=st.just("any"),
    cores=st.integers(1, 8),
    processes=st.integers(1, 8),
    service=SERVICES,
    apart=st.booleans(),
    database_cores=st.integers(1, 8),
)


@given(INSTALLATIONS, st.sampled_from(["cores", "processes", "database_cores"]))
def test_more_cores_or_processes_never_hold_less(installation: Installation, what: str) -> None:
    change: dict[str, Any] = {what: getattr(installation, what) + 1}
    assert msgspec.structs.replace(installation, **change).rate() >= installation.rate()


@given(INSTALLATIONS, st.floats(0, 1e4))
def test_an_installation_uses_no_less_than_the_cost_at_load(installation: Installation, rate: float) -> None:
    assert installation.busy_cores(rate) >= rate * installation.service.full * (1 - 1e-9)


def test_what_the_installations_hold() -> None:
    """An event costs 300 µs to accept and 200 µs to fold and deliver; 600 µs in all with two workers."""
    small, one, two, three = installations(read_figures(make_report()))
    assert small.rate() == one.rate() == pytest.approx(2_000)
    # One process accepts, in 360 µs, and the other folds, in 240 µs. Two cores hold 2 / 600 µs.
    assert two.fold_limit() == pytest.approx(1 / 240e-6)
    assert two.cpu_limit() == pytest.approx(2 / 600e-6)
    assert two.rate() == two.accept_limit() == pytest.approx(1 / 360e-6)
    # One of three relays folds and accepts a third: (300 / 3 + 200) µs. PostgreSQL needs 100 µs on 2 cores.
    assert three.rate() == three.fold_limit() == pytest.approx(1 / 300e-6)
    assert three.database_limit() == pytest.approx(20_000)


def test_a_low_rate_costs_what_events_cost_alone_until_the_core_is_busy() -> None:
    small = installations(read_figures(make_report()))[0]
    assert small.busy_cores(100) == pytest.approx(100 * 0.002)
    assert small.busy_cores(1_000) == 1.0
