"""Which dialect a body has."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from relay.cloudtalk.dialects import DIALECTS, SIGNED, recognise_dialect
from relay.cloudtalk.flatten import flatten
from relay.cloudtalk.parser import Parser
from relay.cloudtalk.request import RawRequest

RELAY = Path(__file__).parents[2] / "relay"
PATH = "/cloudtalk/webhook"
UUID = "44fe27cd-5268-4670-993e-0129aabbccdd"


def dialect_of(body: Any, path: str = PATH, message_id: str | None = None) -> str:
    events = Parser(ZoneInfo("Europe/Madrid"), "ES").parse(
        RawRequest(msgspec.json.encode(body), path=path, message_id=message_id)
    )
    assert isinstance(events, list)
    return events[0].dialect


@pytest.mark.parametrize(
    ("body", "dialect"),
    [
        ({"event": "call.ended", "data": {"id": "x"}}, "mission"),
        ({"event": "call.ended", "data": {"id": "x", "call_uuid": UUID}}, "mission"),
        ({"event": "call.ended", "data": {"call_uuid": UUID}}, "workflow"),
        ({"event": "call.ended", "data": {"call_id": 5}}, "workflow"),
        ({"event": "call.ended", "data": {"id": "x", "call_id": 5}}, "mission"),
        ({"event": "CALL_ENDED", "data": {"id": "x"}}, "workflow"),
        ({"event": "call.ended", "id": "x"}, "workflow"),
        ({"type": "call.ended", "event_id": "e", "data": {"call_uuid": UUID}}, "signed"),
        ({"type": "call.ended", "occurred_at": None, "data": {"call_uuid": UUID}}, "signed"),
        ({"type": "call.ended", "company_id": 1, "data": {"call_uuid": UUID}}, "signed"),
        ({"type": "call.ended", "data": {"call_uuid": UUID}}, "workflow"),
        ({"type": 5, "event_id": "e", "call_uuid": UUID}, "workflow"),
        ({"event": None, "data": {"id": "x", "call_uuid": UUID}}, "workflow"),
        ({"event": "call.ended", "data": {"call": {"id": 5}}}, "workflow"),
        ({"event": "call.ended", "data": {"calls": [{"call_id": 5}]}}, "workflow"),
        ({"call.uuid": UUID}, "flow"),
        ({"contact.id": 5, "call_uuid": UUID}, "flow"),
        ({"call.external_number": "+34612345678", "call_uuid": UUID}, "flow"),
        ({"call.waiting_time": 5, "call_uuid": UUID}, "flow"),
        ({"call.agent_id": 5, "call_uuid": UUID}, "flow"),
        ({"call.agent_email": "a@b.test", "call_uuid": UUID}, "flow"),
        ({"uuid": UUID}, "flow"),
        ({"call": {"uuid": UUID}}, "flow"),
        ({"call": {"call_uuid": UUID}}, "workflow"),
        ({"uuid": "x", "call_uuid": UUID}, "workflow"),
        ({"call_uuid": UUID}, "workflow"),
    ],
)
def test_a_dialect_is_recognised_by_the_body(body: Any, dialect: str) -> None:
    assert dialect_of(body) == dialect


def test_each_dialect_is_declared_with_these_properties() -> None:
    assert [
        (
            d.name,
            d.source_rank,
            d.single_id,
            d.always_ack,
            d.quarantine_unknown,
            d.enveloped,
            d.outcome_variable,
        )
        for d in DIALECTS
    ] == [
        ("rest", 4, False, False, True, False, "talking_time"),
        ("rest", -1, False, False, True, False, "talking_time"),  # answers to questions about one call
        ("mission", 1, True, False, True, False, "status"),
        ("signed", 3, False, True, True, True, "talking_time"),
        ("flow", 2, False, True, False, False, "talking_time"),
        ("workflow", 2, False, False, True, False, "talking_time"),
    ]


@pytest.mark.parametrize("data", [{}, {"x": 5}, {"a": {}, "b": 1}])
def test_an_object_that_is_no_wrapper_is_a_mission_without_an_id(data: dict[str, Any]) -> None:
    assert recognise_dialect({"event": "call.ended", "data": data}, RawRequest(b"")).name == "mission"


@pytest.mark.parametrize("path", ["/flow", "/flow/", "/flow/call.answered"])
def test_a_call_flow_is_recognised_by_the_url(path: str) -> None:
    assert dialect_of({"call_uuid": UUID}, PATH + path) == "flow"


def test_a_signed_body_is_recognised_by_its_message_id() -> None:
    assert dialect_of({"call_uuid": UUID}, message_id="m") == "signed"
    assert dialect_of({"event": "call.ended", "data": {"id": "x"}}, message_id="m") == "mission"


def test_the_join_and_the_fold_know_no_dialect_by_name() -> None:
    """A new dialect needs one declaration and no change elsewhere."""
    names = {f'"{dialect.name}"' for dialect in DIALECTS}
    modules = [module for pattern in ("call.py", "call/*.py", "fold/*.py") for module in RELAY.glob(pattern)]
    assert modules
    for module in modules:
        assert not [name for name in names if name in module.read_text("utf-8")], module


@pytest.mark.parametrize("event", ["call.started", "call.answered", "call.ended", "call.missed", 5, 1.5, []])
def test_an_event_of_the_mission_without_any_id_is_one(event: Any) -> None:
    is_named = isinstance(event, str)
    assert recognise_dialect({"event": event, "data": {}}, RawRequest(b"")).name == (
        "mission" if is_named else "workflow"
    )
    assert recognise_dialect({"event": event, "data": {"id": "x"}}, RawRequest(b"")).name == "mission"


def test_a_signed_body_is_flattened_like_any_other_body() -> None:
    data = {
        "call_uuid": UUID,
        "call_id": "1002402487",
        "direction": "incoming",
        "external_number": "+12025550100",
        "internal_number": {"number_e164": "+12025550111"},
        "started_at": "2026-09-26T15:03:00Z",
        "ended_at": "2026-09-26T15:04:05Z",
        "answered_at": "2026-09-26T15:03:10Z",
        "duration": 75,
        "talking_time": None,
        "waiting_time": 3,
        "wrapup_time": 4,
        "is_voicemail": False,
        "caller_id_status": {"a": 1},
        "recording_url": "https://x.test/a",
        "contact_id": 5,
        "contact_name": "Ana",
        "agent_id": 6,
        "agent_name": "Eva",
        "agent_email": "eva@x.test",
        "status": "answered",
    }
    body = {
        "event_id": "evt",
        "type": "call.ended",
        "version": "v1",
        "occurred_at": "2026-09-26T15:04:05Z",
        "company_id": "1",
        "data": data,
    }
    fast, slow = SIGNED.flatten(body, "/0"), flatten(body, "/0")
    assert {key: (field.pointer, field.value) for key, field in fast.fields.items()} == {
        **{
            key.replace("_", ""): (f"/0/data/{key}", value)
            for key, value in data.items()
            if value is not None
        },
        "eventid": ("/0/event_id", "evt"),
        "occurredat": ("/0/occurred_at", "2026-09-26T15:04:05Z"),
    }
    assert fast.fields.items() <= slow.fields.items()
    assert [(field.pointer, field.value) for field in fast.event_names] == [("/0/type", "call.ended")]


@pytest.mark.parametrize(
    ("body", "keys"),
    [
        ({"type": "call.ended", "event_id": "e"}, {"type", "eventid"}),
        ({"type": "call.ended", "event_id": "e", "data": {"call_id": 5}}, {"callid", "eventid"}),
        ({"type": "call.ended", "data": {"call_id": 5}, "call_uuid": UUID}, {"callid", "calluuid", "type"}),
        ({"type": "call.ended", "data": {"call_id": 5, "custom": 1}}, {"callid", "custom", "type"}),
        ({"type": "call.ended", "data": [{"call_id": 5}]}, {"callid", "type"}),
    ],
)
def test_a_signed_body_with_other_keys_loses_none(body: dict[str, Any], keys: set[str]) -> None:
    flat = SIGNED.flatten(body, "")
    assert flat.fields.keys() == keys
    assert [field.value for field in flat.event_names] == ["call.ended"]
