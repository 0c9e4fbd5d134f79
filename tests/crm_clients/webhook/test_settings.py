from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from crm_clients.webhook import WebhookSettings
from tests.support.receiver import OTHER_SECRET, SECRET


def settings_of(**values: Any) -> WebhookSettings:
    defaults = {"client": "webhook", "url": "https://hook.example", "secret": SECRET}
    return WebhookSettings.model_validate(defaults | values)


@pytest.mark.parametrize(
    "secret",
    [SECRET, [SECRET], f"{SECRET} {OTHER_SECRET}", f"{SECRET}\n{OTHER_SECRET}\n", [SECRET, OTHER_SECRET]],
)
def test_secrets_can_be_a_text_or_a_list(secret: Any) -> None:
    secrets = settings_of(secret=secret).secret
    assert [SecretStr(SECRET), SecretStr(OTHER_SECRET)][: len(secrets)] == list(secrets)


@pytest.mark.parametrize(
    "secret", ["", [], "whsec_", "token", ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "no"]]
)
def test_an_invalid_secret_is_refused_and_not_shown(secret: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        settings_of(secret=secret)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        *("", "hook.example", "ftp://hook.example", "http://", "https://user:word@hook.example"),
        *("https://hook.example/#a", "http://hook.example:x", "http://hook.example:0", "http://[::1"),
        "https://xn--.example",
    ],
)
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="expected an http:// or https:// URL"):
        settings_of(url=url)
