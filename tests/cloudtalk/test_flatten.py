"""Bodies of any form as one table of fields."""

from typing import Any

import pytest

from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.flatten import _normalize_key, flatten, normalize_key


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
        ("x" * 101, "x" * 101),
    ],
)
def test_a_key_is_normalized(raw_key: str, key: str) -> None:
    assert normalize_key(raw_key) == key


def test_long_keys_are_not_cached() -> None:
    before = _normalize_key.cache_info().currsize
    flatten({"x" * 101: 1})
    normalize_key("y" * 101)
    assert _normalize_key.cache_info().currsize == before


def test_an_inner_value_has_priority_over_the_envelope() -> None:
    assert flat_values({"id": "evt", "status": "ok", "data": {"id": 5, "status": None}}) == {
        "id": 5,
        "status": "ok",
    }


def test_a_dotted_key_has_priority_over_a_plain_one() -> None:
    assert flat_values({"id": "evt", "data.id": 5})["id"] == 5


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


@pytest.mark.parametrize(
    ("body", "payload", "pointer"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"event": "x", "data": {"a": 1}}, {"a": 1}, "/data"),
        ({"data": [{"a": 1}]}, {"a": 1}, "/data"),
        ({"data": '{"a": 1}'}, {"a": 1}, "/data"),
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


def test_the_depth_of_roots_is_limited() -> None:
    body: dict[str, Any] = {"call_id": 5}
    for _ in range(30):
        body = {"data": body}
    assert "callid" not in flat_values(body)


def test_json_inside_a_text_that_cannot_be_stored_is_refused_with_its_pointer() -> None:
    with pytest.raises(InvalidPayload) as caught:
        flatten({"payload": '{"a": {"b": 1e400}}'}, "/0")
    assert (caught.value.reason, caught.value.pointer) == ("unstorable_number", "/0/payload/a/b")
