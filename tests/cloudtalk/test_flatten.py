"""Bodies of any form as one table of fields."""

from itertools import pairwise
from typing import Any

import pytest

from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.flatten import _normalize_key, flatten, normalize_key, parse_nested


def flat_values(body: dict[str, Any]) -> dict[str, Any]:
    return {key: field.value for key, field in flatten(body).fields.items()}


@pytest.mark.parametrize(
    ("raw_key", "key"),
    [
        ("call_id", "callid"),
        (" Call_ID\t", "callid"),
        ("callId", "callid"),
        ("Call-Id", "callid"),
        ("data.id", "id"),
        ("call.id", "callid"),
        ("Cdr.id", "callid"),
        ("data[call][id]", "callid"),
        ("contacts[0].name", "contacts.name"),
        ("Correo Electrónico", "correoelectrónico"),
        ("event.properties.call_uuid", "calluuid"),
        ("data", "data"),
        (".", ""),
        ("", ""),
        ("a]_- \t\n\rB[c", "ab.c"),
        ("Cdr[Body].call.x", "x"),
        ("X" * 100, "x" * 100),
        ("X" * 101, "X" * 101),
    ],
)
def test_a_key_is_normalized(raw_key: str, key: str) -> None:
    assert normalize_key(raw_key) == key


def test_long_keys_are_not_cached() -> None:
    before = _normalize_key.cache_info().currsize
    flatten({"x" * 101: 1})
    normalize_key("y" * 101)
    assert _normalize_key.cache_info().currsize == before


@pytest.mark.parametrize("root", ["data", "call", "payload", "event", "properties", "body", "cdr"])
def test_the_fields_of_each_root_are_fields_of_the_body(root: str) -> None:
    assert flat_values({root: {"Call_UUID": "u"}, "x": 1}) == {"calluuid": "u", "x": 1}
    assert flat_values({f"{root}.call_uuid": "u"}) == {"calluuid": "u"}
    id_ = "callid" if root in {"call", "cdr"} else "id"
    assert flat_values({root: {"id": 5}}) == flat_values({f"{root}[id]": 5}) == {id_: 5}


def test_the_first_root_has_priority() -> None:
    roots = ("data", "call", "payload", "event", "properties", "body", "cdr")
    for first, second in pairwise(roots):
        assert flat_values({second: {"x": 2}, first: {"x": 1}}) == {"x": 1}


def test_only_a_root_of_the_payload_holds_the_payload() -> None:
    for root in ("call", "event", "cdr"):
        assert flatten({root: {"a": 1}}).payload_pointer == ""
    for root in ("data", "payload", "properties", "body"):
        assert flatten({root: {"a": 1}}).payload_pointer == f"/{root}"


@pytest.mark.parametrize("key", ["event", "Event_Type", "action", "trigger", "type"])
def test_each_key_of_an_event_name_is_listed(key: str) -> None:
    assert [field.value for field in flatten({"a": 1, key: "x"}).event_names] == ["x"]


def test_a_long_key_of_a_body_is_not_normalized() -> None:
    assert flat_values({"X" * 100: 1, "X" * 101: 2}) == {"x" * 100: 1, "X" * 101: 2}


def test_an_inner_value_has_priority_over_the_envelope() -> None:
    assert flat_values({"id": "evt", "status": "ok", "data": {"id": 5, "status": None}}) == {
        "id": 5,
        "status": "ok",
    }


def test_a_dotted_key_has_priority_over_a_plain_one() -> None:
    assert flat_values({"id": "evt", "data.id": 5})["id"] == 5
    assert flat_values({"id": "evt", "data[id]": 5})["id"] == 5


def test_the_first_of_two_forms_of_a_key_that_has_a_value_counts() -> None:
    assert flat_values({"Call_id": "null", "call_id": 5, "callId": 6})["callid"] == 5


def test_event_names_are_listed_from_the_outermost_to_the_innermost() -> None:
    flat = flatten({"data": {"type": "incoming"}, "event": "call.ended"})
    assert [(field.key, field.value) for field in flat.event_names] == [
        ("event", "call.ended"),
        ("type", "incoming"),
    ]


def test_parts_of_objects_have_dotted_keys() -> None:
    body = {"Contact": {"Name": "Ana"}, "contacts": [{"id": 1}, {"id": 2}], "agent": {}}
    values = flat_values(body)
    assert (values["contact.name"], values["contacts.id"]) == ("Ana", 1)
    assert flat_values({"contact": {"name": "null", "Name": "Ana", "NAME": "Eva"}})["contact.name"] == "Ana"
    assert flat_values({"contact": {"name": "Ana"}, "contact.name": "Eva"})["contact.name"] == "Eva"
    assert flat_values({"contacts": [], "tags": ["a", {"id": 1}]}) == {
        "contacts": [],
        "tags": ["a", {"id": 1}],
    }


@pytest.mark.parametrize(
    ("body", "payload", "pointer"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"event": "x", "data": {"a": 1}}, {"a": 1}, "/data"),
        ({"data": [{"a": 1}]}, {"a": 1}, "/data"),
        ({"data": '{"a": 1}'}, {"a": 1}, "/data"),
        ({"data": '[{"a": 1}]'}, {"a": 1}, "/data"),
        ({"data": "1e400"}, {"data": "1e400"}, ""),
        ({"body": {"data": {"a": 1}}}, {"a": 1}, "/body/data"),
        ({"body": {"a": 1}, "x": 2}, {"a": 1}, "/body"),
        ({"payload": {"a": 1}, "x": 2}, {"a": 1}, "/payload"),
        ({"properties": {"a": 1}, "x": 2}, {"a": 1}, "/properties"),
        ({"call": {"a": 1}, "contact": {}}, {"call": {"a": 1}, "contact": {}}, ""),
        ({"data": "{no json"}, {"data": "{no json"}, ""),
        ({"data": [{"a": 1}, {"a": 2}]}, {"data": [{"a": 1}, {"a": 2}]}, ""),
    ],
)
def test_the_payload_is_the_innermost_root(
    body: dict[str, Any], payload: dict[str, Any], pointer: str
) -> None:
    flat = flatten(body)
    assert (flat.payload, flat.payload_pointer) == (payload, pointer)


def test_a_pointer_begins_with_the_pointer_of_the_body() -> None:
    assert flatten({"data": {"a/b": 1}}, "/3").fields["a/b"].pointer == "/3/data/a~1b"


def test_roots_are_looked_for_in_four_levels() -> None:
    assert flat_values({"data": {"data": {"data": {"data": {"x": 5}}}}}) == {"x": 5}
    deeper = {"data": {"data": {"data": {"data": {"data": {"x": 5}}}}}}
    assert flat_values(deeper) == {"data": {"x": 5}, "data.x": 5}


@pytest.mark.parametrize("value", ["5", "null", '"a"', "{x", "[x", 5, None, {"a": 1}, [1]])
def test_a_value_that_is_no_json_of_an_object_or_list_stays(value: object) -> None:
    assert parse_nested(value, "", "data") == value


def test_an_object_or_a_list_in_a_text_is_parsed() -> None:
    assert parse_nested('{"a": 1}', "", "data") == {"a": 1}
    assert parse_nested('[1, "a"]', "", "data") == [1, "a"]


def test_json_inside_a_text_that_cannot_be_stored_is_refused_with_its_pointer() -> None:
    with pytest.raises(InvalidPayload) as caught:
        flatten({"payload": '{"a": {"b": 1e400}}'}, "/0")
    assert (caught.value.reason, caught.value.pointer) == ("unstorable_number", "/0/payload/a/b")
