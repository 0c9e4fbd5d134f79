"""Errors in the settings, and the text that a person reads about them.

    SettingsError               the settings cannot be used
    └── ClientLoadError         a destination's client is not installed or cannot be loaded

All problems are collected and reported at once. Each line names the file or environment variable, the key,
what was expected and what was found. A secret is never shown.
"""

import datetime as dt
import difflib
import json
import re
from collections.abc import Iterable
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from relay.settings.field_types import (
    KEY_STEP,
    FieldType,
    Location,
    field_type_at,
    fields_by_key,
    model_at,
    writable_keys,
)
from relay.settings.models import Settings
from relay.settings.origins import Origins

_LONGEST_VALUE: Final = 80
_TOML_TYPE_NAMES: Final[dict[type, str]] = {
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
_URL_CREDENTIALS: Final = re.compile(r"(?<=//)[^/@\s]*@")
_FOLLOW_UP_ERRORS: Final = frozenset({"default_factory_not_called"})
"""Pydantic's errors that only follow from another error, which is reported itself."""
_PYDANTIC_ERRORS: Final = frozenset(get_args(ErrorType))
"""Pydantic's own error types. Any other type is a client's, whose message is shown as it is."""


class SettingsError(Exception):
    """The settings cannot be used. The message is complete and meant for a person."""


class ClientLoadError(SettingsError):
    """A destination's client is not installed or cannot be loaded."""


class Problems:
    """Collects the problems of the settings, each with the file or variable that it is in."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins
        self._lines: list[str] = []
        self._explained: set[Location] = set()

    def __bool__(self) -> bool:
        """Whether there are any problems."""
        return bool(self._lines)

    def add(self, location: Location, problem: str, *, also_explains: Location | None = None) -> None:
        """Add a problem with the value at a location.

        A later problem at `also_explains` is left out, because it only follows from this one.
        """
        if location in self._explained:
            return
        if also_explains:
            self._explained.add(also_explains)
        source, key = self._origins.describe(location)
        self._lines.append(f"{source}: {format_location(key)}: {problem}")

    def add_validation_error(self, error: ValidationError, model: type[BaseModel], at: Location = ()) -> None:
        """Add every problem that the validation of the model at a location found."""
        for detail in error.errors(include_url=False):
            if detail["type"] not in _FOLLOW_UP_ERRORS:
                location = tuple(step for step in detail["loc"] if step != KEY_STEP)
                self.add(at + location, self._describe(detail, model, location, at))

    def _describe(
        self, detail: ErrorDetails, model: type[BaseModel], location: Location, at: Location
    ) -> str:
        match detail["type"]:
            case "missing":
                return _describe_missing_key(model, location)
            case "extra_forbidden":
                return describe_unknown_key(at + location, model_at(model, location[:-1]))
            case "value_error" | "assertion_error":
                reason = str(detail["ctx"]["error"])
                return _describe_rejected_value(reason, detail["input"], field_type_at(model, location))
            case known if known in _PYDANTIC_ERRORS:
                expected = field_type_at(model, detail["loc"])
                in_environment = self._origins.find_variable(at + location) is not None
                return _describe_wrong_type(detail, expected, in_environment=in_environment)
            case _:
                return _describe_rejected_value(
                    detail["msg"], detail["input"], field_type_at(model, location)
                )

    def to_error(self) -> SettingsError:
        """Return one error that lists all problems."""
        count = "a problem" if len(self._lines) == 1 else f"{len(self._lines)} problems"
        return SettingsError(
            "\n".join([f"The settings have {count}:", *(f"- {line}" for line in self._lines)])
        )


def format_location(location: Location) -> str:
    """Format a location as users write it: `cloudtalk.tokens[0]`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(
        "."
    )


# --- hints ------------------------------------------------------------------------------------


def suggest(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` with the most similar known word; empty if none is similar."""
    similar = _most_similar(word, known)
    return f"; did you mean {similar}?" if similar else ""


def _most_similar(word: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word.lower(), list(known), n=1)), None)


def describe_unknown_key(location: Location, siblings: type[BaseModel] | None) -> str:
    """Say which key was probably meant: the same key of another section, or a similar one."""
    *above, key = map(str, location)
    known = writable_keys(siblings) if siblings else []
    homes = [f"[{name}]" for name in Settings.model_fields if key in _section_keys(name) and [name] != above]
    if homes:
        return f"unknown key; it belongs in {' or '.join(homes)}"
    if similar := _most_similar(key, known):
        return f"unknown key; did you mean {format_location((*above, similar))}?"
    elsewhere = [f"{section}.{name}" for section in Settings.model_fields for name in _section_keys(section)]
    return f"unknown key{suggest(key, elsewhere) or '; known keys: ' + ', '.join(known)}"


def _section_keys(section: str) -> list[str]:
    model = model_at(Settings, (section,))
    return writable_keys(model) if model else []


# --- descriptions of one problem --------------------------------------------------------------


def _describe_missing_key(model: type[BaseModel], location: Location) -> str:
    parent = model_at(model, location[:-1])
    meaning = fields_by_key(parent)[str(location[-1])].description if parent else None
    return f"required, but missing. {meaning}" if meaning else "required, but missing"


def _describe_rejected_value(reason: str, value: Any, expected: FieldType | None) -> str:
    """Return a validator's own reason. The validator of a whole table shows no value."""
    if expected is None or expected.is_table:
        return reason
    return f"{reason}, found {describe_value(value, expected)}"


def _describe_wrong_type(detail: ErrorDetails, expected: FieldType | None, *, in_environment: bool) -> str:
    description = (expected.describe() if expected else None) or detail["msg"].removeprefix(
        "Input should be "
    )
    is_compound = expected is not None and (expected.is_list or expected.is_table)
    as_json = ", as JSON" if in_environment and is_compound else ""
    hint = suggest(str(detail["input"]), expected.choices) if expected and expected.choices else ""
    return f"expected {description}{as_json}, found {describe_value(detail['input'], expected)}{hint}"


def describe_value(value: Any, expected: FieldType | None) -> str:
    """Return the value, shortened; only its type if it may contain a secret."""
    may_hold_secret = expected is None or expected.is_secret or expected.is_list or expected.is_table
    if may_hold_secret or isinstance(value, list | dict):
        return _TOML_TYPE_NAMES.get(type(value), "something else")
    text = _URL_CREDENTIALS.sub("…@", value) if isinstance(value, str) else str(value)
    short = text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
    return json.dumps(short, ensure_ascii=False) if isinstance(value, str) else short.lower()
