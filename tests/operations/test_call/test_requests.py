"""The events of a test call open the webhook of each kind of settings, and become one harmless record."""

from pathlib import Path
from typing import Any

import pytest

from relay.call import Call, Status
from relay.ledger import calls
from relay.operations.test_call.requests import ENDED, STARTED, EventRequests
from relay.settings import Settings
from tests.support.in_process import in_process_relay, settings_in

TOKEN = "kq8Xw2Lr0vNf7sYb5tGh3mJd"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

SETTINGS: dict[str, dict[str, Any]] = {
    "token": {"tokens": [TOKEN]},
    "signature": {"signing_secrets": [SECRET]},
    "signature of one company": {"signing_secrets": [SECRET], "company_ids": ["77"]},
    "both": {"tokens": [TOKEN], "signing_secrets": [SECRET]},
    "this machine": {},
    "own path": {"webhook_path": "/hook"},
}


async def send(settings: Settings) -> tuple[EventRequests, list[dict[str, Any]], Call]:
    """Send both events to a relay; return its responses, and the record once the call is over."""
    events = EventRequests(settings)
    async with in_process_relay(settings) as (relay, client):
        responses = []
        for event in (STARTED, ENDED):
            request = events.request(event)
            response = await client.post(request.url, headers=request.headers, content=request.content)
            assert response.status_code == 200, response.text
            responses.append(response.json())
        while True:
            rows = await relay.ledger.read(lambda c: calls.get_many(c, [events.record_id]))
            if rows and rows[events.record_id].record.status is Status.COMPLETED:
                return events, responses, rows[events.record_id].record


@pytest.mark.parametrize("cloudtalk", SETTINGS.values(), ids=SETTINGS.keys())
async def test_the_events_open_the_webhook_and_name_one_record(
    tmp_path: Path, cloudtalk: dict[str, Any]
) -> None:
    events, responses, record = await send(settings_in(tmp_path, cloudtalk=cloudtalk))
    assert [response["id"] for response in responses] == [events.record_id] * 2
    assert record.id == events.record_id
    assert record.id.startswith("cloudtalk-relay-test-")


async def test_the_record_is_marked_and_causes_nothing_in_a_crm(tmp_path: Path) -> None:
    _, _, record = await send(settings_in(tmp_path, cloudtalk={"own_numbers": ["+34910000000"]}))
    assert (record.contact_name, record.tags, record.direction) == (
        "TEST · CloudTalk Relay",
        ["test"],
        "inbound",
    )
    assert "Test call" in (record.notes or "")
    assert (record.external_number, record.contact_id) == (None, None)
    assert record.internal_number == "+34910000000"
    assert (record.follow_up, record.talking_seconds, record.waiting_seconds) == (False, 60, 15)


def test_two_test_calls_have_different_ids(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    assert EventRequests(settings).record_id != EventRequests(settings).record_id
