"""Review of valid settings: what is unsafe in them, or probably a mistake.

The relay starts with such settings all the same, because some systems need them. `relay check` shows the
warnings, and `relay serve` logs them.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from crm_clients.base import Finding
from relay.settings.models import Settings
from relay.settings.origins import Origin
from relay.settings.secrets import collect_secrets
from relay.settings.validators import HOW_TO_CREATE_TOKEN
from relay.standards.addresses import is_loopback
from relay.standards.private_files import (
    explain_writable,
    find_writable_folders,
    is_readable_by_others,
    is_writable_by_others,
)
from relay.standards.webhooks import KEY_PREFIX, SHORTEST_KEY, decode_secret

_NAME: Final = "settings"
"""The name of findings that concern no single destination."""

_UNENCRYPTED_MODES: Final = ("disable", "allow", "prefer")
"""Values of libpq's sslmode that also accept a connection without TLS; `prefer` is the default."""

_KEYS_OF_TOKENS: Final = ("tokens", "signing_keys", "keep_key")
"""Keys of any section, whose values are tokens or have the form of one."""

_LOWEST_BITS: Final = 72
"""A random token of 20 letters and digits has more, a phrase with some digits has fewer."""

_SHORTEST_REPETITION: Final = 3
"""In characters: two may repeat by chance."""

_PLACEHOLDER_WORDS: Final = (
    "access auth bearer before change cloudtalk default demo dummy enter example fixme generate here hubspot"
    " insert long passphrase password paste placeholder please production random relay replace sample secret"
    " supabase test todo token value webhook with your"
    " aleatori aqui cambia clave contrasena crea ejemplo escribe generad inserta larg para pega prueba pont"
    " reemplaza secreto segur sustituye"
    " asdfghjkl qwertyuiop zxcvbnm asdf qwerty zxcv"
)
"""Words and stems of placeholders and of tokens that a person invents, in English and Spanish, and rows of
the keyboard."""

_URLS: Final = ("base_url", "analytics_url", "ai_url")

_SLASHES: Final = re.compile("/+")
_PLACEHOLDERS: Final = re.compile(
    "|".join(sorted(_PLACEHOLDER_WORDS.split(), key=len, reverse=True)), re.IGNORECASE
)


def review(settings: Settings) -> list[Finding]:
    """Return one finding per warning. Each is `ok`: it is no reason not to start."""
    return [
        *_review_destinations(settings),
        *review_public_url(settings),
        *_review_alerts(settings),
        *_review_ledger(settings),
        *_review_tokens(settings),
        *_review_signing_keys(settings),
        *_review_files(settings.origin),
        *_review_variables(settings),
        *_review_api(settings),
    ]


def _warning(name: str, code: str, problem: str, hint: str) -> Finding:
    return Finding(name=name, ok=True, code=code, problem=problem, hint=hint)


def _review_destinations(settings: Settings) -> Iterator[Finding]:
    if not settings.destinations:
        yield _warning(
            _NAME,
            "no_destination",
            "there is no destination: calls are stored, but delivered to no CRM",
            "add a table [destinations.NAME] to the settings; the settings.toml that comes with the relay "
            "has examples",
        )
    for name, destination in settings.destinations.items():
        if not destination.enabled:
            yield _warning(
                name,
                "disabled",
                "enabled = false: calls become pending, and nothing is sent",
                f"remove `enabled` from [destinations.{name}] to deliver the pending calls, or remove the "
                "destination",
            )
        for key, value in destination:
            if url := _insecure_url(value):
                yield _warning(
                    name,
                    "insecure_url",
                    f"destinations.{name}.{key} begins with {url}: calls and keys are sent unencrypted",
                    f"write https:// in destinations.{name}.{key}, if the server supports it",
                )


