"""Validators of single values, named after their keys.

Each returns the value, or raises ValueError with what was expected.
"""

import re
from difflib import get_close_matches
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import SecretStr, ValidationInfo

from relay.cloudtalk.event_names import kind_of_name
from relay.settings.secrets import SecretUrl
from relay.standards.office_hours import MINUTES_A_DAY
from relay.standards.webhooks import SHORTEST_KEY, decode_secret

SQLITE_PREFIX: Final = "sqlite:///"
RESERVED_PATHS: Final = ("/healthz", "/readyz", "/metrics", "/recordings", "/console")
"""Paths that the relay serves itself. The webhook takes every path below its own, so it must not be one
of these nor below one."""

_PATH: Final = re.compile(r"(/[\w.~-]+)+", re.ASCII)
_HOST: Final = re.compile(r"[\w.-]+", re.ASCII)
_HOST_AND_PORT: Final = re.compile(r"(\[(?P<bracketed>[^\]]+)\]|(?P<name>[^:\[\]]+))(:(?P<port>\d{1,5}))?")
_HIGHEST_PORT: Final = 65_535
_HOURS: Final = re.compile(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)", re.ASCII)
_REGION: Final = re.compile(r"[A-Z]{2}")
_POSTGRES: Final = re.compile(
    r"postgres(ql)?://([^@/:\s]*(:[^@/:\s]*)?@)?({0}(:\d+)?(,{0}(:\d+)?)*)?/[^/?\s]+(\?\S*)?".format(
        r"([\w.-]+|\[[\da-fA-F:.]+\])"
    )
)
_HEADER: Final = re.compile(r"[A-Za-z0-9-]+: *[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
SHORTEST_TOKEN: Final = 16
"""In characters."""

HOW_TO_CREATE_TOKEN: Final = "openssl rand -hex 32"  # noqa: S105 - a command
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


def host(value: str) -> str:
    """Check that it is a host name or an IP address, without scheme and port."""
    if not (_HOST.fullmatch(value) or _is_ipv6(value)):
        raise ValueError("expected a host name or an IP address, without http:// and without a port")
    return value


def host_and_port(value: str) -> str:
    """Check that it is a host name or an IP address, with or without a port. Return it in lower case."""
    name, port = split_port(value)
    host(name)
    if port is not None and not 0 < port <= _HIGHEST_PORT:
        raise ValueError(f"expected a port from 1 to {_HIGHEST_PORT}")
    return value.lower()


def split_port(value: str) -> tuple[str, int | None]:
    """Split `host:port`. An IPv6 address with a port is in brackets."""
    match = _HOST_AND_PORT.fullmatch(value)
    if match is None:
        return value, None
    return match["bracketed"] or match["name"], int(match["port"]) if match["port"] else None


def _is_ipv6(value: str) -> bool:
    try:
        return ip_address(value).version == 6  # noqa: PLR2004 - the version that is written with colons
    except ValueError:
        return False


def public_url(value: str) -> str:
    """Check that it is a URL to which a path can be appended."""
    if not _is_base_url(value):
        raise ValueError("expected an http:// or https:// URL without user, query or trailing slash")
    return value


def optional_base_url(value: str) -> str:
    """Check that it is empty, or a URL to which a path can be appended."""
    return public_url(value) if value else value


def header(value: SecretStr) -> SecretStr:
    """Check that it is a header of HTTP: a name, a colon and a value."""
    if not _HEADER.fullmatch(value.get_secret_value()):
        raise ValueError("expected a header, like Authorization: Bearer …")
    return value


def _is_base_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or parts.username or value.endswith(("/", "?", "#")))
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and plain


def office_hours(value: tuple[str, ...]) -> tuple[str, ...]:
    """Check that each item is a span of time, and that no two overlap."""
    spans = sorted(map(parse_hours, value))
    # The last span of a day may end on the next one.
    next_day = [(first + MINUTES_A_DAY, last) for first, last in spans[:1]]
    for before, after in pairwise([*spans, *next_day]):
        if after[0] < before[1]:
            raise ValueError("expected spans that do not overlap")
    return value


