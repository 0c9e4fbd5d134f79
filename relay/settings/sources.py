"""The sources of the settings: TOML files, environment variables, and files that hold a secret.

An environment variable wins over `settings.local.toml`, and that file over `settings.toml`. A secret and its
`…_file` key replace each other.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from relay.settings.errors import Problems, SettingsError
from relay.settings.field_types import Location, field_type, fields_by_key, model_at
from relay.settings.origins import Origins
from relay.standards.file_access import explain_denied

ENVIRONMENT_PREFIX: Final = "relay"
Table = dict[str, Any]

_UTF_8: Final = "utf-8-sig"
"""UTF-8 with or without a byte order mark, which some editors on Windows write."""

_TOML_POSITION: Final = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")


class Variable(NamedTuple):
    """An environment variable: its name as the environment spells it, and its value."""

    name: str
    value: str


# --- TOML files -------------------------------------------------------------------------------


def local_file_of(file: Path) -> Path:
    """Return the path of the file beside a settings file whose keys win: `settings.local.toml`."""
    return file.with_name(f"{file.stem}.local{file.suffix}")


def read_toml(file: Path) -> Table:
    """Parse the settings file. Raises `SettingsError` if it cannot be read or is not TOML."""
    try:
        return tomllib.loads(file.read_text(_UTF_8))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: {_format_toml_error(str(error))}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: not UTF-8 at byte {error.start}; save it as UTF-8.") from None
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({_reason(file, error)}).") from None


def _format_toml_error(message: str) -> str:
    """Put the position first: `line 3, column 8: invalid value`."""
    found = _TOML_POSITION.search(message)
    reason = message[: found.start()] if found else message
    position = f"line {found['line']}, column {found['column']}" if found and found["line"] else "at its end"
    hint = "; text needs quotes" if reason == "Invalid value" else ""
    return f"{position}: {reason[:1].lower()}{reason[1:]}{hint}."


# --- environment variables --------------------------------------------------------------------


def read_environment(env: Mapping[str, str], *, destinations: Any) -> dict[Location, Variable]:
    """Return the `RELAY__…` variables by the location of the key that each one sets.

    Names are read in lower case. A shell allows no `-` in a name, so `_` also matches the `-` in the
    name of a destination of the file (`destinations`: that table as it was read).
    """
    spellings = (
        {name.replace("-", "_"): name for name in destinations} if isinstance(destinations, dict) else {}
    )
    found: dict[Location, Variable] = {}
    for name, value in env.items():
        prefix, *steps = name.lower().split("__")
        if prefix == ENVIRONMENT_PREFIX and steps:
            if steps[0] == "destinations" and steps[1:]:
                steps[1] = spellings.get(steps[1], steps[1])
            found[tuple(steps)] = Variable(name, value)
    return found


def find_misspelt_variables(env: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Return the variables that begin with a section but lack an underscore, with the name to use instead.

    `known`: the names of all variables that set a key. Other variables that begin with `RELAY_` are left out:
    Kubernetes sets RELAY_PORT and similar ones if a service is named `relay`.
    """
    known_by_words = {_words(name): name for name in known}
    sections = {words[1] for words in known_by_words}
    found = {}
    for name in env:
        prefix, *rest = _words(name) or ("",)
        if prefix == ENVIRONMENT_PREFIX and rest and rest[0] in sections:
            in_section = f"{ENVIRONMENT_PREFIX}__{rest[0]}__"
            if not f"{name.lower()}__".startswith(in_section):
                any_key = f"{in_section}{'name__key' if rest[0] == 'destinations' else 'key'}".upper()
                found[name] = known_by_words.get((prefix, *rest), any_key)
    return found


def _words(variable: str) -> tuple[str, ...]:
    """Split a variable at its underscores, however many there are between two words."""
    return tuple(filter(None, variable.lower().split("_")))


