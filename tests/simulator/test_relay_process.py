"""A relay in a process of its own: its start, its end, and what an error says."""

from pathlib import Path

import pytest

from relay.simulator.relay_process import RelayProcess, RelayProcessError, environment_without_relay


def process_in(folder: Path, settings: str = "[server]\nport = 0\n", **limits: float) -> RelayProcess:
    (folder / "settings.toml").write_text(settings)
    return RelayProcess(folder / "settings.toml", folder / "relay.log", environment_without_relay(), **limits)


def test_a_relay_that_cannot_start_raises_an_error_with_its_log(tmp_path: Path) -> None:
    relay = process_in(tmp_path, "[server]\nprot = 0\n")
    expected = r"the relay did not start; its log:\n(.*\n)*.*server\.port"
    with pytest.raises(RelayProcessError, match=expected), relay.running():
        pass


def test_a_relay_that_exits_by_itself_raises_an_error_with_its_log(tmp_path: Path) -> None:
    relay = process_in(tmp_path)
    with relay.running():
        assert relay._process is not None
        relay._process.kill()
        with pytest.raises(RelayProcessError, match=r"the relay exited with code -9; (.*\n)*.*server\.ready"):
            relay.wait_for_exit()


def test_a_relay_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    relay = process_in(tmp_path, stop_seconds=0.001)
    with relay.running():
        assert relay.url.startswith("http://127.0.0.1:")
    assert relay._process is not None
    assert relay._process.poll() is not None
