"""A real relay whose webhooks are dropped in part: the reconciler completes the embedded CRM."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.fakes.cloudtalk_history import FakeHistory, threaded_history
from tests.support.history_calls import PastCall, past_calls
from tests.support.relay import crm_rows, eventually, running_relay

SETTINGS = """
[server]
port = 0
[cloudtalk.api]
key_id = "id"
key_secret = "key-of-the-api"
base_url = "{url}/api"
analytics_url = "{url}/analytics"
[reconcile]
every_minutes = 0.05
[destinations.crm]
client = "local"
path = "crm.db"
"""

CALLS = 150
IDS = (("call_uuid",), ("call_id",), ("call_uuid", "call_id"))


def webhooks(calls: list[PastCall], *, dropped: float, seed: int) -> list[dict[str, Any]]:
    """A Started and an Ended of each call, of which some are lost. An Ended has one of the ids, or both."""
    chance = random.Random(seed)
    sent = [event for call in calls for event in (call.started(), call.ended(*IDS[call.number % 3]))]
    return [event for event in sent if chance.random() >= dropped]


def test_one_period_after_webhooks_were_lost_the_crm_is_complete_and_right(tmp_path: Path) -> None:
    newest = datetime.now(UTC) - timedelta(minutes=2)
    calls = past_calls(CALLS, newest, seconds_apart=40, people=60)
    arriving = webhooks(calls, dropped=0.1, seed=7)
    assert len(arriving) < 2 * CALLS
    with threaded_history(FakeHistory(offset_hours=5.5)) as cloudtalk:
        cloudtalk.uuids = {call.call_id: call.call_uuid for call in calls}
        with running_relay(tmp_path, SETTINGS.format(url=cloudtalk.url)) as relay:
            assert relay.post(arriving).status_code == 200
            cloudtalk.rows = [call.row() for call in calls]  # once they are over
            rows = eventually(lambda: crm_rows(tmp_path / "crm.db"), lambda rows: is_complete(rows, calls))
            logged = [line for line in relay.log_lines() if line["event"] == "reconcile.finished"]
    assert cloudtalk.most_within(60) <= 20
    assert sum(line["new"] for line in logged) > 0
    for call in calls:
        (row,) = [row for row in rows.values() if row["call_id"] == call.call_id]
        assert row["status"] == ("Completada" if call.talking else "Perdida")
        assert (row["talking_seconds"], row["external_number"]) == (call.talking, call.external)
        assert row["contact_name"] == f"Contact {call.number}"
        assert row["follow_up"] == (0 if call.talking else 1)


def is_complete(rows: dict[str, dict[str, Any]], calls: list[PastCall]) -> bool:
    """Whether each call has one record, with all that its row of the history states."""
    ids = sorted(str(row["call_id"]) for row in rows.values())
    names = {row["contact_name"] for row in rows.values()}
    return ids == sorted(call.call_id for call in calls) and None not in names
