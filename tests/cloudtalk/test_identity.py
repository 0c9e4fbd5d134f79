"""The namespaces of ids, and the ids of one event."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cloudtalk.identity import Identity, alias_of_id, build_identity, parse_recording_call_id

UUID = "44fe27cd-5268-4670-993e-0129aabbccdd"
OTHER_UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
LINK = "https://my.cloudtalk.io/pub/r/MTAwMjQwMjQ4Nw%3D%3D/M2Q1.wav"


@pytest.mark.parametrize(
    ("id_", "alias"),
    [
        (UUID.upper(), f"uuid:{UUID}"),
        ("123", "id:123"),
        ("123.0", "id:123"),
        ("1.002402487e9", "id:1002402487"),
        ("1e5", "other:1e5"),
        ("٣", "other:٣"),
        ("call-id", "other:call-id"),
        ("null", "other:null"),
        ("{{x}}", "other:{{x}}"),
        (UUID + "0", f"other:{UUID}0"),
        ("x" * len(UUID), "other:" + "x" * len(UUID)),
    ],
)
def test_an_id_has_a_namespace_by_its_form(id_: str, alias: str) -> None:
    assert alias_of_id(id_) == alias


@pytest.mark.parametrize(
    ("call_id", "call_uuid", "url", "identity"),
    [
        ("5", None, None, Identity("5", None, ("id:5",))),
        (None, UUID.upper(), None, Identity(None, UUID, (f"uuid:{UUID}",))),
        ("5", UUID, None, Identity("5", UUID, (f"uuid:{UUID}", "id:5"))),
        ("5", None, LINK, Identity("5", None, ("id:5",))),
        (None, UUID, LINK, Identity("1002402487", UUID, (f"uuid:{UUID}", "id:1002402487"))),
        (UUID, None, LINK, Identity("1002402487", UUID, (f"uuid:{UUID}", "id:1002402487"))),
        (None, "123", None, Identity(None, "123", ("other:123",))),
        (None, "ABC", None, Identity(None, "ABC", ("other:ABC",))),
        (UUID, OTHER_UUID, None, Identity(UUID, OTHER_UUID, (f"uuid:{OTHER_UUID}", f"uuid:{UUID}"))),
        ("x", "x", None, Identity("x", "x", ("other:x",))),
        (None, None, "https://x.test/a.wav", Identity(None, None, ())),
    ],
)
def test_an_identity_has_all_ids_of_the_event(
    call_id: str | None, call_uuid: str | None, url: str | None, identity: Identity
) -> None:
    assert build_identity(call_id, call_uuid, url) == identity


@given(st.integers(0, 2**63 - 1), st.sampled_from(["padded", "quoted", "unpadded"]))
def test_a_recording_link_gives_its_call_id_with_any_padding(number: int, form: str) -> None:
    encoded = base64.b64encode(str(number).encode()).decode()
    segment = {"padded": encoded, "quoted": quote(encoded), "unpadded": encoded.rstrip("=")}[form]
    assert parse_recording_call_id(f"https://my.cloudtalk.io/pub/r/{segment}/abc.wav") == str(number)


@pytest.mark.parametrize(
    ("name", "call_id"),
    [
        ("7.json", "7"),
        ("7", "7"),
        ("", None),
        ("a.json", None),
        ("7/8.json", None),
        (f"{'9' * 20}.json", None),
    ],
)
def test_the_link_of_the_api_gives_the_call_id(name: str, call_id: str | None) -> None:
    assert parse_recording_call_id(f"https://my.cloudtalk.io/api/calls/recording/{name}") == call_id


def test_a_call_id_has_at_most_19_digits() -> None:
    assert parse_recording_call_id("/PUB/R/OTk5OTk5OTk5OTk5OTk5OTk5OQ") == "9999999999999999999"
    assert parse_recording_call_id("/pub/r/OTk5OTk5OTk5OTk5OTk5OTk5OTk") is None
    assert parse_recording_call_id("/pub/r/MQ===") == "1"


@pytest.mark.parametrize(
    "segment", ["", "%", "a", "aGVsbG8", "MTAwMjQwMjQ4N", "4pmA", "%FF%FE", "MTIz IA", "MTIz!", "LTU"]
)
def test_a_link_without_a_number_gives_no_call_id(segment: str) -> None:
    assert parse_recording_call_id(f"https://my.cloudtalk.io/pub/r/{segment}/abc.wav") is None


@given(st.text(max_size=90))
def test_any_link_gives_digits_or_none(text: str) -> None:
    call_id = parse_recording_call_id("/pub/r/" + text)
    assert call_id is None or (call_id.isascii() and call_id.isdigit())
