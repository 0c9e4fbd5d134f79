"""The secrets that sign messages, and the URL that receives them, as settings."""

from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from relay.standards.webhooks import decode_secret

_HOW_TO_CREATE: Final = '`echo "whsec_$(openssl rand -base64 32)"` creates one'


def _split(secret: Any) -> Any:
    return tuple(secret.split()) if isinstance(secret, str) else secret


def _validate(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for secret in secrets:
        try:
            decode_secret(secret.get_secret_value())
        except ValueError as error:
            raise ValueError(f"{error}; {_HOW_TO_CREATE}") from None
    return secrets


SigningSecrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_split), AfterValidator(_validate)]
"""Secrets of Standard Webhooks, as a list or in one text, separated by spaces."""


def validate_receiver(url: str) -> str:
    """Return the URL of a receiver. Raises `ValueError` if no request could be sent to it."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "@" in parts.netloc or parts.fragment or any(map(str.isspace, url)):
        raise ValueError("expected an http:// or https:// URL without a user or a fragment")
    return url
