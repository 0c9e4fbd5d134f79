"""Following `docs/es/configuracion-cloudtalk.md` to the letter, as a person with CloudTalk would."""

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

ORIGIN: Final = "https://relay.example.com"
TOKEN: Final = "TU_TOKEN"
SAMPLES: Final[dict[str, Any]] = {
    "call_uuid": "44fe27cd-5268-4670-993e-0129aabbccdd",
    "call_id": 1002402487,
    "direction": "incoming",
    "external_number": 34612345678,
    "internal_number": 34910000001,
    "started_at": "2026-03-04T10:30:00Z",
    "ended_at": "2026-03-04T10:32:00Z",
    "talking_time": 109,
    "waiting_time": 11,
    "wrapup_time": 30,
    "is_voicemail": None,
    "agent_id": 493933,
    "agent_first_name": "Marta",
    "agent_last_name": "Sanz",
    "agent_email": "marta.sanz@example.test",
    "contact_id": 1451646073,
    "contacts[0].name": "Begoña López",
    "tags": "venta,queja",
    "recording_url": "https://my.cloudtalk.io/pub/r/MTAwMjQwMjQ4Nw%3D%3D/M2Q1NDg1.wav",
    "transcript": "Hola, buenos días.",
}
"""What CloudTalk would put in the place of each variable, of one answered call."""


class Asked(NamedTuple):
    """One request that the document asks for."""

    method: str
    url: str
    headers: dict[str, str]
    body: dict[str, Any]


def requests_of(document: Path, url: str, token: str) -> list[Asked]:
    """The request of the document's verification, then those of its workflows in their order, all of
    one call. `url` is the relay's own, without a path.

    Raises `KeyError` for a variable that CloudTalk does not have.
    """
    text = document.read_text().replace(ORIGIN, url).replace(TOKEN, token)
    return [_by_hand(text), *_by_workflows(text)]


def _by_hand(text: str) -> Asked:
    """The `curl` of the verification."""
    (block,) = re.findall(r"```bash\n(\s*curl .*?)```", text, re.DOTALL)
    words = shlex.split(block)
    options = list(pairwise(words))
    headers = dict(value.split(": ", 1) for option, value in options if option == "-H")
    (method,) = [value for option, value in options if option == "-X"]
    (data,) = [value for option, value in options if option == "-d"]
    (where,) = [word for word in words if word.startswith("http")]
    return Asked(method, where, headers, json.loads(data))


def _by_workflows(text: str) -> list[Asked]:
    """A chapter each: `METHOD URL`, then the table of its keys."""
    (headers,) = tables(text, "Cabecera")
    asked = re.findall(r"^### .+\n\n`(\w+) (\S+)`\n\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [
        Asked(method, url, headers, {key: _filled_in(value) for key, value in _rows(table).items()})
        for method, url, table in asked
    ]


def tables(text: str, heading: str) -> list[dict[str, str]]:
    """Each table whose first column has this heading: what stands as code in its first two columns."""
    found = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [_rows(table) for table in found]


def _rows(table: str) -> dict[str, str]:
    return dict(re.findall(r"^\| `([^`]+)` \| `?([^`|]*)", table, re.MULTILINE))


def _filled_in(value: str) -> Any:
    variable = re.fullmatch(r"\{\{(.+)\}\}", value)
    return SAMPLES[variable[1]] if variable else value
