"""Load the settings: merge the files and the environment, validate them, report all problems at once."""

import os
import re
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from crm_clients.settings import DestinationSettings
from relay.settings.errors import (
    ClientLoadError,
    Problems,
    SettingsError,
    describe_unknown_key,
    describe_value,
)
from relay.settings.field_types import Location, model_at, variable_names
from relay.settings.models import Settings
from relay.settings.origins import Origin, Origins, locate_secrets, locate_set_keys
from relay.settings.plugins import client_names, load_client_class
from relay.settings.sources import (
    ENVIRONMENT_PREFIX,
    Table,
    find_misspelt_variables,
    local_file_of,
    merge_settings,
    merge_tables,
    parse_overrides,
    read_environment,
    read_secret_files,
    read_toml,
)
from relay.settings.validators import HOW_TO_CREATE_TOKEN
from relay.standards.addresses import is_loopback
from relay.standards.file_access import is_missing

DEFAULT_FILE: Final = Path("settings.toml")
_NOT_PROTECTED: Final = (
    "{} can be reached from other machines, but there is no token and no signing secret, so anyone could "
    "post calls. Write a token to a file (openssl rand -hex 32 > tokens && chmod 600 tokens) and name the "
    "file: tokens_file under [cloudtalk], or RELAY__CLOUDTALK__TOKENS_FILE. Or use 127.0.0.1"
)
_DESTINATION_NAME: Final = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")


