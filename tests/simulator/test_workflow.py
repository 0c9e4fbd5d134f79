"""The messages of the workflow dialect."""

from collections import Counter
from typing import Any

from tests.support.simulated import ended_messages, event_name, simulated_calls

CALLS = simulated_calls("workflow")


def phase(body: dict[str, Any]) -> str:
    if "ended_at" in body:
        return "ended"
    return "recorded" if "recording_url" in body else "before"


def test_events_before_the_end_have_only_the_uuid_and_recordings_only_the_call_id() -> None:
    shapes = {(phase(body), "call_uuid" in body, "call_id" in body) for call in CALLS for body in call.bodies}
    assert shapes == {("ended", True, True), ("recorded", False, True), ("before", True, False)}


def test_numbers_are_integers_or_text_with_and_without_a_plus() -> None:
    kinds = set()
    for call in CALLS:
        number = call.bodies[0]["external_number"]
        kinds.add((type(number), str(number).startswith("+")))
        assert "+" + str(number).removeprefix("+") == call.expected["external_number"]
    assert kinds == {(int, False), (str, False), (str, True)}


def test_there_is_one_ringing_event_for_each_agent_rung() -> None:
    counts = set()
    for call in CALLS:
        ringing = [m.body for m in call.messages if "ring" in (event_name(m) or "")]
        assert len({body["agent_id"] for body in ringing}) == len(ringing)
        counts.add((call.expected["direction"], len(ringing)))
    assert counts == {("inbound", 1), ("inbound", 2), ("inbound", 3), ("outbound", 0)}


def test_a_recording_comes_before_its_end_or_after_it() -> None:
    before_end: Counter[bool] = Counter()
    for call in CALLS:
        phases = [phase(body) for body in call.bodies]
        if "recorded" in phases:
            before_end[phases.index("recorded") < phases.index("ended")] += 1
    assert set(before_end) == {True, False}


def test_is_voicemail_is_true_or_null() -> None:
    values = {
        (call.expected["status"] == "voicemail", m.body["is_voicemail"])
        for call in CALLS
        for m in ended_messages(call)
    }
    assert values == {(True, True), (True, "true"), (False, None)}


def test_an_end_without_a_time_leaves_the_record_without_one() -> None:
    without_time = [c for c in CALLS for m in ended_messages(c) if m.body["ended_at"] is None]
    assert without_time
    assert all(c.expected["ended_at"] is None and "duration_seconds" not in c.expected for c in without_time)


def test_events_are_named_by_path_query_or_key_or_recognised_by_their_keys() -> None:
    ways: Counter[str] = Counter()
    for call in CALLS:
        for message in call.messages:
            key = next((key for key in ("event", "event_type", "action") if key in message.body), None)
            ways[key or ("path" if message.path else "query" if message.query else "none")] += 1
            if event_name(message) is None:
                assert {"talking_time", "recording_url"} & message.body.keys()
    assert ways.keys() == {"event", "event_type", "action", "path", "query", "none"}


def test_there_is_no_event_for_a_missed_call() -> None:
    names = {event_name(message) for call in CALLS for message in call.messages}
    assert not any("miss" in name or "voicemail" in name for name in names if name)


def test_the_last_edit_of_the_tags_counts_and_several_edits_depend_on_the_order() -> None:
    edit_counts: Counter[int] = Counter()
    for call in CALLS:
        edits = [b["tags"] for b in call.bodies if "tags" in b and "ended_at" not in b]
        assert call.expected["tags"] == (edits[-1].split(",") if edits else [])
        assert ("tags" in call.order_dependent) == (len(edits) > 1)
        edit_counts[len(edits)] += 1
    assert edit_counts.keys() == {0, 1, 2, 3}
