"""Secrets in the settings, and how to collect all of them so that the log can hide them."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import unquote

from pydantic import BaseModel, SecretStr

_PASSWORD_PATTERNS: Final = (re.compile(r"://[^@/:]*:([^@/]+)@"), re.compile(r"[?&]password=([^&]+)"))


class SecretUrl(SecretStr):
    """A database URL. It is never shown, but only its password counts as a secret in log lines."""

    @property
    def passwords(self) -> Iterator[str]:
        """Each password in the URL, as written and percent-decoded."""
        for pattern in _PASSWORD_PATTERNS:
            for password in pattern.findall(self.get_secret_value()):
                yield from {password, unquote(password)}


def collect_secrets(value: Any) -> Iterator[str]:
    """Yield every secret inside a model, dict or list, at any depth; keys of CRM clients included."""
    match value:
        case SecretUrl():
            yield from value.passwords
        case SecretStr():
            if text := value.get_secret_value():
                yield text
        case BaseModel():
            yield from collect_secrets(dict(value))
        case dict():
            yield from collect_secrets(list(value.values()))
        case list() | tuple():
            for item in value:
                yield from collect_secrets(item)


def reveal(secrets: Iterable[SecretStr]) -> list[str]:
    """Return the texts of these secrets."""
    return [secret.get_secret_value() for secret in secrets]
