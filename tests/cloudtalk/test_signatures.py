"""Signed webhooks: verified over the raw bytes, and anything malformed is wrong and never a crash."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cloudtalk.authentication import Authenticator, RequestHead
from relay.cloudtalk.signatures import Signatures, StaleSignature, message_id

# The vector of Standard Webhooks.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
NOW = 1614265330
RIGHT = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
OTHER = "whsec_" + base64.b64encode(b"another secret").decode()


def headers(signature: str = RIGHT, prefix: str = "svix-", **changes: str) -> dict[str, str]:
    given = {"id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "timestamp": str(NOW), "signature": signature} | changes
    return {prefix + name: value for name, value in given.items()}


def test_the_vector_of_the_standard_verifies_under_both_names() -> None:
    for prefix in ("svix-", "webhook-"):
        assert Signatures([SECRET]).verify(headers(prefix=prefix), BODY, now=NOW)


def test_any_secret_and_any_entry_will_do() -> None:
    assert Signatures([OTHER, SECRET]).verify(headers(), BODY, now=NOW)
    assert Signatures([SECRET]).verify(headers("v1,AAAA v2,xxx " + RIGHT), BODY, now=NOW)


@pytest.mark.parametrize(
    "wrong",
    [
        headers("v1,AAAA"),
        headers("v1," + "A" * 43 + "="),
        headers("v1"),
        headers(""),
        headers("v1,!!!"),
        headers("v2" + RIGHT[2:]),
        headers(timestamp=""),
        headers(timestamp="soon"),
        headers(timestamp="-1"),
        headers(timestamp="²"),
        headers(timestamp=str(NOW + 1)),
        headers(id=""),
        headers(id="msg_ñ€"),
        {"svix-signature": RIGHT},
    ],
)
def test_what_is_wrong_or_malformed_is_no_signature(wrong: dict[str, str]) -> None:
    assert not Signatures([SECRET]).verify(wrong, BODY, now=NOW)


def test_one_byte_of_the_body_matters() -> None:
    assert not Signatures([SECRET]).verify(headers(), BODY + b" ", now=NOW)
    assert not Signatures([OTHER]).verify(headers(), BODY, now=NOW)


@pytest.mark.parametrize("off", [-301, 301, 10**6])
def test_a_right_signature_of_another_time_says_that_a_clock_is_off(off: int) -> None:
    with pytest.raises(StaleSignature) as caught:
        Signatures([SECRET]).verify(headers(), BODY, now=NOW + off)
    assert caught.value.seconds == off


@pytest.mark.parametrize("off", [-300, 0, 300])
def test_within_the_tolerance_it_is_taken(off: int) -> None:
    assert Signatures([SECRET]).verify(headers(), BODY, now=NOW + off)


@pytest.mark.parametrize("prefix", ["", "sha256="])
@pytest.mark.parametrize("key", [SECRET.encode(), base64.b64decode(SECRET[6:])])
def test_a_plain_hex_signature_verifies(prefix: str, key: bytes) -> None:
    digest = hmac.new(key, BODY, hashlib.sha256).hexdigest()
    assert Signatures([SECRET]).verify({"x-cloudtalk-signature": prefix + digest}, BODY, now=NOW)
    assert not Signatures([SECRET]).verify({"x-cloudtalk-signature": "zz"}, BODY, now=NOW)


@given(st.text(max_size=60), st.text(max_size=20), st.text(max_size=20))
def test_no_header_breaks_it(signature: str, timestamp: str, id_: str) -> None:
    given = headers(signature, timestamp=timestamp, id=id_)
    assert not Signatures([SECRET]).verify(given, b"{}", now=NOW)


def test_a_wrong_signature_closes_the_door_whatever_token_comes_with_it() -> None:
    authenticator = Authenticator(["token"], Signatures([SECRET]), body_tokens=True)
    bearer = {"authorization": "Bearer token"}
    assert authenticator.authenticate(RequestHead(headers() | bearer, "", None), BODY, [], now=NOW) is None
    assert (
        authenticator.authenticate(RequestHead(headers("v1,AAAA") | bearer, "", None), BODY, [], now=NOW)
        == "wrong_signature"
    )
    assert authenticator.authenticate(RequestHead(bearer, "", None), BODY, [], now=NOW) is None
    assert authenticator.authenticate(RequestHead({}, "", None), BODY, [], now=NOW) == "no_token"


def test_with_signing_secrets_alone_a_request_without_a_signature_is_a_strangers() -> None:
    authenticator = Authenticator([], Signatures([SECRET]))
    assert authenticator.precheck(RequestHead({"host": "127.0.0.1"}, "", "127.0.0.1")) == "no_signature"


def test_the_messages_own_id_is_read_under_both_names() -> None:
    assert message_id({"svix-id": "a"}) == message_id({"webhook-id": "a"}) == "a"
    assert message_id({"svix-id": ""}) is None
