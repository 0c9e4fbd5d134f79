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
        assert body["data"]["call_uuid"]
        assert isinstance(body["data"].get("call_id", ""), str)
        types.add(body["type"])
    assert types == {"call.ended", "call.recording_ready", "cidata.ready", "transcript.ready"}


def test_only_the_end_has_numbers() -> None:
    for message in (m for call in CALLS for m in call.messages):
        has_number = {"internal_number", "external_number"} & message.body["data"].keys()
        assert bool(has_number) is (message.body["type"] == "call.ended")


def test_a_summary_is_nested_and_a_transcript_has_no_text() -> None:
    data = {m.body["type"]: m.body["data"] for call in CALLS for m in call.messages}
    assert data["cidata.ready"].keys() == {"call_uuid", "summary", "language"}
    assert data["cidata.ready"]["summary"].keys() == {"summary"}
    assert data["transcript.ready"].keys() == {"call_uuid"}


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
