"""Short chaos runs; `make chaos` makes long ones."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.engines import ENGINES, SHARED
from tests.chaos.machine_faults import clock_jumps, disk_full, ledger_restored
from tests.chaos.scenarios import Outcome, one_relay_killed, three_relays_killed_and_frozen

LEAST_EVENTS = 300
"""The least acknowledged events of a valid run. Their rate depends on what else the machine does."""


@pytest.mark.timeout(400)
@pytest.mark.parametrize("engine", ENGINES)
def test_ten_kills_under_load_lose_and_duplicate_nothing(tmp_path: Path, engine: str) -> None:
    outcome = one_relay_killed(tmp_path, engine, kills=10, seed=5)
    assert outcome.audit.passed, str(outcome)
    assert outcome.audit.acknowledged > LEAST_EVENTS, str(outcome)
    assert outcome.kills_in_push >= 1, str(outcome)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("engine", SHARED)
def test_three_relays_on_one_database_lose_and_duplicate_nothing(tmp_path: Path, engine: str) -> None:
    outcome = three_relays_killed_and_frozen(tmp_path, engine, disturbances=10, seed=5)
    assert outcome.audit.passed, str(outcome)
    assert outcome.audit.acknowledged > LEAST_EVENTS, str(outcome)
    assert (outcome.kills + outcome.freezes, outcome.restarts) == (10, 2), str(outcome)


# Other tests cover the other faults of the machine: test_ledger_files.py, test_log_readers.py,
# test_connections.py and test_huge_events.py in tests/acceptance.
@pytest.mark.timeout(400)
@pytest.mark.parametrize("scenario", [disk_full, clock_jumps, ledger_restored])
def test_faults_of_the_machine_lose_and_duplicate_nothing(
    tmp_path: Path, scenario: Callable[..., Outcome]
) -> None:
    outcome = scenario(tmp_path, seed=5, rate=60)
    assert outcome.audit.passed, str(outcome)
    assert outcome.audit.calls > 5, str(outcome)
