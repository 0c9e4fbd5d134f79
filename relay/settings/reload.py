"""Reload of the settings in a running relay: secrets are replaced, all other changes need a restart."""

from collections.abc import Iterator
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from relay.settings.field_types import field_type
from relay.settings.models import Settings
from relay.settings.section import Section

_Model = TypeVar("_Model", bound=BaseModel)
_DESTINATIONS: Final = "destinations"
_RELOADED: Final = ("cloudtalk", "console", "metrics", "recordings", "alerts")
"""The sections whose secrets are replaced."""


def replace_secrets(current: Settings, loaded: Settings) -> tuple[Settings, list[str]]:
    """Return `current` with the secrets of `loaded`, and the other keys that differ.

    Secrets of `[cloudtalk]`, `[console]`, `[metrics]`, `[recordings]`, `[alerts]` and of destinations are
    replaced. The other keys (`delivery.batch`) count only after a restart, and so do added and removed
    destinations.
    """
    destinations = {
        name: _with_secrets_of(destination, loaded.destinations[name])
        for name, destination in current.destinations.items()
        if name in loaded.destinations and type(loaded.destinations[name]) is type(destination)
    }
    unloaded = {n: d.model_copy() for n, d in current.destinations.items() if n not in destinations}
    update = {
        **{name: _with_secrets_of(getattr(current, name), getattr(loaded, name)) for name in _RELOADED},
        _DESTINATIONS: unloaded | destinations,
    }
    replaced = current.model_copy(update=update)
    replaced.connect_destinations()
    return replaced, list(_keys_that_need_restart(current, loaded))


def _keys_that_need_restart(current: Settings, loaded: Settings) -> Iterator[str]:
    for section in type(current).model_fields:
        if section != _DESTINATIONS:
            before, after = getattr(current, section), getattr(loaded, section)
            yield from _differing_keys(section, before, after, secrets=section not in _RELOADED)
    for name in sorted(current.destinations.keys() | loaded.destinations.keys()):
        before, after = current.destinations.get(name), loaded.destinations.get(name)
        if type(before) is not type(after) or before is None or after is None:
            yield f"{_DESTINATIONS}.{name}"
        else:
            yield from _differing_keys(f"{_DESTINATIONS}.{name}", before, after, secrets=False)


def _differing_keys(section: str, current: BaseModel, loaded: BaseModel, *, secrets: bool) -> Iterator[str]:
    """Yield the keys that differ. `secrets`: also those of secrets, because this section keeps its own."""
    for name in type(current).model_fields:
        before, after = getattr(current, name), getattr(loaded, name)
        if isinstance(before, Section):
            yield from _differing_keys(f"{section}.{name}", before, after, secrets=secrets)
        elif before != after and (secrets or not _is_secret(current, name)):
            yield f"{section}.{name}"


def _with_secrets_of(current: _Model, loaded: BaseModel) -> _Model:
    secrets: dict[str, Any] = {}
    for name in type(current).model_fields:
        value = getattr(current, name)
        if isinstance(value, Section):
            secrets[name] = _with_secrets_of(value, getattr(loaded, name))
        elif _is_secret(current, name):
            secrets[name] = getattr(loaded, name)
    return current.model_copy(update=secrets)


def _is_secret(model: BaseModel, name: str) -> bool:
    alias = type(model).model_fields[name].validation_alias
    return field_type(type(model), alias if isinstance(alias, str) else name).is_secret
