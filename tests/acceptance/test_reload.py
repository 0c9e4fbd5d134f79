"""SIGHUP: the relay reads new tokens and keys without a restart."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.relay import RelayProcess, eventually, running_relay

SETTINGS = """
    [server]
    port = 0
    [cloudtalk]
    tokens_file = "tokens"
    [destinations.crm]
    client = "local"
    path = "crm.db"
"""
EVENT: dict[str, Any] = {"event": "call.started", "data": {"id": "1"}}


def status_with(relay: RelayProcess, token: str) -> int:
    return relay.post(EVENT, headers={"Authorization": f"Bearer {token}"}).status_code


def reload(relay: RelayProcess, event: str, workers: int = 1) -> dict[str, Any]:
    """Send SIGHUP, wait until each process has logged this event, and return the first line."""
    before = len(relay.log_lines())
    relay.process.send_signal(signal.SIGHUP)
    lines = eventually(
        lambda: [line for line in relay.log_lines()[before:] if line["event"] == event],
        lambda lines: len(lines) == workers,
    )
    return lines[0]


@pytest.mark.parametrize("workers", [1, 2])
def test_after_a_reload_new_tokens_are_valid_and_old_ones_are_not(tmp_path: Path, workers: int) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("old-token-of-tests\n")
    with running_relay(tmp_path, SETTINGS, workers) as relay:
        assert status_with(relay, "old-token-of-tests") == 200
        tokens.write_text("new-token-of-tests\nanother-token-of-tests\n")
        line = reload(relay, "settings.reloaded", workers)
        assert (line["destinations"], line["restart_needed"]) == ([], [])
        assert [
            status_with(relay, token)
            for token in ("new-token-of-tests", "another-token-of-tests", "old-token-of-tests")
        ] == [
            200,
            200,
            401,
        ]
        assert "new-token-of-tests" not in relay.log_path.read_text()


def test_changes_that_need_a_restart_are_logged_and_not_applied(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("only-token-of-tests\n")
    with running_relay(tmp_path, SETTINGS) as relay:
        (tmp_path / "settings.toml").write_text(SETTINGS + "batch = 5\n[delivery]\nfirst_retry_seconds = 9\n")
        line = reload(relay, "settings.reloaded")
        assert line["restart_needed"] == ["delivery.first_retry_seconds", "destinations.crm.batch"]
        assert status_with(relay, "only-token-of-tests") == 200


def test_an_invalid_settings_file_does_not_stop_the_relay(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("only-token-of-tests\n")
    with running_relay(tmp_path, SETTINGS) as relay:
        (tmp_path / "settings.toml").write_text("[server]\nprot = 1\n")
        assert "did you mean server.port" in reload(relay, "settings.reload_failed")["error"]
        assert status_with(relay, "only-token-of-tests") == 200
