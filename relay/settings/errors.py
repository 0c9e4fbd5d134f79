"""Mistakes in the settings, told to the person who made them: all of them at once, each with
where it stands, what was expected and what was found. A secret is never shown.
"""

import datetime as dt
import difflib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from relay.settings.field_types import KEY, FieldType, Loc, field_type, field_type_at, keys_of, model_at
from relay.settings.models import Settings

_LONGEST: Final = 80
_KINDS: Final[dict[type, str]] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a table",
    dt.datetime: "a date",
    dt.date: "a date",
    dt.time: "a time",
}
_CREDENTIALS: Final = re.compile(r"(?<=//)[^/@\s]*@")
_CONSEQUENCES: Final = frozenset({"default_factory_not_called"})
"""What pydantic also reports where another mistake, already told, made it so."""
_BUILT_IN: Final = frozenset(get_args(ErrorType))
"""Pydantic's own refusals; any other word is a client's, whose text says best what is wrong."""


class SettingsError(Exception):
    """What is wrong with the settings, ready to be shown to a person."""


class Mistakes:
    """Collects mistakes; knows which keys came from the environment."""

    def __init__(self, file: Path, variables: Mapping[Loc, str]) -> None:
        self._file = file
        self._variables = variables
        self._lines: list[str] = []
        self._told: set[Loc] = set()

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._lines)

    def add(self, loc: Loc, problem: str, *, instead_of: Loc | None = None) -> None:
        """Note what is wrong with the value at a place, which also explains what is amiss at another."""
        if loc in self._told:
            return
        if instead_of:
            self._told.add(instead_of)
        self._lines.append(f"{self._origin(loc) or self._file}: {dotted(loc)}: {problem}")

    def add_all(self, error: ValidationError, model: type[BaseModel], at: Loc = ()) -> None:
        """Note what a validation of the table at a place found."""
        for detail in error.errors(include_url=False):
            if detail["type"] not in _CONSEQUENCES:
                loc = tuple(step for step in detail["loc"] if step != KEY)
                self.add(at + loc, self._problem(detail, model, loc, at))

    def _problem(self, detail: ErrorDetails, model: type[BaseModel], loc: Loc, at: Loc) -> str:
        match detail["type"]:
            case "missing":
                return _missing(model, loc)
            case "extra_forbidden":
                return unknown(at + loc, model_at(model, loc[:-1]))
            case "value_error" | "assertion_error":
                return _refused(detail, str(detail["ctx"]["error"]), field_type_at(model, loc))
            case built_in if built_in in _BUILT_IN:
                place = field_type_at(model, detail["loc"])
                return _expected(detail, place, from_environment=self._origin(at + loc) is not None)
            case _:
                return _refused(detail, detail["msg"], field_type_at(model, loc))

    def _origin(self, loc: Loc) -> str | None:
        """The environment variable that said it, itself, as a file, or as part of a larger value."""
        for end in range(len(loc), 0, -1):
            for name in (loc[end - 1], f"{loc[end - 1]}_file"):
                if variable := self._variables.get((*loc[: end - 1], name)):
                    return variable
        return None

    def error(self) -> SettingsError:
        """All of them, to be raised."""
        count = "a mistake" if len(self._lines) == 1 else f"{len(self._lines)} mistakes"
        return SettingsError(
            "\n".join([f"The settings have {count}:", *(f"- {line}" for line in self._lines)])
        )


def dotted(loc: Loc) -> str:
    """A place as a person writes it: `cloudtalk.tokens[0]`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc).removeprefix(".")


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint to append, if any known word is near."""
    near = _near(word, known)
    return f"; did you mean {near}?" if near else ""


def _near(word: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word.lower(), list(known), n=1)), None)


def unknown(loc: Loc, siblings: type[BaseModel] | None) -> str:
    """What a key that is none may have meant: one of another section, or a near one of this."""
    *above, key = map(str, loc)
    known = _keys(siblings) if siblings else []
    homes = [f"[{name}]" for name in Settings.model_fields if key in _keys_of(name) and [name] != above]
    if homes:
        return f"unknown key; it belongs in {' or '.join(homes)}"
    if near := _near(key, known):
        return f"unknown key; did you mean {dotted((*above, near))}?"
    known_here = f"; known here: {', '.join(known)}"
    elsewhere = [f"{section}.{name}" for section in Settings.model_fields for name in _keys_of(section)]
    return f"unknown key{nearest(key, elsewhere) or known_here}"


def _keys_of(section: str) -> list[str]:
    model = model_at(Settings, (section,))
    return _keys(model) if model else []


def _keys(model: type[BaseModel]) -> list[str]:
    """The keys that can be written in a table, a secret's file among them."""
    secrets = [key for key in keys_of(model) if field_type(model, key).is_secret]
    return [*keys_of(model), *(f"{key}_file" for key in secrets)]


def _missing(model: type[BaseModel], loc: Loc) -> str:
    above = model_at(model, loc[:-1])
    meaning = keys_of(above)[str(loc[-1])].description if above else None
    return f"missing, and needed. {meaning}" if meaning else "missing, and needed"


def _refused(detail: ErrorDetails, reason: str, place: FieldType | None) -> str:
    """What a check of ours, or of a client, said; a check of a whole table shows no value."""
    return reason if place is None or place.is_table else f"{reason}, found {shown(detail['input'], place)}"


def _expected(detail: ErrorDetails, place: FieldType | None, *, from_environment: bool) -> str:
    words = place.words() if place else None
    expected = words or detail["msg"].removeprefix("Input should be ")
    compound = place is not None and (place.is_list or place.is_table)
    as_json = ", as JSON" if from_environment and compound else ""
    hint = nearest(str(detail["input"]), place.choices) if place and place.choices else ""
    return f"expected {expected}{as_json}, found {shown(detail['input'], place)}{hint}"


def shown(value: Any, place: FieldType | None) -> str:
    """What was found, or only its kind where it may hold a secret."""
    if place is None or place.is_secret or place.is_list or place.is_table or isinstance(value, list | dict):
        return _KINDS.get(type(value), "something else")
    text = _CREDENTIALS.sub("…@", value) if isinstance(value, str) else str(value)
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return json.dumps(short, ensure_ascii=False) if isinstance(value, str) else short.lower()
