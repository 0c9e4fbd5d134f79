"""The chaos runs, short; `make chaos` runs them long."""

from pathlib import Path

import pytest

from tests.chaos.engines import ENGINES, SHARED
from tests.chaos.scenarios import LEAST_RATE, one_relay_killed, three_relays_mistreated


@pytest.mark.timeout(120)
@pytest.mark.parametrize("engine", ENGINES)
def test_ten_kills_under_load_lose_nothing_and_double_nothing(tmp_path: Path, engine: str) -> None:
    outcome = one_relay_killed(tmp_path, engine, kills=10, seed=5)
    assert outcome.account.good, str(outcome)
    assert outcome.rate > LEAST_RATE, str(outcome)
    assert outcome.in_push >= 3, str(outcome)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("engine", SHARED)
def test_three_relays_on_one_database_lose_nothing_and_double_nothing(tmp_path: Path, engine: str) -> None:
    outcome = three_relays_mistreated(tmp_path, engine, blows=10, seed=5)
    assert outcome.account.good, str(outcome)
    assert outcome.rate > LEAST_RATE, str(outcome)
    assert (outcome.kills + outcome.freezes, outcome.restarts) == (10, 2), str(outcome)