def load(path: Path | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """Load the settings from `path`, else from $RELAY_SETTINGS, else from ./settings.toml.

    The keys of `settings.local.toml` beside that file override it, and environment variables (`env`, default:
    this process's) override both. Raises `SettingsError`,
    whose message lists every problem; a file that cannot be read is reported alone.
    """
    env = os.environ if env is None else env
    file = _find_file(path, env)
    local_file = local_file_of(file)
    files = [file] if is_missing(local_file) else [local_file, file]
    return _Loader([(each, read_toml(each)) for each in files], env).load()


def _find_file(path: Path | None, env: Mapping[str, str]) -> Path:
    from_environment = env.get("RELAY_SETTINGS")
    file = path or (Path(from_environment) if from_environment else DEFAULT_FILE)
    if is_missing(file):
        origin = " (named by RELAY_SETTINGS)" if path is None and from_environment else ""
        raise SettingsError(
            f"There is no settings file {file}{origin}."
            " Name one with --settings PATH or RELAY_SETTINGS, or write one with `relay init`."
        )
    return file


class _Loader:
    """One load of the settings files, of which the first wins."""

    def __init__(self, files: Sequence[tuple[Path, Table]], env: Mapping[str, str]) -> None:
        tables = [table for _, table in files]
        in_files = reduce(merge_settings, reversed(tables))
        self._folder = files[0][0].absolute().parent
        self._env = env
        self._variables = read_environment(env, destinations=in_files.get("destinations"))
        self._origins = Origins(files, {at: variable.name for at, variable in self._variables.items()})
        self._problems = Problems(self._origins)
        self._table = merge_settings(in_files, self._overrides(Settings, ()))

    def load(self) -> Settings:
        """Validate all sections and destinations. Raises `SettingsError` after all were checked."""
        misspelt = find_misspelt_variables(self._env, variable_names(Settings, ENVIRONMENT_PREFIX))
        for location, variable in self._variables.items():
            if location[0] not in Settings.model_fields:
                meant = misspelt.get(variable.name)
                unknown = f"unknown key; did you mean {meant}?" if meant else None
                self._problems.add(location, unknown or describe_unknown_key(location[:1], Settings))
        sections = {name: self._prepare_section(name, table) for name, table in self._table.items()}
        try:
            settings = Settings.model_validate(sections, context=self._folder)
        except ValidationError as error:
            self._problems.add_validation_error(error, Settings)
            raise self._problems.to_error() from None
        self._check_protected(settings)
        self._check_files_distinct(settings)
        self._check_links(settings)
        if self._problems:
            raise self._problems.to_error()
        return settings.with_origin(self._origin_of(settings))

    def _origin_of(self, settings: Settings) -> Origin:
        files = {self._origins.find_file_of_secret(at): None for at in locate_secrets(settings)}
        known = list(variable_names(Settings, ENVIRONMENT_PREFIX))
        for name, destination in settings.destinations.items():
            prefix = f"{ENVIRONMENT_PREFIX}__destinations__{name.replace('-', '_')}"
            known += variable_names(type(destination), prefix)
        secret_files = tuple(filter(None, files))
        sources = {at: self._origins.describe(at)[0] for at in locate_set_keys(settings)}
        misspelt = find_misspelt_variables(self._env, known)
        return Origin(self._origins.settings_files, secret_files, misspelt, sources)

    def _overrides(self, model: type[BaseModel], at: Location) -> Table:
        """Return what the environment sets in the model at a location."""
        prefix = "".join(f"{step}__" for step in (ENVIRONMENT_PREFIX, *at))
        values = {
            f"{ENVIRONMENT_PREFIX}__{'__'.join(map(str, location))}": variable.value
            for location, variable in self._variables.items()
        }
        return parse_overrides(model, prefix, values) if any(n.startswith(prefix) for n in values) else {}

    def _prepare_section(self, name: str, table: Any) -> Any:
        """Read the secret files of a section. An unknown section is returned as it is, for validation."""
        if not isinstance(table, dict):
            return table
        if name == "destinations":
            loaded = {key: self._load_destination(key, value) for key, value in table.items()}
            return {key: destination for key, destination in loaded.items() if destination}
        model = model_at(Settings, (name,))
        return (
            read_secret_files(table, model, self._folder, self._origins, self._problems, (name,))
            if model
            else table
        )

    def _load_destination(self, name: str, table: Any) -> DestinationSettings | None:
        """Validate a destination with its client's settings model; None if there is a problem."""
        at = ("destinations", name)
        if not _DESTINATION_NAME.fullmatch(name):
            self._problems.add(
                at, "expected a name of lower-case letters and digits, with single - or _ between"
            )
        elif not isinstance(table, dict):
            self._problems.add(at, f"expected a table, found {describe_value(table, None)}")
        elif model := self._client_settings(table.get("client"), at):
            merged = merge_tables(table, self._overrides(model, at))
            merged = read_secret_files(merged, model, self._folder, self._origins, self._problems, at)
            try:
                return _resolve_paths(self._folder, model.model_validate(merged))
            except ValidationError as error:
                self._problems.add_validation_error(error, model, at)
        return None

    def _client_settings(self, client: Any, at: Location) -> type[DestinationSettings] | None:
        if not isinstance(client, str):
            expected = f"required, but missing: one of {', '.join(client_names())}"
            self._problems.add((*at, "client"), expected)
            return None
        try:
            return load_client_class(client).Settings
        except ClientLoadError as error:
            self._problems.add((*at, "client"), str(error))
            return None

    def _check_files_distinct(self, settings: Settings) -> None:
        """A CRM in the ledger's file would mix its tables with the ledger's."""
        ledger = settings.ledger.path
        if ledger is None:
            return
        for name, destination in settings.destinations.items():
            for key, path in destination:
                if path == ledger:
                    self._problems.add(
                        ("destinations", name, key), f"{path} is the ledger's file; expected another file"
                    )

    def _check_links(self, settings: Settings) -> None:
        """Links to recordings need a key, and a URL at which others reach the relay."""
        if not settings.recordings.proxy:
            return
        if not settings.recordings.signing_keys:
            expected = f"recordings.proxy needs a key that signs links; {HOW_TO_CREATE_TOKEN} creates one"
            self._problems.add(("recordings", "signing_keys"), expected)
        if "public_url" not in settings.server.model_fields_set:
            expected = "recordings.proxy needs the URL at which browsers and CRMs reach the relay"
            self._problems.add(("server", "public_url"), expected)

    def _check_protected(self, settings: Settings) -> None:
        """Without a token or signing secret the relay must be reachable from this machine only."""
        if settings.cloudtalk.tokens or settings.cloudtalk.signing_secrets:
            return
        server = settings.server
        public = urlsplit(server.public_url).hostname if "public_url" in server.model_fields_set else None
        for key, host in {"host": server.host, "public_url": public}.items():
            if host and not is_loopback(host):
                self._problems.add(("server", key), _NOT_PROTECTED.format(host))


def _resolve_paths(folder: Path, settings: DestinationSettings) -> DestinationSettings:
    """Resolve the relative paths of a destination against the settings file's folder."""
    paths = {name: folder / value for name, value in settings if isinstance(value, Path)}
    return settings.model_copy(update=paths) if paths else settings
