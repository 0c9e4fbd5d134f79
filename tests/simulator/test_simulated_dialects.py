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
from relay.cloudtalk.parser import Ignored, Parser, RawRequest
from relay.simulator import DIALECTS, Message, SimulatedCall, scenarios

NOW = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)
OWN = [dialect for dialect in DIALECTS if dialect != "mission"]
HOOK = "/cloudtalk/webhook"


@pytest.fixture(scope="module")
def many() -> dict[str, list[SimulatedCall]]:
    return {dialect: scenarios(600, 1, NOW, dialect=dialect) for dialect in DIALECTS}


def name_of(message: Message) -> str | None:
    """The event's name, wherever it stands."""
    keys = ("event", "event_type", "action", "type")
    in_body = next((message.body[key] for key in keys if key in message.body), None)
    return in_body or message.path.removeprefix("/") or message.query.removeprefix("event=") or None


def phase_of(body: dict[str, Any]) -> str:
    if "ended_at" in body:
        return "ended"
    return "recorded" if "recording_url" in body else "before"


def ended_in(call: SimulatedCall) -> list[Message]:
    return [m for m in call.messages if "ended_at" in m.body.get("data", m.body)]


# --- in every dialect -------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", OWN)
def test_the_same_seed_gives_the_same_calls_however_many(dialect: str) -> None:
    assert scenarios(20, 7, NOW, dialect=dialect) == scenarios(30, 7, NOW, dialect=dialect)[:20]


def test_no_two_calls_share_an_id_whatever_the_dialect(many: dict[str, list[SimulatedCall]]) -> None:
    records = [call.expected for dialect in OWN for call in many[dialect]]
    for id_ in ("id", "call_uuid", "call_id"):
        counts = Counter(record[id_] for record in records if record[id_])
        assert set(counts.values()) == {1}


@pytest.mark.parametrize("dialect", OWN)
def test_the_expected_record_names_fields_of_the_record(
    many: dict[str, list[SimulatedCall]], dialect: str
) -> None:
    for call in many[dialect]:
        assert call.expected.keys() < set(FIELDS)
        assert not {"answered_at", "response_seconds"} & call.expected.keys()
        assert call.expected["id"] == f"cloudtalk-{call.expected['call_uuid']}"
        assert not {"call_uuid"} & call.by_order
        assert "id" in call.by_order


@pytest.mark.parametrize(
    ("dialect", "statuses"),
    [
        ("workflow", {"in_progress", "answered", "completed", "missed", "voicemail", "no_answer"}),
        ("mixed", {"in_progress", "answered", "completed", "missed", "voicemail", "no_answer"}),
        ("signed", {"completed", "missed", "voicemail", "no_answer"}),
        ("flow", {"completed", "missed", "voicemail"}),
    ],
)
def test_calls_come_to_every_status_that_the_dialect_can_tell(
    many: dict[str, list[SimulatedCall]], dialect: str, statuses: set[str]
) -> None:
    assert {call.expected["status"] for call in many[dialect]} == statuses
    for record in (call.expected for call in many[dialect]):
        incoming = record["direction"] == "inbound"
        assert record["follow_up"] == (incoming and record["status"] in {"missed", "voicemail"})
        assert (record["status"] in {"missed", "voicemail"}) <= incoming
        assert (record["status"] == "no_answer") <= (not incoming)


@pytest.mark.parametrize("dialect", OWN)
def test_a_call_that_has_ended_bears_both_ids_and_its_measures(
    many: dict[str, list[SimulatedCall]], dialect: str
) -> None:
    for call in many[dialect]:
        record, over = call.expected, bool(ended_in(call))
        assert (record["call_id"] is not None) == (record["talking_seconds"] is not None) == over
        if over:
            assert (record["talking_seconds"] > 0) == (record["status"] == "completed")
            whole = record["talking_seconds"] + record["waiting_seconds"]
            assert record.get("duration_seconds", whole) >= whole
        for message in ended_in(call):
            said = message.body.get("data", message.body)
            assert (said["call_uuid"], str(said["call_id"])) == (record["call_uuid"], record["call_id"])


@pytest.mark.parametrize("dialect", OWN)
def test_nothing_that_is_said_lies_in_the_future(many: dict[str, list[SimulatedCall]], dialect: str) -> None:
    for call in many[dialect]:
        started = datetime.fromisoformat(call.expected["started_at"])
        assert started < NOW
        assert NOW - started < timedelta(minutes=15)
        for message in call.messages:
            said = re.findall(r"20\d\d-\d\d-\d\dT[\d:.]+(?:Z|[+]\d\d:\d\d)", json.dumps(message.body))
            assert all(datetime.fromisoformat(moment) <= NOW for moment in said)


