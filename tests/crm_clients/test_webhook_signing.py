"""Signatures as the receivers' own libraries verify them."""

import base64
import json
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from crm_clients.webhook.signing import Signer, key_of

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"another secret, of the same right").decode()


def test_the_published_vector_holds() -> None:
    headers = Signer([SECRET]).headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("secret", [SECRET, OTHER])
def test_each_of_several_secrets_verifies(secret: str) -> None:
    body = json.dumps({"name": "ñ 漢字 🎉"}, ensure_ascii=False).encode()
    headers = Signer([SECRET, OTHER]).headers("msg_1", int(time.time()), body)
    assert Webhook(secret).verify(body, headers) == {"name": "ñ 漢字 🎉"}


def test_what_was_changed_on_the_way_does_not_verify() -> None:
    headers = Signer([SECRET]).headers("msg_1", int(time.time()), b"{}")
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(b'{"a": 1}', headers)


@pytest.mark.parametrize("secret", ["whsec_YQ==", "whsec_YQ"])
def test_a_secret_may_go_without_its_padding(secret: str) -> None:
    assert key_of(secret) == b"a"


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "YQ==", "whsec_a", "whsec_not base64", "whsec_ñ", "whpk_YQ=="]
)
def test_what_is_no_secret_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="expected whsec_ and base64") as refused:
        key_of(secret)
    assert not secret or len(secret) < 7 or secret not in str(refused.value)
