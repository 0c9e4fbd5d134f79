"""Calls of every dialect except the mission's, which has a test of its own."""

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
from relay.simulator import DIALECTS, Message, generate_calls
from tests.support.simulated import NOW, ended_messages, simulated_calls

EXCEPT_MISSION = [dialect for dialect in DIALECTS if dialect != "mission"]
WEBHOOK_PATH = "/cloudtalk/webhook"


@pytest.mark.parametrize("dialect", EXCEPT_MISSION)
def test_the_same_seed_gives_the_same_calls_however_many(dialect: str) -> None:
    assert generate_calls(20, 7, NOW, dialect=dialect) == generate_calls(30, 7, NOW, dialect=dialect)[:20]


def test_no_two_calls_share_an_id_whatever_the_dialect() -> None:
    records = [call.expected for dialect in EXCEPT_MISSION for call in simulated_calls(dialect)]
    for id_ in ("id", "call_uuid", "call_id"):
        counts = Counter(record[id_] for record in records if record[id_])
        assert set(counts.values()) == {1}


@pytest.mark.parametrize("dialect", EXCEPT_MISSION)
def test_the_expected_record_has_only_fields_of_the_record(dialect: str) -> None:
    for call in simulated_calls(dialect):
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
def test_a_dialect_has_calls_of_every_status_that_it_can_express(dialect: str, statuses: set[str]) -> None:
    assert {call.expected["status"] for call in simulated_calls(dialect)} == statuses
    for record in (call.expected for call in simulated_calls(dialect)):
        incoming = record["direction"] == "inbound"
        assert record["follow_up"] == (incoming and record["status"] in {"missed", "voicemail"})
        assert (record["status"] in {"missed", "voicemail"}) <= incoming
        assert (record["status"] == "no_answer") <= (not incoming)


@pytest.mark.parametrize("dialect", EXCEPT_MISSION)
def test_a_call_that_has_ended_has_both_ids_and_its_durations(dialect: str) -> None:
    for call in simulated_calls(dialect):
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
def test_no_time_is_in_the_future(dialect: str) -> None:
    for call in simulated_calls(dialect):
        started = datetime.fromisoformat(call.expected["started_at"])
        assert started < NOW
        assert NOW - started < timedelta(minutes=15)
        for message in call.messages:
            times = re.findall(r"20\d\d-\d\d-\d\dT[\d:.]+(?:Z|[+]\d\d:\d\d)", json.dumps(message.body))
            assert all(datetime.fromisoformat(moment) <= NOW for moment in times)


@pytest.mark.parametrize("dialect", EXCEPT_MISSION)
def test_a_recording_url_contains_the_call_id(dialect: str) -> None:
    recorded = [call.expected for call in simulated_calls(dialect) if call.expected["recording_url"]]
    assert recorded
    for record in recorded:
        assert record["status"] in {"completed", "voicemail"}
        encoded = unquote(
            record["recording_url"].removeprefix("https://my.cloudtalk.io/pub/r/").split("/")[0]
        )
        assert base64.b64decode(encoded + "=" * (-len(encoded) % 4)).decode() == record["call_id"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("order", [None, 1, 2])
def test_the_relay_builds_the_expected_record(dialect: str, order: int | None) -> None:
    """With messages in their order (`order` is None), and shuffled with duplicates."""
    for call in simulated_calls(dialect)[:300]:
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


@pytest.mark.parametrize("dialect", EXCEPT_MISSION)
def test_spacing_starts_each_call_later(dialect: str) -> None:
    near = generate_calls(30, 1, NOW, dialect=dialect)
    far = generate_calls(30, 1, NOW, dialect=dialect, spacing=timedelta(minutes=1))
    starts = [
        [datetime.fromisoformat(call.expected["started_at"]) for call in calls] for calls in (near, far)
    ]
    shifts = [later - sooner for sooner, later in zip(*starts, strict=True)]
    assert {later - sooner for sooner, later in pairwise(shifts)} == {timedelta(minutes=1)}