def _insecure_url(value: Any) -> str | None:
    """Return scheme and host of an http:// URL that leads to another machine. Its path may be secret."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str) or not text.lower().startswith("http://"):
        return None
    host = urlsplit(text).hostname or ""
    return None if is_loopback(host) else f"http://{host}"


def review_public_url(settings: Settings) -> Iterator[Finding]:
    """Yield the warnings about the URL that is entered in CloudTalk."""
    url, hook = settings.server.public_url, settings.cloudtalk.webhook_path
    if insecure := _insecure_url(url):
        yield _warning(
            _NAME,
            "insecure_url",
            f"server.public_url begins with {insecure}: calls and tokens are sent unencrypted",
            "put a reverse proxy with TLS in front of the relay, and write https:// in server.public_url",
        )
    path = _SLASHES.sub("/", urlsplit(url).path)
    if f"{hook}/".lower() in f"{path}/".lower():
        yield _warning(
            _NAME,
            "webhook_path_in_url",
            f"server.public_url contains the path of the webhook, {hook}: CloudTalk would be given "
            f"{url}{hook}",
            f"remove {hook} and what follows it from server.public_url; the relay appends it",
        )


def _review_alerts(settings: Settings) -> Iterator[Finding]:
    if url := _insecure_url(settings.alerts.webhook_url):
        yield _warning(
            _NAME,
            "insecure_url",
            f"alerts.webhook_url begins with {url}: alerts are sent unencrypted",
            "write https:// in alerts.webhook_url, if the server supports it",
        )


def _review_ledger(settings: Settings) -> Iterator[Finding]:
    if settings.ledger.path is not None:
        return
    # Imported here: with SQLite the driver of PostgreSQL would only cost memory.
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    parameters = conninfo_to_dict(settings.ledger.url.get_secret_value())
    hosts = [host for host in str(parameters.get("host") or "").split(",") if not _is_local(host)]
    if hosts and parameters.get("sslmode", "prefer") in _UNENCRYPTED_MODES:
        yield _warning(
            _NAME,
            "insecure_url",
            f"ledger.url accepts an unencrypted connection to {', '.join(hosts)}",
            "add sslmode=verify-full to ledger.url, and sslrootcert with the certificates to trust (a file, "
            "or `system`)",
        )


def _is_local(host: str) -> bool:
    """Whether a host of libpq is this machine: a socket of Unix is a path."""
    return not host or host.startswith(("/", "@")) or is_loopback(host)


def _review_api(settings: Settings) -> Iterator[Finding]:
    """Name URLs of CloudTalk's API that are unsafe, and what has no effect without a key."""
    api = settings.cloudtalk.api
    for key in _URLS:
        if api.access() is not None and (insecure := _insecure_url(getattr(api, key))):
            yield _warning(
                _NAME,
                "insecure_url",
                f"cloudtalk.api.{key} begins with {insecure}: the API key is sent unencrypted",
                f"write https:// in cloudtalk.api.{key}",
            )
    if settings.reconcile.every_minutes and api.access() is None:
        yield _warning(
            _NAME,
            "missing_api_key",
            "reconcile.every_minutes has no effect: CloudTalk's history is read with an API key, and the "
            "settings have none",
            "write cloudtalk.api.key_id and key_secret, or set reconcile.every_minutes = 0",
        )
    enrich = settings.enrich
    if api.access() is None and (enrich.summary or enrich.transcript or enrich.smart_notes):
        yield _warning(
            _NAME,
            "missing_api_key",
            "the switches of [enrich] have no effect: CloudTalk is asked with an API key, and the settings "
            "have none",
            "write cloudtalk.api.key_id and key_secret, or remove the switches of [enrich]",
        )


# --- secrets --------------------------------------------------------------------------------------


def _review_tokens(settings: Settings) -> Iterator[Finding]:
    for section, table in settings:
        for key in _KEYS_OF_TOKENS:
            for number, token in enumerate(getattr(table, key, ()), 1):
                if _estimate_bits(token.get_secret_value()) < _LOWEST_BITS:
                    yield _warning(
                        _NAME,
                        "weak_token",
                        f"token {number} in {section}.{key} is easy to guess",
                        f"replace it by a random one: {HOW_TO_CREATE_TOKEN}",
                    )


