"""A real relay asks CloudTalk about the calls that arrive: it is killed in the middle and started again."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.fakes.cloudtalk_history import FakeHistory, threaded_history
from tests.support.enrichment import SMART_NOTES, agent_call, missed, queue, transcription
from tests.support.history_calls import PastCall, past_calls
from tests.support.relay import crm_rows, eventually, running_relay

PER_MINUTE = 40
SETTINGS = """
[server]
port = 0
[cloudtalk.api]
key_id = "id"
key_secret = "key-of-the-api"
base_url = "{url}/api"
analytics_url = "{url}/analytics"
ai_url = "{url}/ai"
requests_per_minute = 40
[enrich]
summary = true
transcript = true
smart_notes = true
[destinations.crm]
client = "local"
path = "crm.db"
"""

CALLS = 8
QUESTIONS = 2 + 3 * 6
"""Of eight calls every fourth is missed; a transcript of two turns has one page."""


def fill(cloudtalk: FakeHistory, calls: list[PastCall]) -> None:
    for call in calls:
        cloudtalk.uuids[call.call_id] = call.call_uuid
        if call.talking:
            cloudtalk.ai[call.call_id, "summary"] = {"callId": 1, "summary": f"Summary {call.number}"}
            cloudtalk.ai[call.call_id, "transcription"] = transcription(
                ("agent", f"Hello {call.number}."), ("contact", "Hello.")
            )
            cloudtalk.ai[call.call_id, "smart-notes"] = SMART_NOTES
        else:
            cloudtalk.details[call.call_id] = missed(queue(agent_call(7, "Ana"), agent_call(8, "Bea")))


def is_asked(row: dict[str, Any]) -> bool:
    texts = (row["summary"], row["transcript"], row["smart_notes"])
    return row["missed_reason"] is not None if row["follow_up"] else None not in texts


def test_calls_are_completed_within_the_limit_and_after_a_kill(tmp_path: Path) -> None:
    newest = datetime.now(UTC) - timedelta(minutes=1)
    calls = past_calls(CALLS, newest, seconds_apart=40, people=60)
    ended = [call.ended("call_uuid", "call_id") for call in calls]
    crm = tmp_path / "crm.db"
    with threaded_history(FakeHistory()) as cloudtalk:
        fill(cloudtalk, calls)
        settings = SETTINGS.format(url=cloudtalk.url)
        with running_relay(tmp_path, settings) as relay:
            assert relay.post(ended).status_code == 200
            eventually(lambda: len(cloudtalk.asked), lambda number: number >= QUESTIONS // 3)
            relay.kill()
        before = len(cloudtalk.asked)
        with running_relay(tmp_path, settings) as relay:
            rows = eventually(lambda: crm_rows(crm), lambda rows: all(map(is_asked, rows.values())))
            found = [line for line in relay.log_lines() if line["event"] == "enrich.found"]
    assert before < QUESTIONS
    assert found
    assert cloudtalk.most_within(60) <= PER_MINUTE
    assert len(cloudtalk.asked) <= QUESTIONS + 1  # the request that the kill interrupted
    by_id = {row["call_id"]: row for row in rows.values()}
    for call in calls:
        row = by_id[call.call_id]
        assert row["status"] == ("Completada" if call.talking else "Perdida")
        if call.talking:
            assert row["summary"] == f"Summary {call.number}"
            assert row["transcript"] == f"Agent: Hello {call.number}.\nCustomer: Hello."
            assert "- Send the offer" in row["smart_notes"]
            assert row["missed_reason"] is None
        else:
            assert row["missed_reason"] == "nobody picked up"
            assert json.loads(row["cloudtalkData"])["analytics"]["status"] == "missed"
