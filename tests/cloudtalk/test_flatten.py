"""Bodies of any shape as one flat table."""

from typing import Any

import pytest

from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.flatten import _normalize_key, flatten, normalize_key


def found(body: dict[str, Any]) -> dict[str, Any]:
    return {word: said.value for word, said in flatten(body).found.items()}


@pytest.mark.parametrize(
    ("key", "word"),
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
def test_a_key_is_a_word_without_its_looks(key: str, word: str) -> None:
    assert normalize_key(key) == word


def test_long_keys_are_not_remembered() -> None:
    before = _normalize_key.cache_info().currsize
    flatten({"x" * 101: 1})
    normalize_key("y" * 101)
    assert _normalize_key.cache_info().currsize == before


def test_what_stands_deeper_speaks_over_its_envelope() -> None:
    assert found({"id": "evt", "status": "ok", "data": {"id": 5, "status": None}}) == {
        "id": 5,
        "status": "ok",
    }


def test_a_dotted_key_speaks_over_a_bare_one() -> None:
    assert found({"id": "evt", "data.id": 5})["id"] == 5


def test_of_two_spellings_the_first_that_says_something_counts() -> None:
    assert found({"Call_id": "null", "call_id": 5, "callId": 6})["callid"] == 5


def test_names_are_heard_from_the_outermost_in() -> None:
    shape = flatten({"data": {"type": "incoming"}, "event": "call.ended"})
    assert [(said.key, said.value) for said in shape.names] == [("event", "call.ended"), ("type", "incoming")]


def test_parts_of_objects_stand_under_their_names() -> None:
    body = {"Contact": {"Name": "Ana"}, "contacts": [{"id": 1}, {"id": 2}], "agent": {}}
    table = found(body)
    assert (table["contact.name"], table["contacts.id"]) == ("Ana", 1)


@pytest.mark.parametrize(
    ("body", "payload", "at"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"event": "x", "data": {"a": 1}}, {"a": 1}, "/data"),
        ({"data": [{"a": 1}]}, {"a": 1}, "/data"),
        ({"data": '{"a": 1}'}, {"a": 1}, "/data"),
        ({"body": {"data": {"a": 1}}}, {"a": 1}, "/body/data"),
        ({"call": {"a": 1}, "contact": {}}, {"call": {"a": 1}, "contact": {}}, ""),
        ({"data": "{no json"}, {"data": "{no json"}, ""),
        ({"data": [{"a": 1}, {"a": 2}]}, {"data": [{"a": 1}, {"a": 2}]}, ""),
    ],
)
def test_the_payload_is_what_is_kept(body: dict[str, Any], payload: dict[str, Any], at: str) -> None:
    shape = flatten(body)
    assert (shape.payload, shape.payload_at) == (payload, at)


def test_a_place_is_told_from_where_the_body_stands() -> None:
    assert flatten({"data": {"a/b": 1}}, "/3").found["a/b"].pointer == "/3/data/a~1b"


def test_roots_within_roots_end_somewhere() -> None:
    body: dict[str, Any] = {"call_id": 5}
    for _ in range(30):
        body = {"data": body}
    assert "callid" not in found(body)


def test_text_that_holds_what_cannot_be_kept_is_refused_with_its_place() -> None:
    with pytest.raises(InvalidPayload) as caught:
        flatten({"payload": '{"a": {"b": "\\u0000"}}'}, "/0")
    assert (caught.value.reason, caught.value.pointer) == ("unstorable_text", "/0/payload/a/b")
