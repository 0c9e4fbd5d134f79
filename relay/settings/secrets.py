"""Every secret in the settings, so that none of them is ever logged."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, SecretStr


def secrets_of(value: Any) -> Iterator[str]:
    """The secrets in this value, the clients' own keys included."""
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case BaseModel():
            yield from secrets_of(dict(value))
        case dict():
            yield from secrets_of(list(value.values()))
        case list() | tuple():
            for item in value:
                yield from secrets_of(item)
