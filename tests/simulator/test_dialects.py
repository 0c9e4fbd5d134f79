import base64
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import pairwise
from random import Random
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest

from relay.call import FIELDS, build_record, join, state_from_event
from relay.cloudtalk.parser import Ignored, Parser
from relay.cloudtalk.request import RawRequest
from relay.instants import Instant
from relay.simulator import DIALECTS, Message, SimulatedCall, generate_calls

NOW = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)
EXCEPT_MISSION = [dialect for dialect in DIALECTS if dialect != "mission"]
WEBHOOK_PATH = "/cloudtalk/webhook"


@pytest.fixture(scope="module")
def calls() -> dict[str, list[SimulatedCall]]:
    return {dialect: generate_calls(600, 1, NOW, dialect=dialect) for dialect in DIALECTS}


def event_name(message: Message) -> str | None:
    """The event's name from the body, the path or the query."""
    keys = ("event", "event_type", "action", "type")
    in_body = next((message.body[key] for key in keys if key in message.body), None)
    return in_body or message.path.removeprefix("/") or message.query.removeprefix("event=") or None


def phase(body: dict[str, Any]) -> str:
    if "ended_at" in body:
        return "ended"
    return "recorded" if "recording_url" in body else "before"


def ended_messages(call: SimulatedCall) -> list[Message]:
    return [m for m in call.messages if "ended_at" in m.body.get("data", m.body)]


# --- in every dialect -------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", EXCEPT_MISSION)
def test_the_same_seed_gives_the_same_calls_however_many(dialect: str) -> None:
    assert generate_calls(20, 7, NOW, dialect=dialect) == generate_calls(30, 7, NOW, dialect=dialect)[:20]


def test_no_two_calls_share_an_id_whatever_the_dialect(calls: dict[str, list[SimulatedCall]]) -> None:
    records = [call.expected for dialect in EXCEPT_MISSION for call in calls[dialect]]
    for id_ in ("id", "call_uuid", "call_id"):
        counts = Counter(record[id_] for record in records if record[id_])
        assert set(counts.values()) == {1}


@pytest.mark.parametrize("dialect", EXCEPT_MISSION)
def test_the_expected_record_has_only_fields_of_the_record(
    calls: dict[str, list[SimulatedCall]], dialect: str
) -> None:
    for call in calls[dialect]:
        assert call.expected.keys() < set(FIELDS)
        assert not {"answered_at", "response_seconds"} & call.expected.keys()
        assert call.expected["id"] == f"cloudtalk-{call.expected['call_uuid']}"
        assert not {"call_uuid"} & call.order_dependent
        assert "id" in call.order_dependent


@pytest.mark.parametrize(
    ("dialect", "statuses"),
    [
        ("workflow", {"in_progress", "answered", "completed", "missed", "voicemail", "no_answer"}),
        ("mixed", {"in_progress", "answered", "completed", "missed", "voicemail", "no_answer"}),
        ("signed", {"completed", "missed", "voicemail", "no_answer"}),
        ("flow", {"completed", "missed", "voicemail"}),
    ],
)
def test_a_dialect_has_calls_of_every_status_that_it_can_express(
    calls: dict[str, list[SimulatedCall]], dialect: str, statuses: set[str]
) -> None:
    assert {call.expected["status"] for call in calls[dialect]} == statuses
    for record in (call.expected for call in calls[dialect]):
        incoming = record["direction"] == "inbound"
        assert record["follow_up"] == (incoming and record["status"] in {"missed", "voicemail"})
        assert (record["status"] in {"missed", "voicemail"}) <= incoming
        assert (record["status"] == "no_answer") <= (not incoming)


@pytest.mark.parametrize("dialect", EXCEPT_MISSION)
def test_a_call_that_has_ended_has_both_ids_and_its_durations(
    calls: dict[str, list[SimulatedCall]], dialect: str
) -> None:
    for call in calls[dialect]:
        record, has_ended = call.expected, bool(ended_messages(call))
        assert (record["call_id"] is not None) == (record["talking_seconds"] is not None) == has_ended
        if has_ended:
            assert (record["talking_seconds"] > 0) == (record["status"] == "completed")
            total = record["talking_seconds"] + record["waiting_seconds"]
            assert record.get("duration_seconds", total) >= total
        for message in ended_messages(call):
            data = message.body.get("data", message.body)
            assert (data["call_uuid"], str(data["call_id"])) == (record["call_uuid"], record["call_id"])


