"""CloudTalk's signed webhooks: verified over the raw bytes, whatever token comes with them."""

import base64
import gzip
import hashlib
import hmac

import pytest

from relay.cloudtalk.authentication import Authenticator
from relay.cloudtalk.request import RequestHead
from relay.cloudtalk.signatures import SignatureVerifier
from relay.standards.webhooks import Signer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"another secret").decode()
BODY = b'{"test": 2432232314}'
NOW = 1614265330


def signed_headers(secret: str = SECRET) -> dict[str, str]:
    return Signer([secret], prefix="svix-").headers("msg_1", NOW, BODY)


def test_any_listed_secret_verifies() -> None:
    verifier = SignatureVerifier([OTHER, SECRET])
    assert verifier.verify(signed_headers(SECRET), BODY, now=NOW)
    assert verifier.verify(signed_headers(OTHER), BODY, now=NOW)
    assert not SignatureVerifier([OTHER]).verify(signed_headers(SECRET), BODY, now=NOW)


@pytest.mark.parametrize(
    ("header", "applies"),
    [
        ("svix-signature", True),
        ("webhook-signature", True),
        ("x-cloudtalk-signature", True),
        ("svix-id", False),
        ("authorization", False),
    ],
)
def test_only_a_signature_is_verified_and_only_with_a_secret(header: str, *, applies: bool) -> None:
    assert SignatureVerifier([SECRET]).applies_to({header: ""}) is applies
    assert SignatureVerifier([]).applies_to({header: ""}) is False
    assert (bool(SignatureVerifier([SECRET])), bool(SignatureVerifier([]))) == (True, False)


def test_a_hex_signature_may_have_spaces_around_it() -> None:
    digest = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    verifier = SignatureVerifier([SECRET])
    assert verifier.verify({"x-cloudtalk-signature": f" sha256={digest.upper()} "}, BODY, now=NOW)
    for header in ("", "zz", f"sha1={digest}", digest[2:]):
        assert verifier.verify({"x-cloudtalk-signature": header}, BODY, now=NOW) is False


@pytest.mark.parametrize("prefix", ["", "sha256="])
@pytest.mark.parametrize("key", [SECRET.encode(), base64.b64decode(SECRET[6:])])
def test_a_hex_signature_of_the_body_verifies(prefix: str, key: bytes) -> None:
    digest = hmac.new(key, BODY, hashlib.sha256).hexdigest()
    verifier = SignatureVerifier([SECRET])
    assert verifier.verify({"x-cloudtalk-signature": prefix + digest}, BODY, now=NOW)
    assert not verifier.verify({"x-cloudtalk-signature": prefix + digest}, BODY + b" ", now=NOW)
    assert not verifier.verify({"x-cloudtalk-signature": "zz"}, BODY, now=NOW)


@pytest.mark.parametrize("key", [SECRET.encode(), base64.b64decode(SECRET[6:])])
@pytest.mark.parametrize("id_", ["msg_1", "0", "a=b", "9.9", "m" * 300])
@pytest.mark.parametrize("space", [b"", b" \n"])
def test_the_signed_text_of_a_standard_message_is_no_signed_body(key: bytes, id_: str, space: bytes) -> None:
    recorded = space + f"{id_}.{NOW}.".encode() + BODY
    digest = hmac.new(key, recorded, hashlib.sha256).hexdigest()
    verifier = SignatureVerifier([SECRET])
    assert not verifier.verify({"x-cloudtalk-signature": digest}, recorded, now=NOW)


@pytest.mark.parametrize("body", [b"", b"[]", b" {}", b"\xef\xbb\xbf{}", gzip.compress(b"{}", mtime=0)])
def test_the_signature_of_a_body_verifies_whatever_its_form(body: bytes) -> None:
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert SignatureVerifier([SECRET]).verify({"x-cloudtalk-signature": digest}, body, now=NOW)


@pytest.mark.parametrize("header", ["svix-id", "svix-timestamp", "webhook-id", "webhook-timestamp"])
def test_a_message_with_an_id_or_a_time_needs_a_standard_signature(header: str) -> None:
    digest = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    headers = {"x-cloudtalk-signature": digest, header: "1"}
    assert not SignatureVerifier([SECRET]).verify(headers, BODY, now=NOW)


@pytest.mark.parametrize(
    "timestamp", ["9" * 5_000, "1" * 20, "٣", "-1", "1e9", " 1614265330", "1614265330.0"]
)
def test_a_timestamp_that_is_no_unix_time_is_a_wrong_signature(timestamp: str) -> None:
    content = f"msg_1.{timestamp}.".encode("latin-1", "replace") + BODY
    digest = hmac.new(base64.b64decode(SECRET[6:]), content, hashlib.sha256).digest()
    headers = {"svix-id": "msg_1", "svix-timestamp": timestamp}
    signed = headers | {"svix-signature": f"v1,{base64.b64encode(digest).decode()}"}
    assert not SignatureVerifier([SECRET]).verify(signed, BODY, now=NOW)


def test_a_standard_signature_counts_before_a_hex_signature() -> None:
    digest = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    both = {"svix-signature": "v1,AAAA", "x-cloudtalk-signature": digest}
    assert not SignatureVerifier([SECRET]).verify(both, BODY, now=NOW)


def test_a_signature_applies_only_if_a_secret_is_listed() -> None:
    assert SignatureVerifier([SECRET]).applies_to({"x-cloudtalk-signature": ""})
    assert SignatureVerifier([SECRET]).applies_to(signed_headers())
    assert not SignatureVerifier([SECRET]).applies_to({"svix-id": "msg_1"})
    assert not SignatureVerifier([]).applies_to(signed_headers())


def test_a_wrong_signature_is_refused_whatever_token_comes_with_it() -> None:
    authenticator = Authenticator(["token"], SignatureVerifier([SECRET]), body_tokens=True)
    bearer = {"authorization": "Bearer token"}
    wrong = signed_headers() | {"svix-signature": "v1,AAAA"}

    def verify(headers: dict[str, str]) -> str | None:
        head = RequestHead(headers, "", None)
        assert authenticator.precheck(head) == "signature"
        return authenticator.verify_signature(head, BODY, now=NOW)

    assert verify(signed_headers() | bearer) is None
    assert verify(wrong | bearer) == "wrong_signature"


def test_with_signing_secrets_alone_a_request_needs_a_signature() -> None:
    authenticator = Authenticator([], SignatureVerifier([SECRET]))
    assert authenticator.precheck(RequestHead({"host": "127.0.0.1"}, "", "127.0.0.1")) == "no_signature"
