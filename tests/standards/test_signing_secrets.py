import pytest
from pydantic import TypeAdapter, ValidationError

from relay.standards.signing_secrets import SigningSecrets, validate_receiver

FIRST = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECOND = "whsec_c2Vjb25kIHNlY3JldCBvZiAyNCBieXRlcw=="


def test_several_secrets_are_a_list_or_one_text() -> None:
    read = TypeAdapter[SigningSecrets](SigningSecrets).validate_python
    for written in ([FIRST, SECOND], f"{FIRST} {SECOND}"):
        assert [secret.get_secret_value() for secret in read(written)] == [FIRST, SECOND]


def test_a_secret_that_is_none_is_refused_with_the_command_that_creates_one() -> None:
    with pytest.raises(ValidationError, match=r"openssl rand -base64 32"):
        TypeAdapter[SigningSecrets](SigningSecrets).validate_python([FIRST, "whsec_short"])


@pytest.mark.parametrize("url", ["https://crm.example/hook?key=1", "http://127.0.0.1:8080"])
def test_the_url_of_a_receiver_is_kept(url: str) -> None:
    assert validate_receiver(url) == url


@pytest.mark.parametrize(
    "url",
    [
        *("", "ftp://crm.example", "https://", "https://a@crm.example", "https://crm.example/#x"),
        *("https://crm.example:0", "https://crm.example:port", "https://crm.example/a b", "https://[::1"),
    ],
)
def test_a_url_to_which_nothing_can_be_sent_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected an http:// or https:// URL"):
        validate_receiver(url)