@pytest.mark.parametrize("dialect", EXCEPT_MISSION)
def test_no_time_is_in_the_future(calls: dict[str, list[SimulatedCall]], dialect: str) -> None:
    for call in calls[dialect]:
        started = datetime.fromisoformat(call.expected["started_at"])
        assert started < NOW
        assert NOW - started < timedelta(minutes=15)
        for message in call.messages:
            times = re.findall(r"20\d\d-\d\d-\d\dT[\d:.]+(?:Z|[+]\d\d:\d\d)", json.dumps(message.body))
            assert all(datetime.fromisoformat(moment) <= NOW for moment in times)


@pytest.mark.parametrize("dialect", EXCEPT_MISSION)
def test_a_recording_url_contains_the_call_id(calls: dict[str, list[SimulatedCall]], dialect: str) -> None:
    recorded = [call.expected for call in calls[dialect] if call.expected["recording_url"]]
    assert recorded
    for record in recorded:
        assert record["status"] in {"completed", "voicemail"}
        encoded = unquote(
            record["recording_url"].removeprefix("https://my.cloudtalk.io/pub/r/").split("/")[0]
        )
        assert base64.b64decode(encoded + "=" * (-len(encoded) % 4)).decode() == record["call_id"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("order", [None, 1, 2])
def test_the_relay_builds_the_expected_record(
    calls: dict[str, list[SimulatedCall]], dialect: str, order: int | None
) -> None:
    """With messages in their order (`order` is None), and shuffled with duplicates."""
    for call in calls[dialect][:300]:
        if order is None:
            assert_relay_builds(call.expected, call.messages)
        else:
            random = Random(order)
            messages = random.sample(call.messages, len(call.messages)) + random.choices(call.messages, k=2)
            assert_relay_builds(call.expected_in_any_order(), messages)


def assert_relay_builds(expected: dict[str, Any], messages: list[Message] | tuple[Message, ...]) -> None:
    parser = Parser(UTC, "ES")
    states = []
    for seq, message in enumerate(messages):
        raw = msgspec.json.encode(message.body)
        parsed = parser.parse(
            RawRequest(
                raw, "application/json", WEBHOOK_PATH + message.path, message.query, message_id=message.id
            )
        )
        if isinstance(parsed, Ignored):
            assert message.body.get("call_uuid", message.body.get("call.uuid")) is None
            continue
        received_at = Instant(int(NOW.timestamp() * 1_000_000) + seq)
        states += [state_from_event(event, seq=seq, received_at=received_at) for event in parsed]
    id_ = expected.get("id", "any")
    record = msgspec.to_builtins(build_record(reduce(join, states), id=id_, version=1))
    assert {field: record[field] for field in expected} == expected


# --- workflow ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workflow_calls(calls: dict[str, list[SimulatedCall]]) -> list[SimulatedCall]:
    return calls["workflow"]


def test_events_before_the_end_have_only_the_uuid_and_recordings_only_the_call_id(
    workflow_calls: list[SimulatedCall],
) -> None:
    shapes = {
        (phase(body), "call_uuid" in body, "call_id" in body)
        for call in workflow_calls
        for body in call.bodies
    }
    assert shapes == {("ended", True, True), ("recorded", False, True), ("before", True, False)}


def test_numbers_are_integers_or_text_with_and_without_a_plus(workflow_calls: list[SimulatedCall]) -> None:
    kinds = set()
    for call in workflow_calls:
        number = call.bodies[0]["external_number"]
        kinds.add((type(number), str(number).startswith("+")))
        assert "+" + str(number).removeprefix("+") == call.expected["external_number"]
    assert kinds == {(int, False), (str, False), (str, True)}


def test_there_is_one_ringing_event_for_each_agent_rung(workflow_calls: list[SimulatedCall]) -> None:
    counts = set()
    for call in workflow_calls:
        ringing = [m.body for m in call.messages if "ring" in (event_name(m) or "")]
        assert len({body["agent_id"] for body in ringing}) == len(ringing)
        counts.add((call.expected["direction"], len(ringing)))
    assert counts == {("inbound", 1), ("inbound", 2), ("inbound", 3), ("outbound", 0)}


def test_a_recording_comes_before_its_end_or_after_it(workflow_calls: list[SimulatedCall]) -> None:
    before_end: Counter[bool] = Counter()
    for call in workflow_calls:
        phases = [phase(body) for body in call.bodies]
        if "recorded" in phases:
            before_end[phases.index("recorded") < phases.index("ended")] += 1
    assert set(before_end) == {True, False}


def test_is_voicemail_is_true_or_null(workflow_calls: list[SimulatedCall]) -> None:
    values = {
        (call.expected["status"] == "voicemail", m.body["is_voicemail"])
        for call in workflow_calls
        for m in ended_messages(call)
    }
    assert values == {(True, True), (True, "true"), (False, None)}


def test_an_end_without_a_time_leaves_the_record_without_one(workflow_calls: list[SimulatedCall]) -> None:
    without_time = [c for c in workflow_calls for m in ended_messages(c) if m.body["ended_at"] is None]
    assert without_time
    assert all(c.expected["ended_at"] is None and "duration_seconds" not in c.expected for c in without_time)


def test_events_are_named_by_path_query_or_key_or_recognised_by_their_keys(
    workflow_calls: list[SimulatedCall],
) -> None:
    ways: Counter[str] = Counter()
    for call in workflow_calls:
        for message in call.messages:
            key = next((key for key in ("event", "event_type", "action") if key in message.body), None)
            ways[key or ("path" if message.path else "query" if message.query else "none")] += 1
            if event_name(message) is None:
                assert {"talking_time", "recording_url"} & message.body.keys()
    assert ways.keys() == {"event", "event_type", "action", "path", "query", "none"}


def test_there_is_no_event_for_a_missed_call(workflow_calls: list[SimulatedCall]) -> None:
    names = {event_name(message) for call in workflow_calls for message in call.messages}
    assert not any("miss" in name or "voicemail" in name for name in names if name)


def test_the_last_edit_of_the_tags_counts_and_several_edits_depend_on_the_order(
    workflow_calls: list[SimulatedCall],
) -> None:
    edit_counts: Counter[int] = Counter()
    for call in workflow_calls:
        edits = [b["tags"] for b in call.bodies if "tags" in b and "ended_at" not in b]
        assert call.expected["tags"] == (edits[-1].split(",") if edits else [])
        assert ("tags" in call.order_dependent) == (len(edits) > 1)
        edit_counts[len(edits)] += 1
    assert edit_counts.keys() == {0, 1, 2, 3}


# --- flow, signed, mixed ----------------------------------------------------------------------


def test_a_flow_step_has_the_uuid_only_if_an_agent_answered(calls: dict[str, list[SimulatedCall]]) -> None:
    for call in calls["flow"]:
        step = call.bodies[0]
        uuid = step["call.uuid"] if "call.uuid" in step else step["call_uuid"]
        answered = call.expected["status"] == "completed"
        assert uuid == (call.expected["call_uuid"] if answered else None)
        assert ended_messages(call)


def test_signed_events_have_the_envelope_and_a_message_id(calls: dict[str, list[SimulatedCall]]) -> None:
    types = set()
    for message in (m for call in calls["signed"] for m in call.messages):
        body = message.body
        assert body.keys() == {"event_id", "type", "version", "occurred_at", "company_id", "data"}
        assert message.id
        assert isinstance(body["data"]["call_id"], str)
        types.add(body["type"])
    assert types == {"call.ended", "call.recording_ready", "cidata.ready", "transcript.ready"}


def test_a_summary_may_come_before_the_end(calls: dict[str, list[SimulatedCall]]) -> None:
    orders = set()
    for call in calls["signed"]:
        types = [body["type"] for body in call.bodies]
        if "cidata.ready" in types:
            orders.add(types.index("cidata.ready") < types.index("call.ended"))
    assert orders == {True, False}


def test_a_caller_may_withhold_the_number(calls: dict[str, list[SimulatedCall]]) -> None:
    withheld = [c for c in calls["signed"] for m in ended_messages(c) if "caller_id_status" in m.body["data"]]
    assert withheld
    for call in withheld:
        assert call.expected["external_number"] is call.expected["from"] is None
        assert "external_number" not in json.dumps(call.bodies)


def test_mixed_calls_use_several_dialects(calls: dict[str, list[SimulatedCall]]) -> None:
    ways: Counter[str] = Counter()
    for call in calls["mixed"]:
        used = {dialect_of(body) for body in call.bodies}
        ways.update(used)
        if call.expected["call_id"]:
            assert {"workflow", "signed"} <= used
    assert ways.keys() == {"workflow", "signed", "mission", "flow"}


def dialect_of(body: dict[str, Any]) -> str:
    if "event_id" in body:
        return "signed"
    if "data" in body:
        return "mission"
    return "workflow" if "internal_number" in body or "transcript" in body else "flow"


@pytest.mark.parametrize("dialect", EXCEPT_MISSION)
def test_spacing_starts_each_call_later(dialect: str) -> None:
    near = generate_calls(30, 1, NOW, dialect=dialect)
    far = generate_calls(30, 1, NOW, dialect=dialect, spacing=timedelta(minutes=1))
    starts = [
        [datetime.fromisoformat(call.expected["started_at"]) for call in calls] for calls in (near, far)
    ]
    shifts = [later - sooner for sooner, later in zip(*starts, strict=True)]
    assert {later - sooner for sooner, later in pairwise(shifts)} == {timedelta(minutes=1)}
