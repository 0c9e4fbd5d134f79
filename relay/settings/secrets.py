"""Every secret in the settings, so that none of them is ever logged."""

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

from pydantic import BaseModel, SecretStr

_PASSWORDS: Final = (re.compile(r"://[^@/:]*:([^@/]+)@"), re.compile(r"[?&]password=([^&]+)"))


class SecretUrl(SecretStr):
    """A database's address. It is shown to nobody; what is secret of it is the password alone."""

    @property
    def passwords(self) -> Iterator[str]:
        """The password, as it is written and as it is said."""
        for pattern in _PASSWORDS:
            for written in pattern.findall(self.get_secret_value()):
                yield from {written, unquote(written)}


def collect_secrets(value: Any) -> Iterator[str]:
    """The secrets in this value, the clients' own keys included."""
    match value:
        case SecretUrl():
            yield from value.passwords
        case SecretStr():
            yield value.get_secret_value()
        case BaseModel():
            yield from collect_secrets(dict(value))
        case dict():
            yield from collect_secrets(list(value.values()))
        case list() | tuple():
            for item in value:
                yield from collect_secrets(item)
