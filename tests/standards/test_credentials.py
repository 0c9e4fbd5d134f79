"""The keys of credentials in any spelling."""

import pytest

from relay.standards.credentials import is_credential_key, normalize_key


@pytest.mark.parametrize(
    "key", ["Authorization", "proxy-authorization", "apiKey", "API KEY", "x_api_key", "clientSecret", "PWD"]
)
def test_a_key_of_credentials_is_recognised_in_each_spelling(key: str) -> None:
    assert is_credential_key(key)


@pytest.mark.parametrize(
    "key",
    [
        *("authorization", "proxy_authorization", "api_key", "x_api_key", "password", "passwd", "pwd"),
        *("access_token", "refresh_token", "id_token", "auth_token", "bearer_token", "session_token"),
        *("x_webhook_token", "x_auth_token", "client_secret", "webhook_secret", "secret_key", "private_key"),
    ],
)
def test_each_of_these_keys_is_one_of_credentials(key: str) -> None:
    assert is_credential_key(key)
    assert is_credential_key(key.title().replace("_", "-"))
    assert not is_credential_key(f"{key}s")


@pytest.mark.parametrize("key", ["author", "key", "api", "call_id", "passenger", "tokens", ""])
def test_another_key_is_not(key: str) -> None:
    assert not is_credential_key(key)


def test_a_key_is_written_with_one_sign_between_its_words() -> None:
    assert [normalize_key("API - Key", sign) for sign in ("", "_", "-")] == ["apikey", "api_key", "api-key"]