def _review_signing_keys(settings: Settings) -> Iterator[Finding]:
    """Name weak keys. A destination may also have a short one, since its receiver may demand it."""
    for number, secret in enumerate(settings.cloudtalk.signing_secrets, 1):
        if _is_weak_key(secret.get_secret_value()):
            yield _warning(
                _NAME,
                "weak_secret",
                f"secret {number} in cloudtalk.signing_secrets is easy to guess",
                "create the webhook in CloudTalk again, and use the secret that CloudTalk shows then",
            )
    for name, destination in settings.destinations.items():
        for key, value in destination:
            if any(map(_is_weak_key, collect_secrets(value))):
                yield _warning(
                    name,
                    "weak_secret",
                    f"destinations.{name}.{key} has a key that is easy to guess: it is shorter than"
                    f" {SHORTEST_KEY} bytes, or regular",
                    f'replace it by a random one: echo "{KEY_PREFIX}$(openssl rand -base64 32)"',
                )


def _is_weak_key(secret: str) -> bool:
    """Whether this is a signing secret whose key is short, or easy to guess by the rule for tokens."""
    try:
        key = decode_secret(secret)
    except ValueError:  # a secret of another kind
        return False
    spellings = key.decode("latin-1"), secret.removeprefix(KEY_PREFIX)
    return len(key) < SHORTEST_KEY or min(map(_estimate_bits, spellings)) < _LOWEST_BITS


def _estimate_bits(token: str) -> float:
    """Estimate the information in a token or key. Words of placeholders count nothing, and what repeats an
    earlier part counts little; so do repeated characters, and sequences such as `abcd`, whose steps from one
    character to the next repeat.
    """
    invented = _PLACEHOLDERS.sub("", token.lower()) if _PLACEHOLDERS.search(token) else token
    steps = [ord(after) - ord(before) for before, after in pairwise(invented)]
    return _count_new(invented) * min(_entropy(invented), _entropy(steps))


def _count_new(text: str) -> int:
    """Count the characters that do not repeat an earlier part of the text; each repetition counts as one."""
    position = count = 0
    while position < len(text):
        position += _repetition_at(text, position) or 1
        count += 1
    return count


def _repetition_at(text: str, position: int) -> int:
    """Return the length of the longest part from here on that begins earlier, too; 0 if it is short."""
    length = 0
    while (
        position + length < len(text) and text[position : position + length + 1] in text[: position + length]
    ):
        length += 1
    return length if length >= _SHORTEST_REPETITION else 0


def _entropy(symbols: Iterable[Any]) -> float:
    """Return the Shannon entropy in bits per symbol."""
    counts = Counter(symbols).values()
    total = sum(counts)
    return sum(count / total * math.log2(total / count) for count in counts)


def _review_files(origin: Origin) -> Iterator[Finding]:
    files = dict.fromkeys((*origin.settings_files, *origin.secret_files))
    writable = list(filter(is_writable_by_others, files))
    readable = list(filter(is_readable_by_others, origin.secret_files))
    for file in readable:
        yield _warning(
            _NAME,
            "readable_secret",
            f"{file} contains a secret, and other users of this machine can"
            f" {'read and write' if file in writable else 'read'} it",
            f"chmod 600 {file}, as the user that runs the relay",
        )
    only_writable = [file for file in writable if file not in readable]
    for path in (*only_writable, *find_writable_folders(files)):
        yield Finding(name=_NAME, ok=True, **explain_writable(path))


def _review_variables(settings: Settings) -> Iterator[Finding]:
    for name, meant in settings.origin.misspelt_variables.items():
        yield _warning(
            _NAME,
            "unknown_variable",
            f"the environment variable {name} has no effect: two underscores separate section and key",
            f"use {meant} instead",
        )
