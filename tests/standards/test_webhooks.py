"""Standard Webhooks: the published example, and the `standardwebhooks` library as a second opinion."""

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from relay.standards.webhooks import (
    SHORTEST_KEY,
    Signer,
    StaleSignature,
    Verifier,
    decode_secret,
    has_headers,
    has_signature,
    message_id,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"another secret, of the same right").decode()
BODY = b'{"test": 2432232314}'
NOW = 1614265330
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def headers(signature: str = SIGNATURE, prefix: str = "svix-", **changes: str) -> dict[str, str]:
    values = {"id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "timestamp": str(NOW), "signature": signature} | changes
    return {prefix + name: value for name, value in values.items()}


def verifier(*secrets: str) -> Verifier:
    return Verifier([decode_secret(secret) for secret in secrets])


# --- secrets -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("whsec_YQ==", b"a"),
        ("whsec_YQ", b"a"),
        ("whsec_YQ=", b"a"),
        ("whsec_YWI=", b"ab"),
        ("whsec_YWI", b"ab"),
        ("whsec_YWJX", b"abW"),
    ],
)
def test_padding_of_a_secret_is_optional(secret: str, key: bytes) -> None:
    assert decode_secret(secret) == key


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "YQ==",
        "whsec_a",
        "whsec_=YQ==",
        "whsec_YQ===",
        "whsec_?",
        "whsec_not base64",
        "whsec_YWJj?",
        "whsec_ñ",
        "whpk_YQ==",
        "secret_MfKQ",
    ],
)
def test_an_invalid_secret_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="expected whsec_ and base64") as caught:
        decode_secret(secret)
    assert not secret or len(secret) < 7 or secret not in str(caught.value)


# --- signing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["webhook-", "svix-"])
def test_the_signer_gives_the_published_signature(prefix: str) -> None:
    signed = Signer([SECRET], prefix=prefix).headers("msg_p5jXN8AQM9LWM0D4loKWxJek", NOW, BODY)
    assert signed == headers(prefix=prefix)


def test_a_message_has_a_signature_of_each_secret_in_their_order() -> None:
    signed = Signer([SECRET, SECRET]).headers("msg_p5jXN8AQM9LWM0D4loKWxJek", NOW, BODY)
    assert signed["webhook-signature"] == f"{SIGNATURE} {SIGNATURE}"


@pytest.mark.parametrize("secret", [SECRET, OTHER])
def test_each_of_several_secrets_signs(secret: str) -> None:
    body = json.dumps({"name": "ñ 漢字 🎉"}, ensure_ascii=False).encode()
    signed = Signer([SECRET, OTHER]).headers("msg_1", int(time.time()), body)
    assert Webhook(secret).verify(body, signed) == {"name": "ñ 漢字 🎉"}


def test_a_changed_body_does_not_verify() -> None:
    signed = Signer([SECRET]).headers("msg_1", int(time.time()), b"{}")
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(b'{"a": 1}', signed)


# --- verification ------------------------------------------------------------------------------


def test_the_published_signature_verifies_under_both_prefixes() -> None:
    for prefix in ("svix-", "webhook-"):
        assert verifier(SECRET).verify(headers(prefix=prefix), BODY, now=NOW)


def test_any_secret_and_any_signature_of_the_header_may_match() -> None:
    assert verifier(OTHER, SECRET).verify(headers(), BODY, now=NOW)
    assert verifier(SECRET).verify(headers("v1,AAAA v2,xxx " + SIGNATURE), BODY, now=NOW)


@pytest.mark.parametrize(
    "wrong",
    [
        headers("v1,AAAA"),
        headers("v1," + "A" * 43 + "="),
        headers("v1"),
        headers(""),
        headers("v1,!!!"),
        headers(SIGNATURE[:10] + "!" + SIGNATURE[10:]),
        headers("v2" + SIGNATURE[2:]),
        headers(timestamp=""),
        headers(timestamp="soon"),
        headers(timestamp="-1"),
        headers(timestamp="²"),
        headers(timestamp=str(NOW + 1)),
        headers(id=""),
        headers(id="msg_ñ€"),
        {"svix-signature": SIGNATURE},
        {},
    ],
)
def test_a_wrong_or_malformed_signature_is_invalid(wrong: dict[str, str]) -> None:
    assert verifier(SECRET).verify(wrong, BODY, now=NOW) is False