def parse_overrides(model: type[BaseModel], prefix: str, values: Mapping[str, str]) -> Table:
    """Return the fields of a model that variables with this prefix set, key by key or as JSON.

    The prefix and the names in `values` are in lower case.
    """
    # Imported here because it costs 50 ms, and only users of environment variables need it.
    from pydantic_settings import BaseSettings, EnvSettingsSource  # noqa: PLC0415

    class Source(EnvSettingsSource):
        def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:  # noqa: ARG002
            """Keep text that is not JSON, so that validation reports it like any other wrong value."""
            try:
                return json.loads(value)
            except ValueError:
                return value

    # The source uses only `model_config` and `model_fields`, which every model has.
    source = Source(
        cast("type[BaseSettings]", model),
        env_prefix=prefix,
        env_prefix_target="all",
        env_nested_delimiter="__",
    )
    source.env_vars = values
    return source()


def merge_settings(lower: Table, upper: Table) -> Table:
    """Merge two sources of all settings; `upper` wins.

    A destination for which `upper` names another client is replaced as a whole, because the keys of one
    client mean nothing to another.
    """
    of_lower, of_upper = lower.get("destinations"), upper.get("destinations")
    if isinstance(of_lower, dict) and isinstance(of_upper, dict):
        kept = {
            name: table
            for name, table in of_lower.items()
            if not _has_other_client(table, of_upper.get(name))
        }
        lower = lower | {"destinations": kept}
    return merge_tables(lower, upper)


def _has_other_client(lower: Any, upper: Any) -> bool:
    is_named = isinstance(lower, dict) and isinstance(upper, dict) and "client" in upper
    return is_named and lower.get("client") != upper["client"]


def merge_tables(lower: Table, upper: Table) -> Table:
    """Merge two sources; `upper` wins. A secret in one replaces its `…_file` key in the other."""
    kept = {
        key: value
        for key, value in lower.items()
        if isinstance(value, dict) or not _is_overridden(key, upper)
    }
    merged = {
        key: merge_tables(kept[key], value)
        if isinstance(value, dict) and isinstance(kept.get(key), dict)
        else value
        for key, value in upper.items()
    }
    return kept | merged


def _is_overridden(key: str, upper: Table) -> bool:
    return key in upper or f"{key}_file" in upper or key.removesuffix("_file") in upper


# --- files that hold a secret -----------------------------------------------------------------


def read_secret_files(
    table: Table, model: type[BaseModel], folder: Path, origins: Origins, problems: Problems, at: Location
) -> Table:
    """Replace each `…_file` key of a table by the content of its file; add a problem if that fails.

    `origins` receives the location of each secret with its file.
    """
    result = dict(table)
    for name in fields_by_key(model):
        key = f"{name}_file"
        if key in table and key not in fields_by_key(model) and field_type(model, name).is_secret:
            del result[key]
            try:
                result[name] = _read_secret_file(table, name, folder, many=field_type(model, name).is_list)
                origins.add_secret_file((*at, name), folder / table[key])
            except ValueError as error:
                problems.add((*at, key), str(error), also_explains=(*at, name))
        elif (inner := model_at(model, (name,))) and isinstance(table.get(name), dict):
            result[name] = read_secret_files(table[name], inner, folder, origins, problems, (*at, name))
    return result


def _read_secret_file(table: Table, name: str, folder: Path, *, many: bool) -> str | list[str]:
    """Return the file's text without its last line break; with `many` one secret a line.

    Raises ValueError.
    """
    file = table[f"{name}_file"]
    if name in table:
        raise ValueError(f"{name} is set too; remove one of them")
    if not isinstance(file, str):
        raise ValueError("expected the path of a file that holds the secret")  # noqa: TRY004 - see `Raises`
    try:
        text = (folder / file).read_text(_UTF_8)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{folder / file} cannot be read ({_reason(folder / file, error)})") from None
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise ValueError(f"{folder / file} is empty; write the secret to it")
    return secret.splitlines() if many else secret


def _reason(file: Path, error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return explain_denied(file, writes=False) or str(error.strerror)