def parse_hours(value: str) -> tuple[int, int]:
    """Return the minutes after midnight at which "09:00-18:00" begins and ends. "22:00-06:00" ends on the
    next day. Raises ValueError.
    """
    match = _HOURS.fullmatch(value)
    first, last = (int(match[n]) * 60 + int(match[n + 1]) for n in (1, 3)) if match else (0, 0)
    if first in {last, MINUTES_A_DAY} or max(first, last) > MINUTES_A_DAY:
        raise ValueError("expected a span of a day, like 09:00-18:00, or of a night, like 22:00-06:00")
    return first, last if first < last else last + MINUTES_A_DAY


def webhook_path(value: str) -> str:
    """Check that it is a path that the relay does not serve itself."""
    if not _PATH.fullmatch(value):
        raise ValueError("expected a path that starts with / and ends without it, like /cloudtalk/webhook")
    reserved = next((path for path in RESERVED_PATHS if f"{value}/".startswith(f"{path}/")), None)
    if reserved:
        raise ValueError(f"expected another path: {reserved} is served by the relay itself")
    return value


def token(value: SecretStr) -> SecretStr:
    """Check that it can be sent in a header, as every request with it must be, and cannot be guessed soon."""
    text = value.get_secret_value()
    if not _TOKEN.fullmatch(text):
        raise ValueError("expected a token of ASCII letters, digits and signs, without spaces")
    if len(text) < SHORTEST_TOKEN:
        raise ValueError(
            f"expected at least {SHORTEST_TOKEN} characters, so that nobody can guess the token; "
            f"{HOW_TO_CREATE_TOKEN} creates one"
        )
    return value


def event_paths(paths: dict[str, str]) -> dict[str, str]:
    """Check that each path names a known event: events of an unknown type are answered 200 and dropped."""
    for path, event in paths.items():
        if kind_of_name(event) is None:
            known = ("call.started", "call.answered", "call.ended", "call.missed", "recording.uploaded")
            similar = get_close_matches(event, known, 1)
            hint = f"; did you mean {similar[0]}?" if similar else ""
            raise ValueError(f"expected the name of an event, such as call.ended, for {path}{hint}")
        if not path.startswith("/"):
            raise ValueError(f"expected full paths, which start with /, not {path}")
    return paths


def company_id(value: str) -> str:
    """Check that it is not empty, and trim it."""
    if not (trimmed := value.strip()):
        raise ValueError("expected the company_id of a CloudTalk account")
    return trimmed


def signing_secret(value: SecretStr) -> SecretStr:
    """Check that it is a secret of Standard Webhooks: `whsec_` and base64 of a key that is long enough."""
    try:
        key = decode_secret(value.get_secret_value())
    except ValueError as error:
        raise ValueError(f"{error}, as CloudTalk shows it once the webhook is made") from None
    if len(key) < SHORTEST_KEY:
        raise ValueError(
            f"expected whsec_ and base64 of at least {SHORTEST_KEY} bytes, so that nobody can guess the "
            "secret; copy it whole from CloudTalk, or generate it there again"
        )
    return value


def timezone(value: str) -> str:
    """Check that this machine knows the time zone."""
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        if available_timezones():
            raise ValueError("expected the name of a time zone, like Europe/Madrid") from None
        raise ValueError(
            "this machine has no time zone database; install one (on Debian: apt-get install tzdata)"
        ) from None
    return value


def region(value: str) -> str:
    """Check that it looks like an ISO 3166 country code."""
    if not _REGION.fullmatch(value):
        raise ValueError("expected a country code of two capital letters, like ES")
    return value


def ledger_url(value: SecretUrl, info: ValidationInfo) -> SecretUrl:
    """Check the engine. A relative SQLite path is resolved against the settings file's folder, which is
    the validation's context.
    """
    url = value.get_secret_value()
    if url.startswith(("postgresql://", "postgres://")):
        return _postgres_url(value)
    path = url.removeprefix(SQLITE_PREFIX)
    if path in {url, ""} or "?" in path or path.startswith(":"):
        raise ValueError(
            "expected sqlite:///PATH, relative to the settings file, sqlite:////PATH, absolute, "
            "or postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    return SecretUrl(SQLITE_PREFIX + str(info.context / path)) if isinstance(info.context, Path) else value


def _postgres_url(value: SecretUrl) -> SecretUrl:
    """Check that the password is percent-encoded: the part after a bare `@` would be parsed as the host,
    and error messages show the host.
    """
    if not _POSTGRES.fullmatch(value.get_secret_value()):
        raise ValueError(
            "expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE; percent-encode the signs in the "
            "password that are not letters or digits (@ as %40, / as %2F, : as %3A)"
        )
    return value
