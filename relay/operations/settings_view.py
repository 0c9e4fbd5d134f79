"""The settings as a person sees them: each key with its value and origin, secrets hidden."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from pydantic import BaseModel

from relay.logs import remove_secrets
from relay.settings import Settings
from relay.settings.field_types import Location, field_type, fields_by_key
from relay.settings.secrets import collect_secrets

_MAX_SHOWN: Final = 300
"""Characters of a value."""


_HALF_SECRETS: Final = {"key_id"}
"""Keys whose value is the half of a credential."""


_OWN_URLS: Final = {("server",), ("cloudtalk",)}
"""The sections whose URLs are no secret: those of the relay and of CloudTalk."""


class SettingView(msgspec.Struct, frozen=True):
    """One key. `value` is None if it is a secret, of which `secrets` are set. `source`: the file or the
    environment variable that sets the key; None for a default.
    """

    key: str
    value: str | None
    secrets: int
    source: str | None


class SectionView(msgspec.Struct, frozen=True):
    """A table of the settings file, such as `destinations.crm`."""

    name: str
    settings: list[SettingView]


def view_settings(settings: Settings) -> list[SectionView]:
    """Return every section in the order of the documentation, each with all its keys."""
    return list(_sections(settings, (), settings.origin.sources))


def _sections(model: BaseModel, at: Location, sources: Any) -> Iterator[SectionView]:
    own: list[SettingView] = []
    inner: list[tuple[Location, BaseModel]] = []
    for key, name in zip(fields_by_key(type(model)), type(model).model_fields, strict=True):
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            inner.append(((*at, key), value))
        elif at == () and isinstance(value, dict):
            inner += [((*at, key, inner_key), each) for inner_key, each in value.items()]
        else:
            shown = value if at[:1] in _OWN_URLS else _without_path(value)
            own.append(_view(model, key, shown, sources.get((*at, key))))
    if own:
        yield SectionView(".".join(map(str, at)), own)
    for location, each in inner:
        yield from _sections(each, location, sources)


def _without_path(value: Any) -> Any:
    """Return a URL without what follows its host, which may be a secret of another service."""
    if not isinstance(value, str) or not value.lower().startswith(("http://", "https://")):
        return value
    parts = urlsplit(value)
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return origin if value.rstrip("/") == origin else f"{origin}/…"


def _view(model: BaseModel, key: str, value: Any, source: str | None) -> SettingView:
    if key in _HALF_SECRETS or field_type(type(model), key).is_secret or any(collect_secrets(value)):
        return SettingView(key, None, _count_secrets(value), source)
    shown = remove_secrets(_to_text(value))
    return SettingView(key, shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}…", 0, source)


def _count_secrets(value: Any) -> int:
    if isinstance(value, list | tuple | dict):
        return len(value)
    return int(bool(value))


def _to_text(value: Any) -> str:
    if value is None or isinstance(value, str | Path):
        return str(value or "")
    return msgspec.json.encode(value, enc_hook=str).decode()
