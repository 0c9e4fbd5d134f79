"""New tokens and keys without a restart: SIGHUP reads them again."""

import signal
from pathlib import Path
from typing import Any

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


def hang_up(relay: RelayProcess, event: str) -> dict[str, Any]:
    """Send the signal, and what was said of it."""
    before = len(relay.log_lines())
    relay.process.send_signal(signal.SIGHUP)
    told = eventually(lambda: [line for line in relay.log_lines()[before:] if line["event"] == event], bool)
    return told[0]


def test_a_new_token_opens_the_hook_and_the_old_one_no_more(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("old-token\n")
    with running_relay(tmp_path, SETTINGS) as relay:
        assert status_with(relay, "old-token") == 200
        tokens.write_text("new-token\nanother\n")
        told = hang_up(relay, "settings.reloaded")
        assert (told["destinations"], told["restart_needed"]) == ([], [])
        assert [status_with(relay, token) for token in ("new-token", "another", "old-token")] == [
            200,
            200,
            401,
        ]
        assert "new-token" not in relay.log_path.read_text()


def test_what_takes_a_restart_is_named_and_left(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("t\n")
    with running_relay(tmp_path, SETTINGS) as relay:
        (tmp_path / "settings.toml").write_text(SETTINGS + "batch = 5\n[delivery]\nfirst_retry_seconds = 9\n")
        told = hang_up(relay, "settings.reloaded")
        assert told["restart_needed"] == ["delivery.first_retry_seconds", "destinations.crm.batch"]
        assert status_with(relay, "t") == 200


def test_a_mistake_in_the_file_does_not_take_the_relay_down(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("t\n")
    with running_relay(tmp_path, SETTINGS) as relay:
        (tmp_path / "settings.toml").write_text("[server]\nprot = 1\n")
        assert "did you mean server.port" in hang_up(relay, "settings.reload_failed")["error"]
        assert status_with(relay, "t") == 200
