"""Secrets in bodies: found, and never written down."""

import msgspec
import pytest

from relay.cloudtalk.secrets import BodySecrets

SECRETS = BodySecrets(["secret", "lhc_key"], ["a-token-of-the-settings"])


def test_secrets_are_cut_at_any_depth_and_in_any_spelling() -> None:
    body = {"action": "call_started", "LHC_Key ": "s1", "data": {"secret": 7, "x": [{"secret": "s2"}]}}
    cleaned, found = SECRETS.cut(body)
    assert cleaned == {"action": "call_started", "data": {"x": [{}]}}
    assert found == ["s1", "7", "s2"]


def test_a_body_without_secrets_is_left_as_it_is() -> None:
    body = {"secrets": "no such key", "a": [1, {"b": None}]}
    cleaned, found = SECRETS.cut(body)
    assert cleaned == body
    assert found == []


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b'{"secret": 12345678, "x":', b'{"secret": "[secret]", "x":'),
        (b'{"lhc_key" : "s1", "x":', b'{"lhc_key" : "[secret]", "x":'),
        (b"a=1&secret=s1&b=2", b"a=1&secret=[secret]&b=2"),
        (b"%% a-token-of-the-settings %%", b"%% [secret] %%"),
    ],
)
def test_a_body_that_cannot_be_read_is_kept_without_what_looks_like_a_secret(raw: bytes, kept: bytes) -> None:
    assert SECRETS.cut_raw(raw) == kept


def test_no_keys_cut_nothing() -> None:
    assert BodySecrets([], []).cut_raw(b'{"secret":"x"}') == b'{"secret":"x"}'
    assert msgspec.json.encode(BodySecrets([], []).cut({"secret": "x"})[0]) == b'{"secret":"x"}'


@pytest.mark.parametrize(
    "body",
    [
        {"secret": {"v": "s3cr3t"}},
        {"lhc_key": ["s3cr3t"]},
        {"data": '{"secret":"s3cr3t","call_id":1}'},
        {"data.secret": "s3cr3t"},
        {"data[secret]": "s3cr3t"},
        {"note": "the token is a-token-of-the-settings"},
    ],
)
def test_no_secret_is_left_wherever_it_stands(body: dict[str, object]) -> None:
    cleaned, _ = SECRETS.cut(body)
    left = msgspec.json.encode(cleaned)
    assert b"s3cr3t" not in left
    assert b"a-token-of-the-settings" not in left
    assert SECRETS.may_hold(msgspec.json.encode(body))


def test_a_key_spelt_by_numbers_is_worth_a_look() -> None:
    assert SECRETS.may_hold(b'{"\\u0073ecret":"x"}')
    assert not SECRETS.may_hold(b'{"note":"nothing here"}')
