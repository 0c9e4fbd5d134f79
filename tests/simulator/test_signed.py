"""The messages of the signed dialect."""

import json

from tests.support.simulated import ended_messages, simulated_calls

CALLS = simulated_calls("signed")


def test_signed_events_have_the_envelope_and_a_message_id() -> None:
    types = set()
    for message in (m for call in CALLS for m in call.messages):
        body = message.body
        assert body.keys() == {"event_id", "type", "version", "occurred_at", "company_id", "data"}
        assert message.id
        assert isinstance(body["data"]["call_id"], str)
        types.add(body["type"])
    assert types == {"call.ended", "call.recording_ready", "cidata.ready", "transcript.ready"}


def test_a_summary_may_come_before_the_end() -> None:
    orders = set()
    for call in CALLS:
        types = [body["type"] for body in call.bodies]
        if "cidata.ready" in types:
            orders.add(types.index("cidata.ready") < types.index("call.ended"))
    assert orders == {True, False}


def test_a_caller_may_withhold_the_number() -> None:
    withheld = [c for c in CALLS for m in ended_messages(c) if "caller_id_status" in m.body["data"]]
    assert withheld
    for call in withheld:
        assert call.expected["external_number"] is call.expected["from"] is None
        assert "external_number" not in json.dumps(call.bodies)
