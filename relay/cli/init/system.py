"""What the machine knows about its user: language, time zone, country, free ports."""

import socket
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final
from zoneinfo import available_timezones

from relay.operations.languages import Language
from relay.settings import CloudTalk

_LOCALTIME: Final = Path("/etc/localtime")
_PORTS: Final = range(8080, 8100)


def find_language(environment: Mapping[str, str]) -> Language:
    """Return the language of the locale; English if the relay does not have it."""
    variables = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((value for name in variables if (value := environment.get(name))), "")
    return Language.ES if locale.lower().startswith("es") else Language.EN


def find_timezone(environment: Mapping[str, str], localtime: Path = _LOCALTIME) -> str:
    """Return the time zone of the machine, or the default of the settings if it is no place: many
    servers have UTC, which says nothing about the company.
    """
    link = str(localtime.resolve()).rpartition("/zoneinfo/")[2] if localtime.is_symlink() else ""
    zone = environment.get("TZ", "").removeprefix(":") or link
    return zone if _is_of_company(zone) else _default("timezone")


def _is_of_company(zone: str) -> bool:
    return "/" in zone and not zone.startswith("Etc/") and zone in available_timezones()


def find_region(timezone: str) -> str:
    """Return the country of a time zone, or the default of the settings if it is in none."""
    return _region_of(timezone) or _default("default_region")


def _region_of(timezone: str) -> str | None:
    """Return the country of a time zone from the table of the time zone database."""
    table = (files("tzdata") / "zoneinfo" / "zone.tab").read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return next((row[0] for row in rows if row[2] == timezone), None)


def _default(key: str) -> str:
    return str(CloudTalk.model_fields[key].default)


def find_free_port() -> int:
    """Return the first port from 8080 on at which no program of this machine listens."""
    return next((port for port in _PORTS if not _is_used(port)), _PORTS[0])


def _is_used(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
