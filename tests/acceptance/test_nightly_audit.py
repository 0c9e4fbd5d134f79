"""Nightly audits of real relays: made up for after a night without one, by one process, and sent signed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.support.alert_receiver import AlertReceiver, running_alert_receiver
from tests.support.relay import RelayProcess, crm_rows, eventually, running_relay

SECRET = "whsec_Q2FuYXJ5LTdmM2E5MWMyZDQtQ2FuYXJ5LTdmM2E5MWMyZDQ="
SETTINGS = """
[server]
port = 0
[alerts]
webhook_url = "{url}"
secret = "{secret}"
[destinations.crm]
client = "local"
path = "crm.db"
"""


@pytest.fixture
def receiver() -> Iterator[AlertReceiver]:
    with running_alert_receiver() as receiver:
        yield receiver


def ended(number: int) -> dict[str, Any]:
    at = (datetime.now(UTC) - timedelta(hours=6)).isoformat()
    data = {"id": str(number), "direction": "inbound", "started_at": at, "ended_at": at, "duration": 60}
    return {"event": "call.ended", "data": data}


def change(path: Path, sql: str) -> int:
    with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        return connection.execute(sql).rowcount


def audits(relay: RelayProcess) -> list[dict[str, Any]]:
    return [line for line in relay.log_lines() if line["event"] == "audit.finished"]


def test_a_missed_audit_is_made_up_for_once_and_its_result_is_sent(
    tmp_path: Path, receiver: AlertReceiver
) -> None:
    settings = SETTINGS.format(url=receiver.url, secret=SECRET)
    crm, ledger = tmp_path / "crm.db", tmp_path / "var/relay.db"
    waits = "UPDATE counters SET value = 1 WHERE name = 'first_audit_after'"
    with running_relay(tmp_path, settings) as relay:
        assert relay.post([ended(number) for number in range(3)]).status_code == 200
        eventually(lambda: crm_rows(crm), lambda rows: len(rows) == 3)
        # As if the relay had been waiting since the day before.
        eventually(lambda: change(ledger, waits), lambda changed: changed == 1)
        assert audits(relay) == []
    change(crm, "DELETE FROM calls WHERE id = 'cloudtalk-1'")
    with running_relay(tmp_path, settings, 2) as relay:
        (line,) = eventually(lambda: audits(relay), bool)
        eventually(lambda: crm_rows(crm), lambda rows: len(rows) == 3)
        (request,) = eventually(lambda: list(receiver.requests), bool)
    assert (line["calls"], line["repaired"], line["for_person"], line["unproven"]) == (3, 1, 0, [])
    assert line["crms"]["crm"]["missing"] == 1
    message = Webhook(SECRET).verify(request.body.decode(), request.headers)
    assert (message["type"], message["data"]["kind"]) == ("alert.resolved", "audit")
    assert message["data"]["message"] == "complete and right, repaired: 1 (the ledger: 3, crm: 2)"
    assert message["data"]["audit"]["crms"]["crm"]["missing"] == 1
    with running_relay(tmp_path, settings) as relay:
        assert relay.post([ended(9)]).status_code == 200
        eventually(lambda: crm_rows(crm), lambda rows: len(rows) == 4)
        assert len(audits(relay)) == 1  # none in this night again
    assert len(receiver.requests) == 1
