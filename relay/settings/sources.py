"""The layers that settings come in: the file, over it the environment, and files that hold a secret."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

from relay.settings.errors import Mistakes, SettingsError
from relay.settings.field_types import Loc, field_type, keys_of

PREFIX: Final = "relay"
Table = dict[str, Any]

_TOML_PLACE: Final = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")


class Variable(NamedTuple):
    """An environment variable: its name as it was written, and its value."""

    name: str
    value: str


def written(file: Path) -> Table:
    """The settings file as it stands. Raises SettingsError where it cannot be read."""
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: {_where(str(error))}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: not UTF-8 at byte {error.start}; save it as UTF-8.") from None
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror}).") from None


def _where(message: str) -> str:
    """The place before the fault: `line 3, column 8: invalid value`."""
    place = _TOML_PLACE.search(message)
    fault = message[: place.start()] if place else message
    where = f"line {place['line']}, column {place['column']}" if place and place["line"] else "at its end"
    hint = "; text needs quotes" if fault == "Invalid value" else ""
    return f"{where}: {fault[:1].lower()}{fault[1:]}{hint}."


def variables(env: Mapping[str, str], *, known: Any) -> dict[Loc, Variable]:
    """The overrides in the environment, by the key that each one names.

    Names are read in lower case; since a shell allows no `-` in them, `_` stands for it in the name
    of a known destination.
    """
    spelt = {name.replace("-", "_"): name for name in known} if isinstance(known, dict) else {}
    found: dict[Loc, Variable] = {}
    for name, value in env.items():
        prefix, *loc = name.lower().split("__")
        if prefix == PREFIX and loc:
            named = (
                [*loc[:1], spelt.get(loc[1], loc[1]), *loc[2:]]
                if loc[0] == "destinations" and loc[1:]
                else loc
            )
            found[tuple(named)] = Variable(name, value)
    return found


def overlay(below: Table, above: Table) -> Table:
    """Both, where the upper layer's word counts; a secret and its file stand for one another."""
    kept = {
        key: value for key, value in below.items() if isinstance(value, dict) or not _spoken_over(key, above)
    }
    joined = {
        key: overlay(kept[key], value)
        if isinstance(value, dict) and isinstance(kept.get(key), dict)
        else value
        for key, value in above.items()
    }
    return kept | joined


def _spoken_over(key: str, above: Table) -> bool:
    return key in above or f"{key}_file" in above or key.removesuffix("_file") in above


def with_secrets(table: Table, model: type[BaseModel], folder: Path, mistakes: Mistakes, at: Loc) -> Table:
    """A table with its `…_file` keys replaced by what those files hold."""
    read = dict(table)
    for name in keys_of(model):
        key = f"{name}_file"
        if key in table and key not in keys_of(model) and field_type(model, name).is_secret:
            del read[key]
            try:
                read[name] = _secret(table, name, folder, many=field_type(model, name).is_list)
            except ValueError as error:
                mistakes.add((*at, key), str(error), instead_of=(*at, name))
    return read


def _secret(table: Table, name: str, folder: Path, *, many: bool) -> str | list[str]:
    """What a file holds: without the last line's end, a list one by line. Raises ValueError."""
    file = table[f"{name}_file"]
    if name in table:
        raise ValueError(f"says the same as {name}; keep one of them")
    if not isinstance(file, str):
        raise ValueError("expected the path of a file that holds it")  # noqa: TRY004 - told as any mistake
    try:
        text = (folder / file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ValueError(f"{folder / file} cannot be read ({reason})") from None
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise ValueError(f"{folder / file} is empty")
    return secret.splitlines() if many else secret
