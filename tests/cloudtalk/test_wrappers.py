"""Events inside wrappers: they are parsed as if they were sent without."""

import json
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.call import CallEvent, Kind
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.fields import FIRST_STEPS
from relay.cloudtalk.flatten import ROOTS, normalize_key
from relay.cloudtalk.parser import Ignored, Parser
from relay.cloudtalk.request import RawRequest
from relay.cloudtalk.wrappers import unwrap

PATH: Final = "/cloudtalk/webhook"
UUID: Final = "44fe27cd-5268-4670-993e-0129aabbccdd"
PARSER: Final = Parser(ZoneInfo("Europe/Madrid"), "ES")
MISSION: Final = {
    "event": "call.missed",
    "data": {"id": "m-1", "direction": "inbound", "from": "+34612345678"},
}
WORKFLOW: Final = {"call_uuid": UUID, "call_id": 1002402487, "talking_time": 30, "agent_id": 4}
SIGNED: Final = {
    "event_id": "evt_1",
    "type": "call.ended",
    "occurred_at": "2026-09-26T15:04:05Z",
    "data": {"call_uuid": UUID, "talking_time": 62},
}
FLOW: Final = {"call.uuid": UUID, "call.external_number": "+34612345678"}
EVENTS: Final = (MISSION, WORKFLOW, SIGNED, FLOW)


def parse(body: Any, path: str = "/call.ended") -> list[CallEvent] | Ignored:
    return PARSER.parse(RawRequest(msgspec.json.encode(body), path=PATH + path))


keys = st.one_of(
    st.sampled_from(
        ["record", "json", "item", "result", "params", "webhook", "new", "test", "llamada", "0", "Sent Data"]
    ),
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12),
).filter(lambda key: normalize_key(key).partition(".")[0] not in {*FIRST_STEPS, *ROOTS, "token", "secret"})


@given(event=st.sampled_from(EVENTS), wrappers=st.lists(keys, min_size=1, max_size=3), form=st.integers(0, 2))
def test_an_event_in_wrappers_is_the_same_event(event: Any, wrappers: list[str], form: int) -> None:
    body = event
    for key in wrappers:
        body = {key: [body, [body], json.dumps(body)][form]}
    wrapped, plain = parse(body), parse(event)
    assert isinstance(plain, list)
    assert wrapped == plain


@pytest.mark.parametrize("key", ["records", "events", "data", "payload", "calls[]"])
def test_several_events_in_a_wrapper_are_an_array(key: str) -> None:
    first, second = {**WORKFLOW, "call_id": 1}, {**WORKFLOW, "call_id": 2}
    assert parse({key: [first, second]}) == parse([first, second])


def test_each_event_of_an_array_may_have_a_wrapper() -> None:
    assert parse([{"json": WORKFLOW}, {"json": MISSION}]) == parse([WORKFLOW, MISSION])


@pytest.mark.parametrize(
    "body",
    [
        {"event": "call.ended", "record": WORKFLOW},
        {"action": "ended", "timestamp": 1, "source": {"system": "CloudTalk"}, "object": WORKFLOW},
        {"trigger": "CALL_ENDED", "contact": {"id": 9}, "item": [WORKFLOW]},
        {"event": "call.ended", "payload": {"record": {"value": WORKFLOW}}},
        {"event": "call.ended", "message": json.dumps(WORKFLOW)},
        {
            "type": "INSERT",
            "table": "calls",
            "record": {**WORKFLOW, "event": "call.ended"},
            "old_record": None,
        },
    ],
)
def test_the_name_of_the_event_and_others_may_be_beside_the_wrapper(body: dict[str, Any]) -> None:
    events = parse(body, path="")
    assert isinstance(events, list)
    (event,) = events
    assert (event.kind, event.aliases) == (Kind.ENDED, (f"uuid:{UUID}", "id:1002402487"))
    assert event.facts["talking"] == 30


def test_an_object_beside_the_fields_of_a_call_is_no_wrapper() -> None:
    body = {"call_uuid": UUID, "custom": {"call_id": 7, "direction": "outbound", "talking_time": 9}}
    events = parse(body)
    assert isinstance(events, list)
    assert events[0].aliases == (f"uuid:{UUID}",)
    assert not {"direction", "talking"} & events[0].facts.keys()


@pytest.mark.parametrize("key", ["contact", "agent", "user", "Contacts"])
def test_a_person_is_no_event(key: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        parse({key: {"id": 5, "phone": "+34612345678"}})
    assert caught.value.reason == "missing_id"


def test_two_objects_that_may_be_the_event_are_not_guessed() -> None:
    with pytest.raises(InvalidPayload) as caught:
        parse({"event": "call.ended", "old": WORKFLOW, "new": WORKFLOW})
    assert caught.value.reason == "missing_id"


def test_a_pointer_leads_through_the_wrappers() -> None:
    with pytest.raises(InvalidPayload) as caught:
        parse([{"a/b": {"c": MISSION | {"data": {"id": "x", "duration": "long"}}}}])
    assert caught.value.pointer == "/0/a~1b/c/data/duration"


def test_the_number_of_wrappers_is_limited() -> None:
    deep: Any = WORKFLOW
    for _ in range(10):
        deep = {"x": deep}
    assert unwrap(deep)[1] == "/x" * 4


@pytest.mark.parametrize(
    ("value", "inner", "pointer"),
    [
        ({"a": {"x": 1, "y": 2}}, {"x": 1, "y": 2}, "/a"),
        ({"a": [{"x": 1, "y": 2}]}, {"x": 1, "y": 2}, "/a/0"),
        ({"a": [{"x": 1}, {"x": 2}]}, [{"x": 1}, {"x": 2}], "/a"),
        ({"data": [{"x": 1}, {"x": 2}]}, [{"x": 1}, {"x": 2}], "/data"),
    ],
)
def test_the_only_key_of_an_object_may_hold_the_event(value: Any, inner: Any, pointer: str) -> None:
    assert unwrap(value) == (inner, pointer)


@pytest.mark.parametrize(
    "value",
    [
        {"a": []},
        {"a": {"x": 1}, "b": {"x": 2}},
        {"a": [1, 2]},
        {"a": [{"x": 1}, 2]},
        {"a": 5},
        {"data": {"x": 1, "y": 2}},
        {"data": [{"x": 1, "y": 2}]},
        {"contact": {"x": 1, "y": 2}},
        {"contact.custom": {"x": 1, "y": 2}},
        [{"a": {"x": 1}}],
        5,
    ],
)
def test_other_values_are_no_wrappers(value: Any) -> None:
    assert unwrap(value, "/7") == (value, "/7")


@pytest.mark.parametrize(
    "others",
    [{"items": [WORKFLOW, WORKFLOW]}, {"contact.custom": WORKFLOW}, {"contact": WORKFLOW}, {"items": "x"}],
)
def test_a_list_of_events_or_a_person_beside_the_name_is_not_guessed(others: dict[str, Any]) -> None:
    with pytest.raises(InvalidPayload) as caught:
        parse({"event": "call.ended"} | others)
    assert caught.value.reason == "missing_id"
