"""What the fields of a model take, in words: for the documentation and for mistakes alike."""

from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from relay.settings.secrets import SecretUrl

Loc = tuple[str | int, ...]
"""Where a value stands: ("cloudtalk", "tokens", 0)."""

KEY: Final = "[key]"
"""The last step of a place that is a key of a table, in pydantic's words."""

_WORDS: Final[dict[Any, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    SecretStr: "a secret",
    SecretUrl: "a secret",
}
_BOUNDS: Final = {
    "ge": "at least",
    "gt": "above",
    "le": "at most",
    "lt": "below",
    "min_length": "of length at least",
    "max_length": "of length at most",
    "pattern": "matching",
}


class FieldType(NamedTuple):
    """What is expected at a place: its type, and the bounds set on it."""

    type: Any
    bounds: Sequence[Any] = ()

    @property
    def is_list(self) -> bool:
        """Whether several values stand here."""
        return get_origin(self.type) in {list, tuple, set, frozenset}

    @property
    def is_table(self) -> bool:
        """Whether keys stand here."""
        return get_origin(self.type) is dict or _is(self.type, BaseModel)

    @property
    def is_secret(self) -> bool:
        """Whether what stands here is for no one's eyes."""
        return _holds_secret(self.type)

    @property
    def choices(self) -> list[str]:
        """The words that can stand here, where only some can."""
        if get_origin(self.type) is Literal:
            return [str(choice) for choice in get_args(self.type)]
        return [str(choice.value) for choice in self.type] if _is(self.type, Enum) else []

    def words(self) -> str | None:
        """What is taken here, or None where that is the client's own affair."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return ", ".join(filter(None, (self._kind(), _bounds(self.bounds)))) if self._kind() else None

    def _kind(self) -> str | None:
        if self.is_table:
            return "a table"
        if self.is_list:
            item = _place(get_args(self.type)[0]).words()
            return f"a list, each item {item}" if item else "a list"
        return _WORDS.get(self.type)


def keys_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields by the keys that people write, which an alias may set."""
    return {
        field.validation_alias if isinstance(field.validation_alias, str) else name: field
        for name, field in model.model_fields.items()
    }


def field_type(model: type[BaseModel], key: str) -> FieldType:
    """What is expected of a model's field."""
    field = keys_of(model)[key]
    return _place(field.annotation, field.metadata)


def field_type_at(model: type[BaseModel], loc: Loc) -> FieldType | None:
    """What is expected at a place below a model, or None where it cannot be followed there."""
    place: FieldType | None = FieldType(model)
    for step, following in pairwise((*loc, "")):
        if step != KEY:
            place = place and _below(place, step, key=following == KEY)
    return place


def model_at(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """The model that says which keys can stand at a place."""
    place = field_type_at(model, loc)
    return place.type if place and _is(place.type, BaseModel) else None


def _below(place: FieldType, step: str | int, *, key: bool) -> FieldType | None:
    """A field, an item, or of a table without fields the value, or the `key` itself."""
    if _is(place.type, BaseModel):
        return field_type(place.type, str(step)) if step in keys_of(place.type) else None
    inner = get_args(place.type)
    if not inner or not (place.is_list or place.is_table):
        return None
    return _place(inner[1] if place.is_table and not key else inner[0])


def _place(annotation: Any, bounds: Iterable[Any] = ()) -> FieldType:
    """Without `Annotated` and without `| None`, which change nothing about what can be written."""
    if get_origin(annotation) is Annotated:
        return _place(get_args(annotation)[0], [*bounds, *get_args(annotation)[1:]])
    others = [arg for arg in get_args(annotation) if arg is not NoneType]
    optional = NoneType in get_args(annotation) and len(others) == 1
    return _place(others[0], bounds) if optional else FieldType(annotation, tuple(bounds))


def _holds_secret(annotation: Any) -> bool:
    return _is(annotation, SecretStr) or any(_holds_secret(arg) for arg in get_args(annotation))


def _is(annotation: Any, kind: type) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, kind)


def _bounds(metadata: Iterable[Any]) -> str:
    said = (
        f"{word} `{getattr(mark, name)}`" if name == "pattern" else f"{word} {getattr(mark, name)}"
        for mark in metadata
        for name, word in _BOUNDS.items()
        if getattr(mark, name, None) is not None
    )
    return " and ".join(said)