@pytest.mark.parametrize(("id_", "timestamp"), [("", NOW), ("msg_1", "soon"), ("msg_1", "")])
def test_a_signature_over_no_id_or_no_time_is_invalid(id_: str, timestamp: Any) -> None:
    signed = Signer([SECRET]).headers(id_, timestamp, BODY)
    assert verifier(SECRET).verify(signed, BODY, now=NOW) is False


def test_another_body_or_another_secret_is_invalid() -> None:
    assert not verifier(SECRET).verify(headers(), BODY + b" ", now=NOW)
    assert not verifier(OTHER).verify(headers(), BODY, now=NOW)


@pytest.mark.parametrize("off", [-301, 301, 10**6])
def test_a_valid_signature_of_another_time_is_stale(off: int) -> None:
    with pytest.raises(StaleSignature) as caught:
        verifier(SECRET).verify(headers(), BODY, now=NOW + off)
    assert caught.value.seconds == off


@pytest.mark.parametrize("off", [-300, 0, 300])
def test_a_signature_within_the_tolerance_is_valid(off: int) -> None:
    assert verifier(SECRET).verify(headers(), BODY, now=NOW + off)


@given(st.text(max_size=60), st.text(max_size=20), st.text(max_size=20))
def test_no_header_raises_another_error(signature: str, timestamp: str, id_: str) -> None:
    assert not verifier(SECRET).verify(headers(signature, timestamp=timestamp, id=id_), b"{}", now=NOW)


# --- headers -----------------------------------------------------------------------------------


def test_a_request_is_signed_if_it_has_a_signature_header_of_either_prefix() -> None:
    assert has_signature({"svix-signature": ""})
    assert has_signature({"webhook-signature": ""})
    assert not has_signature({"svix-id": "a"})


def test_the_message_id_is_read_under_both_prefixes() -> None:
    assert message_id({"svix-id": "a"}) == message_id({"webhook-id": "a"}) == "a"
    assert message_id({"svix-id": ""}) is None
    assert message_id({"svix-id": "", "webhook-id": "b"}) == "b"
    assert message_id({"svix-id": "a", "webhook-id": "b"}) == "a"


@pytest.mark.parametrize("prefix", ["svix-", "webhook-"])
@pytest.mark.parametrize("name", ["id", "timestamp", "signature"])
def test_each_header_of_a_message_is_recognised(prefix: str, name: str) -> None:
    assert has_headers({prefix + name: "", "accept": "*/*"}) is True
    assert has_headers({f"x-{prefix}{name}": ""}) is False


def test_a_stale_signature_says_how_old_it_is() -> None:
    assert str(StaleSignature(301)) == "the signature is 301 s old"
    assert str(StaleSignature(-301)) == "the signature is 301 s ahead"


def test_a_secret_as_the_standard_has_it_is_long_enough() -> None:
    assert (len(decode_secret(SECRET)), SHORTEST_KEY) == (24, 24)


def test_only_a_few_signatures_of_a_message_are_compared() -> None:
    assert verifier(SECRET).verify(headers("v1,AAAA " * 15 + SIGNATURE), BODY, now=NOW)
    assert not verifier(SECRET).verify(headers("v1,AAAA " * 16 + SIGNATURE), BODY, now=NOW)


def test_a_malformed_signature_hides_no_valid_one_behind_it() -> None:
    for malformed in ("v1,?", "v1,a", "v2,AA==", "v1", ","):
        assert verifier(SECRET).verify(headers(f"{malformed} {SIGNATURE}"), BODY, now=NOW)
