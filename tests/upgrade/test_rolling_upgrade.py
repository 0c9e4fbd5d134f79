"""Relays of two releases on one ledger, as processes, while an upgrade replaces one after the other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from relay.ledger import HEAD
from tests.support.next_release import NEXT, make_next_release, process_of_release
from tests.support.patience import PATIENCE
from tests.support.relay import RelayProcess, crm_rows, eventually

SETTINGS = """
[server]
port = 0
[ledger]
url = "{ledger}"
[destinations.crm]
client = "local"
path = "{crm}"
"""


class Upgrade:
    """An older relay and a newer one, with one ledger and one CRM; each with two workers."""

    def __init__(self, folder: Path, ledger: str, newer: Path) -> None:
        self.crm = folder / "crm.db"
        settings = SETTINGS.format(ledger=ledger, crm=self.crm)
        (folder / "older").mkdir()
        self.older = RelayProcess(folder / "older", settings, 2)
        self.newer = process_of_release(newer, folder / "newer", settings, 2)
        self._sent = 0

    def deliver_through(self, relay: RelayProcess) -> None:
        """Send a call to this relay, event by event, and wait until it is complete in the CRM."""
        self._sent += 1
        data = {"id": f"call-{self._sent}", "direction": "inbound", "from": "+34612345678"}
        for event, more in (("started", {}), ("answered", {}), ("ended", {"duration": 60 + self._sent})):
            response = relay.post({"event": f"call.{event}", "data": data | more})
            assert response.status_code == 200, response.text

        def duration() -> Any:
            return crm_rows(self.crm).get(f"cloudtalk-{data['id']}", {}).get("duration_seconds")

        eventually(duration, lambda found: found == 60 + self._sent)


@pytest.fixture
def compatible_from() -> str:
    return HEAD


@pytest.fixture
def upgrade(tmp_path: Path, ledger_url: str, compatible_from: str) -> Iterator[Upgrade]:
    newer = make_next_release(tmp_path / "release", compatible_from=compatible_from)
    upgrade = Upgrade(tmp_path, ledger_url, newer)
    try:
        yield upgrade
    finally:
        for relay in (upgrade.older, upgrade.newer):
            if relay.url:
                relay.stop()


def events_of(relay: RelayProcess, name: str) -> list[dict[str, Any]]:
    return [line for line in relay.log_lines() if line["event"] == name]


def test_an_older_relay_works_on_the_newer_schema(upgrade: Upgrade) -> None:
    older, newer = upgrade.older.start(), upgrade.newer
    upgrade.deliver_through(older)
    newer.start()
    migrated = events_of(newer, "ledger.migrated")
    assert [(line["before"], line["after"]) for line in migrated] == [(HEAD, NEXT)]
    # Both accept, whichever of them folds and delivers; then each of them alone.
    for relay in (older, newer, older, newer):
        upgrade.deliver_through(relay)
    assert httpx.get(f"{older.url}/readyz", timeout=PATIENCE, trust_env=False).status_code == 200
    assert newer.stop() == 0
    upgrade.deliver_through(older)
    assert older.command("calls", "list").returncode == 0
    # A crash during the upgrade: the supervisor starts the older relay again.
    older.kill()
    older.start()
    accepted = events_of(older, "ledger.newer_schema")[0]
    assert (accepted["schema"], accepted["own"]) == (NEXT, HEAD)
    upgrade.deliver_through(older)
    newer.start()
    assert older.stop() == 0
    upgrade.deliver_through(newer)
    levels = {line["level"] for relay in (older, newer) for line in relay.log_lines()}
    assert levels <= {"info", "warning"}, [
        line for relay in (older, newer) for line in relay.log_lines() if line["level"] == "error"
    ]


@pytest.mark.parametrize("compatible_from", [NEXT])
def test_an_incompatible_schema_waits_for_the_older_relay_and_is_refused_by_it(upgrade: Upgrade) -> None:
    older, newer = upgrade.older.start(), upgrade.newer
    upgrade.deliver_through(older)
    eventually(lambda: older.command("status", "--json").stdout, lambda text: '"pid"' in text)
    refused = newer.command("serve")
    assert refused.returncode == 1
    assert f"is used by a relay with schema {HEAD} (host " in refused.stderr
    assert f"stop all relays with a schema before {NEXT} and start this one again" in refused.stderr
    upgrade.deliver_through(older)
    assert older.stop() == 0
    newer.start()
    upgrade.deliver_through(newer)
    for command in ("serve", "status", "check"):
        done = older.command(command)
        assert done.returncode != 0
        said = done.stdout + done.stderr
        assert f"has schema {NEXT}" in said.replace("\n", " ")
        assert "run the version that migrated it or a later one" in " ".join(said.split())
    upgrade.deliver_through(newer)
