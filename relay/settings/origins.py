"""Where the values of the settings come from: settings files, environment variables and secret files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel

from relay.settings.field_types import Location, fields_by_key
from relay.settings.secrets import collect_secrets

_Source = TypeVar("_Source")


class Origin(NamedTuple):
    """What the values of the settings do not show; `relay.settings.review` uses it.

    `settings_files`: the settings files that were read. `secret_files`: the files that contain a secret,
    which a settings file may do, too. `misspelt_variables`: environment variables that have no effect,
    because an underscore is missing, each with the name to use. `sources`: the file or the environment
    variable of each key that is set, by its location; the other keys have their default.
    """

    settings_files: tuple[Path, ...] = ()
    secret_files: tuple[Path, ...] = ()
    misspelt_variables: Mapping[str, str] = {}
    sources: Mapping[Location, str] = {}


class Origins:
    """Finds the file or environment variable that sets a key."""

    def __init__(
        self, files: Sequence[tuple[Path, Mapping[str, Any]]], variables: Mapping[Location, str]
    ) -> None:
        """`files`: each settings file with its table, the one that wins first. `variables`: the name of the
        environment variable that sets each location.
        """
        self._files = files
        self._variables = variables
        self._secret_files: dict[Location, Path] = {}

    @property
    def settings_files(self) -> tuple[Path, ...]:
        """The settings files that were read."""
        return tuple(file for file, _ in self._files)

    def add_secret_file(self, location: Location, file: Path) -> None:
        """Record that the secret at a location was read from this file."""
        self._secret_files[location] = file

    def describe(self, location: Location) -> tuple[str, Location]:
        """Return the source of the value at a location, for a person, and the key that the person wrote.

        For a value from a secret file these are the file, with the line in a list, and the `…_file` key.
        """
        if found := _innermost(location, self._secret_files.get):
            at, file = found
            line = "".join(f", line {index + 1}" for index in location[len(at) :] if isinstance(index, int))
            return f"{file}{line}", _file_key(at)
        if variable := self.find_variable(location):
            return variable, location
        in_file = _innermost(location, self._find_settings_file)
        return str(in_file[1] if in_file else self._files[-1][0]), location

    def find_variable(self, location: Location) -> str | None:
        """Return the variable that set the location, its `…_file` key, or a table that contains it."""
        found = _innermost(location, lambda at: self._variables.get(at) or self._variables.get(_file_key(at)))
        return found[1] if found else None

    def find_file_of_secret(self, location: Location) -> Path | None:
        """Return the file that contains the secret at a location; None if an environment variable does."""
        if file := self._secret_files.get(location):
            return file
        return None if self.find_variable(location) else self._find_settings_file(location)

    def _find_settings_file(self, location: Location) -> Path | None:
        """Return the file that sets the key at a location, or its `…_file` key."""
        keys = (location, _file_key(location))
        return next((file for file, table in self._files if any(_is_in(table, key) for key in keys)), None)


def locate_set_keys(model: BaseModel, at: Location = ()) -> Iterator[Location]:
    """Yield the location of each key that is set inside a model or a table of models."""
    for key, name in zip(fields_by_key(type(model)), type(model).model_fields, strict=True):
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from locate_set_keys(value, (*at, key))
        elif isinstance(value, dict) and any(isinstance(inner, BaseModel) for inner in value.values()):
            for inner_key, inner in value.items():
                yield from locate_set_keys(inner, (*at, key, inner_key))
        elif name in model.model_fields_set:
            yield (*at, key)


def locate_secrets(value: Any, at: Location = ()) -> Iterator[Location]:
    """Yield the location of each secret inside a model or dict."""
    match value:
        case BaseModel():
            model = type(value)
            for key, name in zip(fields_by_key(model), model.model_fields, strict=True):
                yield from locate_secrets(getattr(value, name), (*at, key))
        case dict():
            for key, inner in value.items():
                yield from locate_secrets(inner, (*at, key))
        case _ if any(collect_secrets(value)):
            yield at


def _innermost(
    location: Location, find: Callable[[Location], _Source | None]
) -> tuple[Location, _Source] | None:
    """Return what `find` knows of the location, or else of the innermost table that contains it."""
    for end in range(len(location), 0, -1):
        if found := find(location[:end]):
            return location[:end], found
    return None


def _file_key(location: Location) -> Location:
    return (*location[:-1], f"{location[-1]}_file")


def _is_in(table: Any, location: Location) -> bool:
    for step in location:
        if not isinstance(table, dict) or step not in table:
            return False
        table = table[step]
    return True
