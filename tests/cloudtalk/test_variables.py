"""Variables of a template that a person typed."""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.parser import Parser
from relay.cloudtalk.request import RawRequest
from relay.cloudtalk.variables import explain_variables, find_variables

PATH = "/cloudtalk/webhook"


@pytest.mark.parametrize(
    ("body", "path", "named"),
    [
        ({"call_uuid": "{{call_uuid}}"}, "/call.ended", ["{{call_uuid}}"]),
        ({"call_uuid": "{{ Call UUID }}", "talking_time": "{{tt}}"}, "", ["{{ Call UUID }}", "{{tt}}"]),
        ({"json": {"call_id": " {{call_id}}\n"}}, "/recording.uploaded", ["{{call_id}}"]),
        ({"event": "{{event}}", "contacts[0].name": "{{contacts[0].name}}"}, "", ["{{contacts[0].name}}"]),
        ({"data": {"id": "{{id}}"}, "event": "call.started"}, "", ["{{id}}"]),
        ({"call.uuid": "{{call.uuid}}"}, "/flow", ["{{call.uuid}}"]),
        ({"my_key": "{{tags}}"}, "", ["{{tags}}"]),
        ({"call_uuid": "uuid:{{call_uuid}}"}, "/call.ended", ["{{call_uuid}}"]),
        ({"call_uuid": "<call_uuid>", "talking_time": 0}, "/call.ended", ["<call_uuid>"]),
        ({"call_id": "%call_id%", "call_uuid": "call_uuid"}, "/call.missed", ["%call_id%", "call_uuid"]),
        ({"event": "call.ended", "data": {"id": "${call_uuid}"}}, "", ["${call_uuid}"]),
        ({"event": "call.missed", "data": {"id": "x-{{id}}"}}, "", ["{{id}}"]),
        ({"call.uuid": "[[call.uuid]]"}, "/flow/call.ended", ["[[call.uuid]]"]),
    ],
)
def test_a_body_without_an_id_is_refused_with_the_names_of_its_variables(
    body: dict[str, Any], path: str, named: list[str]
) -> None:
    parser = Parser(ZoneInfo("Europe/Madrid"), "ES")
    with pytest.raises(InvalidPayload) as caught:
        parser.parse(RawRequest(msgspec.json.encode(body), path=PATH + path))
    assert (caught.value.status, caught.value.reason) == (422, "missing_id")
    assert all(name in caught.value.message for name in named)
    assert "typed; choose it from the picker" in caught.value.message


def test_only_unrendered_variables_are_found_each_once() -> None:
    values: list[Any] = ["{{a}}", " {{a}} ", "a", "Mr. {{b}} c", None, 5, [], {}, "{{b}}", "{c}", "call_uuid"]
    assert find_variables({f"key{number}": value for number, value in enumerate(values)}) == [
        "{{a}}",
        "{{b}}",
    ]


def test_in_the_place_of_an_id_the_name_of_a_key_is_a_variable() -> None:
    values = {"Call UUID": "${call_uuid}", "call_id": "call_id", "id": "%id%", "notes": "call_id"}
    assert find_variables(values) == ["${call_uuid}", "call_id", "%id%"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ([], ""),
        (["{{a}}"], "; {{a}} was typed; choose it from the picker in CloudTalk"),
        (["x" * 61], "; " + "x" * 60 + " was typed; choose it from the picker in CloudTalk"),
        (["a", "y" * 61], "; each of a, " + "y" * 60 + " was typed; choose it from the picker in CloudTalk"),
        (list("abcde"), "; each of a, b, c, d, e was typed; choose it from the picker in CloudTalk"),
        (
            list("abcdef"),
            "; each of a, b, c, d, e and 1 more was typed; choose it from the picker in CloudTalk",
        ),
    ],
)
def test_a_few_variables_are_shown_with_60_characters_of_each(variables: list[str], message: str) -> None:
    assert explain_variables(variables) == message


def test_a_variable_inside_another_field_counts_as_missing_with_a_warning() -> None:
    facts = {"contact_name": "Sr. {{contact_name}}", "from": "+{{external_number}}", "agent_id": "{agent_id}"}
    bodies = [
        {"event": "call.ended", "data": {"id": "7", **facts}},
        {"event": "call.ended", "call_id": "7", **facts},
    ]
    for body in bodies:
        events = Parser(ZoneInfo("Europe/Madrid"), "ES").parse(RawRequest(msgspec.json.encode(body)))
        assert isinstance(events, list)
        assert facts.keys().isdisjoint(events[0].facts)
        assert {warning.partition(":")[0] for warning in events[0].warnings} == facts.keys()


def test_a_typed_call_uuid_does_not_join_the_calls_with_other_ids() -> None:
    body = {"event": "call.ended", "call_uuid": "{call_uuid}", "call_id": "7"}
    events = Parser(ZoneInfo("Europe/Madrid"), "ES").parse(RawRequest(msgspec.json.encode(body)))
    assert isinstance(events, list)
    assert events[0].aliases == ("id:7",)
