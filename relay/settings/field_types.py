"""Which values a field of a model accepts, in words: for `docs/settings.md` and for error messages."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from enum import Enum
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from relay.settings.secrets import SecretUrl

Location = tuple[str | int, ...]
"""Keys and list indexes that lead to a value: ("cloudtalk", "tokens", 0)."""

KEY_STEP: Final = "[key]"
"""Pydantic's last step of a location if the key of a table is meant, not its value."""

_TYPE_NAMES: Final[dict[Any, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    date: "a date like 2026-12-25",
    SecretStr: "a secret",
    SecretUrl: "a secret",
}
_CONSTRAINT_NAMES: Final = {
    "ge": "at least",
    "gt": "above",
    "le": "at most",
    "lt": "below",
    "min_length": "of length at least",
    "max_length": "of length at most",
    "pattern": "matching",
}


class FieldType(NamedTuple):
    """The type of a field and its constraints, as pydantic's metadata holds them."""

    type: Any
    constraints: Sequence[Any] = ()

    @property
    def is_list(self) -> bool:
        """Whether the value is a list."""
        return get_origin(self.type) in {list, tuple, set, frozenset}

    @property
    def is_table(self) -> bool:
        """Whether the value is a TOML table."""
        return get_origin(self.type) is dict or _is_subclass(self.type, BaseModel)

    @property
    def is_secret(self) -> bool:
        """Whether the value is or contains a secret, and must not be shown."""
        return _contains_secret(self.type)

    @property
    def choices(self) -> list[str]:
        """The allowed words of a Literal or an Enum; empty for all other types."""
        if get_origin(self.type) is Literal:
            return [str(choice) for choice in get_args(self.type)]
        return [str(choice.value) for choice in self.type] if _is_subclass(self.type, Enum) else []

    def describe(self) -> str | None:
        """Return for example "a whole number, at least 1"; None for a type that only the client knows."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        name = self._name()
        return ", ".join(filter(None, (name, _describe_constraints(self.constraints)))) if name else None

    def _name(self) -> str | None:
        if self.is_table:
            return "a table"
        if self.is_list:
            item = _parse_annotation(get_args(self.type)[0]).describe()
            return f"a list, each item {item}" if item else "a list"
        return _TYPE_NAMES.get(self.type)


def fields_by_key(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return a model's fields by the keys that users write: the alias if there is one, else the name."""
    return {
        field.validation_alias if isinstance(field.validation_alias, str) else name: field
        for name, field in model.model_fields.items()
    }


def writable_keys(model: type[BaseModel]) -> list[str]:
    """Return the keys that a user can write in a table, the `…_file` keys of secrets included."""
    secrets = [key for key in fields_by_key(model) if field_type(model, key).is_secret]
    return [*fields_by_key(model), *(f"{key}_file" for key in secrets)]


def field_type(model: type[BaseModel], key: str) -> FieldType:
    """Return the type of a model's field."""
    field = fields_by_key(model)[key]
    return _parse_annotation(field.annotation, field.metadata)


def field_type_at(model: type[BaseModel], location: Location) -> FieldType | None:
    """Return the type at a location inside a model; None if the model has no such location."""
    current: FieldType | None = FieldType(model)
    for step, following in pairwise((*location, "")):
        if step != KEY_STEP:
            current = current and _child(current, step, is_key=following == KEY_STEP)
    return current


def model_at(model: type[BaseModel], location: Location) -> type[BaseModel] | None:
    """Return the model at a location; None if there is none, or a value without known keys."""
    found = field_type_at(model, location)
    return found.type if found and _is_subclass(found.type, BaseModel) else None


def variable_names(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Yield the environment variables that set the keys of a model and of the tables in it."""
    for key in writable_keys(model):
        name = f"{prefix}__{key}".upper()
        inner = model_at(model, (key,))
        yield from variable_names(inner, name) if inner else (name,)


def _child(parent: FieldType, step: str | int, *, is_key: bool) -> FieldType | None:
    """Return the type of a model's field, of a list's item, or of a table's value (or of its key)."""
    if _is_subclass(parent.type, BaseModel):
        return field_type(parent.type, str(step)) if step in fields_by_key(parent.type) else None
    inner = get_args(parent.type)
    if not inner or not (parent.is_list or parent.is_table):
        return None
    return _parse_annotation(inner[1] if parent.is_table and not is_key else inner[0])


def _parse_annotation(annotation: Any, constraints: Iterable[Any] = ()) -> FieldType:
    """Remove `Annotated` and `| None`: neither changes what a user can write."""
    if get_origin(annotation) is Annotated:
        return _parse_annotation(get_args(annotation)[0], [*constraints, *get_args(annotation)[1:]])
    others = [arg for arg in get_args(annotation) if arg is not NoneType]
    is_optional = NoneType in get_args(annotation) and len(others) == 1
    if is_optional:
        return _parse_annotation(others[0], constraints)
    return FieldType(annotation, tuple(constraints))


def _contains_secret(annotation: Any) -> bool:
    return _is_subclass(annotation, SecretStr) or any(_contains_secret(arg) for arg in get_args(annotation))


def _is_subclass(annotation: Any, parent: type) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, parent)


def _describe_constraints(constraints: Iterable[Any]) -> str:
    return " and ".join(
        f"{words} `{limit}`" if name == "pattern" else f"{words} {limit}"
        for constraint in constraints
        for name, words in _CONSTRAINT_NAMES.items()
        if (limit := getattr(constraint, name, None)) is not None
    )