@pytest.mark.parametrize("dialect", OWN)
def test_a_recording_is_named_after_its_call(many: dict[str, list[SimulatedCall]], dialect: str) -> None:
    recorded = [call.expected for call in many[dialect] if call.expected["recording_url"]]
    assert recorded
    for record in recorded:
        assert record["status"] in {"completed", "voicemail"}
        name = unquote(record["recording_url"].removeprefix("https://my.cloudtalk.io/pub/r/").split("/")[0])
        assert base64.b64decode(name + "=" * (-len(name) % 4)).decode() == record["call_id"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("order", [None, 1, 2])
def test_the_relay_comes_to_what_is_expected(
    many: dict[str, list[SimulatedCall]], dialect: str, order: int | None
) -> None:
    """In the order of real life, and shuffled with some coming twice."""
    for call in many[dialect][:300]:
        if order is None:
            assert_comes_to(call.expected, call.messages)
        else:
            random = Random(order)
            messages = random.sample(call.messages, len(call.messages)) + random.choices(call.messages, k=2)
            assert_comes_to(call.expected_in_any_order(), messages)


def assert_comes_to(expected: dict[str, Any], messages: list[Message] | tuple[Message, ...]) -> None:
    reader = Parser(UTC, "ES")
    states = []
    for seq, message in enumerate(messages):
        raw = msgspec.json.encode(message.body)
        found = reader.read(
            RawRequest(raw, "application/json", HOOK + message.path, message.query, message_id=message.id)
        )
        if isinstance(found, Ignored):
            assert message.body.get("call_uuid", message.body.get("call.uuid")) is None
            continue
        received_at = int(NOW.timestamp() * 1_000_000) + seq
        states += [state_from_event(event, seq=seq, received_at=received_at) for event in found]
    id_ = expected.get("id", "any")
    record = msgspec.to_builtins(build_record(reduce(join, states), id=id_, version=1))
    assert {field: record[field] for field in expected} == expected


# --- workflow ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workflow(many: dict[str, list[SimulatedCall]]) -> list[SimulatedCall]:
    return many["workflow"]


def test_events_before_the_end_know_the_uuid_alone_and_recordings_the_number_alone(
    workflow: list[SimulatedCall],
) -> None:
    shapes = {
        (phase_of(body), "call_uuid" in body, "call_id" in body) for call in workflow for body in call.events
    }
    assert shapes == {("ended", True, True), ("recorded", False, True), ("before", True, False)}


def test_numbers_are_integers_or_text_with_and_without_a_plus(workflow: list[SimulatedCall]) -> None:
    kinds = set()
    for call in workflow:
        said = call.events[0]["external_number"]
        kinds.add((type(said), str(said).startswith("+")))
        assert "+" + str(said).removeprefix("+") == call.expected["external_number"]
    assert kinds == {(int, False), (str, False), (str, True)}


def test_ringing_comes_once_for_each_agent_rung(workflow: list[SimulatedCall]) -> None:
    counts = set()
    for call in workflow:
        rings = [m.body for m in call.messages if "ring" in (name_of(m) or "")]
        assert len({body["agent_id"] for body in rings}) == len(rings)
        counts.add((call.expected["direction"], len(rings)))
    assert counts == {("inbound", 1), ("inbound", 2), ("inbound", 3), ("outbound", 0)}


def test_a_recording_comes_before_its_end_or_after_it(workflow: list[SimulatedCall]) -> None:
    places: Counter[bool] = Counter()
    for call in workflow:
        phases = [phase_of(body) for body in call.events]
        if "recorded" in phases:
            places[phases.index("recorded") < phases.index("ended")] += 1
    assert set(places) == {True, False}


def test_an_end_says_whether_there_was_a_voicemail_by_true_or_null(workflow: list[SimulatedCall]) -> None:
    said = {
        (call.expected["status"] == "voicemail", m.body["is_voicemail"])
        for call in workflow
        for m in ended_in(call)
    }
    assert said == {(True, True), (True, "true"), (False, None)}


def test_an_end_that_leaves_its_time_out_leaves_the_record_without_one(workflow: list[SimulatedCall]) -> None:
    untold = [c for c in workflow for m in ended_in(c) if m.body["ended_at"] is None]
    assert untold
    assert all(c.expected["ended_at"] is None and "duration_seconds" not in c.expected for c in untold)


def test_events_are_named_by_path_query_or_key_or_known_by_their_content(
    workflow: list[SimulatedCall],
) -> None:
    ways: Counter[str] = Counter()
    for call in workflow:
        for message in call.messages:
            key = next((key for key in ("event", "event_type", "action") if key in message.body), None)
            ways[key or ("path" if message.path else "query" if message.query else "none")] += 1
            if name_of(message) is None:
                assert {"talking_time", "recording_url"} & message.body.keys()
    assert ways.keys() == {"event", "event_type", "action", "path", "query", "none"}


def test_there_is_no_event_for_a_missed_call(workflow: list[SimulatedCall]) -> None:
    names = {name_of(message) for call in workflow for message in call.messages}
    assert not any("miss" in name or "voicemail" in name for name in names if name)


def test_the_last_edit_of_the_tags_counts_and_only_in_order_where_there_are_several(
    workflow: list[SimulatedCall],
) -> None:
    edited: Counter[int] = Counter()
    for call in workflow:
        edits = [b["tags"] for b in call.events if "tags" in b and "ended_at" not in b]
        assert call.expected["tags"] == (edits[-1].split(",") if edits else [])
        assert ("tags" in call.by_order) == (len(edits) > 1)
        edited[len(edits)] += 1
    assert edited.keys() == {0, 1, 2, 3}


# --- flow, signed, mixed ----------------------------------------------------------------------


def test_a_flow_knows_the_uuid_only_once_somebody_has_answered(many: dict[str, list[SimulatedCall]]) -> None:
    for call in many["flow"]:
        step = call.events[0]
        uuid = step["call.uuid"] if "call.uuid" in step else step["call_uuid"]
        answered = call.expected["status"] == "completed"
        assert uuid == (call.expected["call_uuid"] if answered else None)
        assert ended_in(call)


def test_signed_events_wear_the_envelope_and_a_message_id(many: dict[str, list[SimulatedCall]]) -> None:
    types = set()
    for message in (m for call in many["signed"] for m in call.messages):
        body = message.body
        assert body.keys() == {"event_id", "type", "version", "occurred_at", "company_id", "data"}
        assert message.id
        assert isinstance(body["data"]["call_id"], str)
        types.add(body["type"])
    assert types == {"call.ended", "call.recording_ready", "cidata.ready", "transcript.ready"}


def test_a_summary_may_come_before_the_end(many: dict[str, list[SimulatedCall]]) -> None:
    orders = set()
    for call in many["signed"]:
        types = [body["type"] for body in call.events]
        if "cidata.ready" in types:
            orders.add(types.index("cidata.ready") < types.index("call.ended"))
    assert orders == {True, False}


def test_a_caller_may_withhold_the_number(many: dict[str, list[SimulatedCall]]) -> None:
    withheld = [c for c in many["signed"] for m in ended_in(c) if "caller_id_status" in m.body["data"]]
    assert withheld
    for call in withheld:
        assert call.expected["external_number"] is call.expected["from"] is None
        assert "external_number" not in json.dumps(call.events)


def test_mixed_calls_speak_in_several_dialects(many: dict[str, list[SimulatedCall]]) -> None:
    ways: Counter[str] = Counter()
    for call in many["mixed"]:
        spoken = {dialect_of(body) for body in call.events}
        ways.update(spoken)
        if call.expected["call_id"]:
            assert {"workflow", "signed"} <= spoken
    assert ways.keys() == {"workflow", "signed", "mission", "flow"}


def dialect_of(body: dict[str, Any]) -> str:
    if "event_id" in body:
        return "signed"
    if "data" in body:
        return "mission"
    return "workflow" if "internal_number" in body or "transcript" in body else "flow"


@pytest.mark.parametrize("dialect", OWN)
def test_spacing_lets_each_call_begin_later(dialect: str) -> None:
    near = scenarios(30, 1, NOW, dialect=dialect)
    far = scenarios(30, 1, NOW, dialect=dialect, spacing=timedelta(minutes=1))
    starts = [
        [datetime.fromisoformat(call.expected["started_at"]) for call in calls] for calls in (near, far)
    ]
    shifts = [later - sooner for sooner, later in zip(*starts, strict=True)]
    assert {later - sooner for sooner, later in pairwise(shifts)} == {timedelta(minutes=1)}
