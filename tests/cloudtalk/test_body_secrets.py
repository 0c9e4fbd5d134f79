"""Secrets in bodies and queries: found and removed."""

import msgspec
import pytest

from relay.cloudtalk.body_secrets import BodySecrets

SECRETS = BodySecrets(["secret", "lhc_key"], ["a-token-of-the-settings"])


def test_secrets_are_removed_at_any_depth_and_in_any_case() -> None:
    body = {"action": "call_started", "LHC_Key ": "s1", "data": {"secret": 7, "x": [{"secret": "s2"}]}}
    clean, removed = SECRETS.remove(body)
    assert clean == {"action": "call_started", "data": {"x": [{}]}}
    assert removed == ["s1", "7", "s2"]


def test_a_body_without_secrets_stays_as_it_is() -> None:
    body = {"secrets": "no such key", "a": [1, {"b": None}]}
    clean, removed = SECRETS.remove(body)
    assert clean == body
    assert removed == []


@pytest.mark.parametrize(
    ("raw", "redacted"),
    [
        (b'{"secret": 12345678, "x":', b'{"secret": "[secret]", "x":'),
        (b'{"lhc_key" : "s1", "x":', b'{"lhc_key" : "[secret]", "x":'),
        (b"a=1&secret=s1&b=2", b"a=1&secret=[secret]&b=2"),
        (b"%% a-token-of-the-settings %%", b"%% [secret] %%"),
    ],
)
def test_a_body_that_cannot_be_parsed_is_redacted(raw: bytes, redacted: bytes) -> None:
    assert SECRETS.redact_raw(raw) == redacted


def test_without_secret_keys_nothing_is_removed() -> None:
    assert BodySecrets([], []).redact_raw(b'{"secret":"x"}') == b'{"secret":"x"}'
    assert msgspec.json.encode(BodySecrets([], []).remove({"secret": "x"})[0]) == b'{"secret":"x"}'


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
def test_no_secret_stays_in_any_place(body: dict[str, object]) -> None:
    clean, _ = SECRETS.remove(body)
    encoded = msgspec.json.encode(clean)
    assert b"s3cr3t" not in encoded
    assert b"a-token-of-the-settings" not in encoded
    assert SECRETS.may_be_in(msgspec.json.encode(body))


def test_a_key_with_escaped_characters_is_suspicious() -> None:
    assert SECRETS.may_be_in(b'{"\\u0073ecret":"x"}')
    assert not SECRETS.may_be_in(b'{"note":"nothing here"}')


def test_a_token_is_removed_from_the_query() -> None:
    secrets = BodySecrets(["token", "secret"], [])
    assert secrets.remove_from_query("event=x&token=secret&a=") == "event=x&a="
    assert secrets.remove_from_query("event=x&b=%20") == "event=x&b=%20"
