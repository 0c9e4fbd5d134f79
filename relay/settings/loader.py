"""From a settings file and the environment to `Settings`, or to all that is wrong with them."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from crm_clients.settings import DestinationSettings
from relay.settings.errors import Mistakes, SettingsError, shown, unknown
from relay.settings.field_types import Loc, model_at
from relay.settings.models import Settings
from relay.settings.plugins import ClientLoadError, client_names, load_client_class
from relay.settings.sources import PREFIX, Table, overlay, variables, with_secrets, written
from relay.standards.addresses import is_loopback

DEFAULT_FILE: Final = Path("settings.toml")
_OPEN_TO_ALL: Final = (
    "{} can be reached from other machines, and without a token anyone could post calls. Write one to a file "
    "(openssl rand -hex 32 > tokens) and name it: tokens_file under [cloudtalk], or "
    "RELAY__CLOUDTALK__TOKENS_FILE. Or stay on 127.0.0.1"
)
_NAME: Final = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")


def load(path: Path | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """The settings in a file, else in $RELAY_SETTINGS, else in ./settings.toml, with the environment's
    overrides.

    Raises SettingsError, whose text names every mistake; only what keeps the file from being read
    is told alone.
    """
    env = os.environ if env is None else env
    file = _file(path, env)
    return _Reading(file, written(file), env).settings()


def _file(path: Path | None, env: Mapping[str, str]) -> Path:
    named = env.get("RELAY_SETTINGS")
    file = path or (Path(named) if named else DEFAULT_FILE)
    if not file.exists():
        by = " (named by RELAY_SETTINGS)" if path is None and named else ""
        raise SettingsError(
            f"There is no settings file {file}{by}. Name one with --settings PATH or RELAY_SETTINGS."
        )
    return file


class _Reading:
    """One reading of one file: its layers, and the mistakes found on the way."""

    def __init__(self, file: Path, table: Table, env: Mapping[str, str]) -> None:
        self._folder = file.absolute().parent
        self._variables = variables(env, known=table.get("destinations"))
        self._mistakes = Mistakes(file, {loc: said.name for loc, said in self._variables.items()})
        self._table = overlay(table, self._overrides(Settings, ()))

    def settings(self) -> Settings:
        """All sections and destinations. Raises SettingsError, once everything has been looked at."""
        for loc in self._variables:
            if loc[0] not in Settings.model_fields:
                self._mistakes.add(loc, unknown(loc[:1], Settings))
        sections = {name: self._section(name, table) for name, table in self._table.items()}
        try:
            settings = Settings.model_validate(sections, context=self._folder)
        except ValidationError as error:
            self._mistakes.add_all(error, Settings)
            raise self._mistakes.error() from None
        self._keep_strangers_out(settings)
        self._keep_files_apart(settings)
        if self._mistakes:
            raise self._mistakes.error()
        return settings

    def _overrides(self, model: type[BaseModel], at: Loc) -> Table:
        prefix = "".join(f"{step}__" for step in (PREFIX, *at))
        said = {f"{PREFIX}__{'__'.join(map(str, loc))}": var.value for loc, var in self._variables.items()}
        if not any(name.startswith(prefix) for name in said):
            return {}
        from relay.settings.overrides import overrides  # noqa: PLC0415 - 50 ms for those only who override

        return overrides(model, prefix, said)

    def _section(self, name: str, table: Any) -> Any:
        """A section's keys, ready to be validated; what is no section is left for that to refuse."""
        model = model_at(Settings, (name,))
        if not isinstance(table, dict):
            return table
        if name == "destinations":
            read = {key: self._destination(key, value) for key, value in table.items()}
            return {key: value for key, value in read.items() if value}
        return with_secrets(table, model, self._folder, self._mistakes, (name,)) if model else table

    def _destination(self, name: str, table: Any) -> DestinationSettings | None:
        """A destination as its client reads it, or None where that is not known."""
        at = ("destinations", name)
        if not _NAME.fullmatch(name):
            self._mistakes.add(
                at, "expected a name of lower-case letters and digits, with single - or _ between"
            )
        elif not isinstance(table, dict):
            self._mistakes.add(at, f"expected a table, found {shown(table, None)}")
        elif model := self._client_settings(table.get("client"), at):
            said = overlay(table, self._overrides(model, at))
            said = with_secrets(said, model, self._folder, self._mistakes, at)
            try:
                return within(self._folder, model.model_validate(said))
            except ValidationError as error:
                self._mistakes.add_all(error, model, at)
        return None

    def _client_settings(self, client: Any, at: Loc) -> type[DestinationSettings] | None:
        if not isinstance(client, str):
            self._mistakes.add((*at, "client"), f"missing, and needed: one of {', '.join(client_names())}")
            return None
        try:
            return load_client_class(client).Settings
        except ClientLoadError as error:
            self._mistakes.add((*at, "client"), str(error))
            return None

    def _keep_files_apart(self, settings: Settings) -> None:
        """A CRM in the ledger's file would take its tables for its own."""
        ledger = settings.ledger.path
        if ledger is None:
            return
        for name, destination in settings.destinations.items():
            for key, path in destination:
                if path == ledger:
                    self._mistakes.add(
                        ("destinations", name, key), f"{path} is the ledger's; expected another"
                    )

    def _keep_strangers_out(self, settings: Settings) -> None:
        """Where nothing proves who speaks, the relay serves its own machine only."""
        server = settings.server
        public = urlsplit(server.public_url).hostname if "public_url" in server.model_fields_set else None
        reach = {"host": server.host, "public_url": public}
        for key, host in reach.items():
            if (
                host
                and not is_loopback(host)
                and not (settings.cloudtalk.tokens or settings.cloudtalk.signing_secrets)
            ):
                self._mistakes.add(("server", key), _OPEN_TO_ALL.format(host))


def within(folder: Path, settings: DestinationSettings) -> DestinationSettings:
    """The same settings, their relative paths read from a folder."""
    paths = {name: folder / value for name, value in settings if isinstance(value, Path)}
    return settings.model_copy(update=paths) if paths else settings
