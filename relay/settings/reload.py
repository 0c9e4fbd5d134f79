"""New secrets for a relay that runs: what can be taken over without a restart, and what cannot."""

from collections.abc import Iterator
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from relay.settings.field_types import field_type
from relay.settings.models import Settings

_Model = TypeVar("_Model", bound=BaseModel)
_DESTINATIONS: Final = "destinations"


def replace_secrets(before: Settings, read: Settings) -> tuple[Settings, list[str]]:
    """`before` with the secrets that were read now, and the keys that differ besides: they take a restart."""
    differing = list(_differing(before, read))
    destinations = {
        name: _with_secrets(destination, read.destinations[name])
        for name, destination in before.destinations.items()
        if name in read.destinations and type(read.destinations[name]) is type(destination)
    }
    cloudtalk = _with_secrets(before.cloudtalk, read.cloudtalk)
    update = {"cloudtalk": cloudtalk, _DESTINATIONS: before.destinations | destinations}
    return before.model_copy(update=update), differing


def _differing(before: Settings, read: Settings) -> Iterator[str]:
    for section in type(before).model_fields:
        if section != _DESTINATIONS:
            yield from _keys(section, getattr(before, section), getattr(read, section))
    for name in sorted(before.destinations.keys() | read.destinations.keys()):
        one, other = before.destinations.get(name), read.destinations.get(name)
        if type(one) is not type(other) or one is None or other is None:
            yield f"{_DESTINATIONS}.{name}"
        else:
            yield from _keys(f"{_DESTINATIONS}.{name}", one, other)


def _keys(at: str, before: BaseModel, read: BaseModel) -> Iterator[str]:
    for key in type(before).model_fields:
        if not _is_secret(before, key) and getattr(before, key) != getattr(read, key):
            yield f"{at}.{key}"


def _with_secrets(before: _Model, read: BaseModel) -> _Model:
    secrets: dict[str, Any] = {
        key: getattr(read, key) for key in type(before).model_fields if _is_secret(before, key)
    }
    return before.model_copy(update=secrets)


def _is_secret(model: BaseModel, name: str) -> bool:
    field = type(model).model_fields[name]
    alias = field.validation_alias
    return field_type(type(model), alias if isinstance(alias, str) else name).is_secret
