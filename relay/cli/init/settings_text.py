"""The text of settings.toml: short, with a comment for each key, in the language of the person."""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from relay.cli.init.answers import Answers
from relay.operations.languages import Text

TOKENS: Final = "secrets/tokens"
CONSOLE_TOKENS: Final = "secrets/console-tokens"

_HEAD: Final = Text(
    """\
# Settings of CloudTalk Relay, written by `relay init`. Every key that is missing here has a
# default: docs/settings.md lists them all. Relative paths begin at the folder of this file.
# After a change run `relay check`, then restart the relay.
""",
    """\
# Configuración de CloudTalk Relay, escrita por `relay init`. Cada clave que falta aquí tiene un
# valor por defecto: docs/settings.md las enumera. Las rutas relativas parten de esta carpeta.
# Después de un cambio ejecute `relay check` y reinicie el relay.
""",
)
_PUBLIC_URL: Final = Text(
    "# The URL at which CloudTalk reaches the relay, through a proxy or a tunnel with https.",
    "# La URL por la que CloudTalk llega al relay, a través de un proxy o un túnel con https.",
)
_TOKENS: Final = Text(
    "# The tokens with which CloudTalk authenticates itself, one a line.",
    "# Los tokens con los que CloudTalk se identifica, uno por línea.",
)
_SIGNING_SECRETS: Final = Text(
    "# The secret of CloudTalk's signed webhooks (whsec_…), once you have added one there:",
    "# El secreto de los webhooks firmados de CloudTalk (whsec_…), cuando haya añadido uno allí:",
)
_TIMEZONE: Final = Text(
    "# Time zone of times without an offset, and country of numbers without a country code.",
    "# Zona de las horas sin desfase, y país de los números sin prefijo internacional.",
)
_CONSOLE: Final = Text(
    "# The tokens with which people sign in at /console, one a line: one for each person.",
    "# Los tokens con los que se entra en /console, uno por línea: uno para cada persona.",
)
_LEDGER: Final = Text(
    "# Each event is stored here before it is acknowledged. Several relays share a PostgreSQL:\n"
    "# postgresql://USER:PASSWORD@HOST/DATABASE",
    "# Cada evento se guarda aquí antes de confirmarlo. Varios relays comparten un PostgreSQL:\n"
    "# postgresql://USER:PASSWORD@HOST/DATABASE",
)
_DESTINATION: Final = Text(
    "# The CRM that gets each call. There may be more of them, each under a name of its own.",
    "# El CRM que recibe cada llamada. Puede haber más, cada uno con su nombre.",
)


def build_settings_text(answers: Answers, *, has_console_tokens: bool) -> str:
    """Build the text of the settings file for these answers."""
    blocks = (
        _server(answers),
        _cloudtalk(answers),
        _console(answers) if has_console_tokens else (),
        ("[ledger]", _LEDGER.read(answers.language), _pair("url", "sqlite:///var/relay.db")),
        _destination(answers),
    )
    head = _HEAD.read(answers.language)
    return "\n".join((head, *("\n".join((*block, "")) for block in blocks if block)))


def destination_settings(answers: Answers) -> dict[str, str | bool]:
    """Return the keys of the destination, but for its secret, in the order of the file."""
    crm = answers.crm
    given = {crm.url_setting: answers.url, "table": answers.table}
    settings = {key: value for key, value in given.items() if key and value}
    return {"client": crm.client, **crm.settings, **settings, **crm.settings_for(answers.url)}


def _server(answers: Answers) -> Iterator[str]:
    yield "[server]"
    yield _pair("port", answers.port)
    yield _PUBLIC_URL.read(answers.language)
    line = _pair("public_url", answers.public_url or "https://calls.example.com")
    yield line if answers.public_url else f"# {line}"


def _cloudtalk(answers: Answers) -> Iterator[str]:
    yield "[cloudtalk]"
    yield _TOKENS.read(answers.language)
    yield _pair("tokens_file", TOKENS)
    yield _SIGNING_SECRETS.read(answers.language)
    yield f"# {_pair('signing_secrets_file', 'secrets/signing-secrets')}"
    yield _TIMEZONE.read(answers.language)
    yield _pair("timezone", answers.timezone)
    yield _pair("default_region", answers.region)


def _console(answers: Answers) -> Iterator[str]:
    yield "[console]"
    yield _CONSOLE.read(answers.language)
    yield _pair("tokens_file", CONSOLE_TOKENS)


def _destination(answers: Answers) -> Iterator[str]:
    yield _DESTINATION.read(answers.language)
    yield f"[destinations.{answers.crm.destination}]"
    yield from _pairs(destination_settings(answers))
    if answers.crm.key:
        yield _pair(f"{answers.crm.key.setting}_file", f"secrets/{answers.crm.key.file}")
    if answers.crm.client == "hubspot":
        yield _pair("language", answers.language)


def _pairs(settings: Mapping[str, str | bool]) -> Iterator[str]:
    yield from (_pair(key, value) for key, value in settings.items())


def _pair(key: str, value: str | bool | int) -> str:
    """Format a key and its value. A basic string of TOML is written like a string of JSON."""
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"
