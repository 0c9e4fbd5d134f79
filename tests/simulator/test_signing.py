import pytest

from relay.simulator.signing import key_of, signature_headers


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """Their own vector."""
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signature_headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers == {
        b"svix-id": b"msg_p5jXN8AQM9LWM0D4loKWxJek",
        b"svix-timestamp": b"1614265330",
        b"svix-signature": b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_?", "secret_MfKQ", "MfKQ"])
def test_what_is_no_secret_is_said(secret: str) -> None:
    with pytest.raises(ValueError, match="expected whsec_ and base64"):
        key_of(secret)
