"""The requests that CloudTalk sends after a person followed `docs/es/cloudtalk-setup.md`."""

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

ORIGIN: Final = "https://relay.example.com"
TOKEN: Final = "SU_TOKEN"
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
"""The value that CloudTalk puts in the place of each variable, for one answered call."""


class DocumentRequest(NamedTuple):
    """One request that the document asks for."""

    method: str
    url: str
    headers: dict[str, str]
    body: dict[str, Any]


def requests_of(document: Path, url: str, token: str) -> list[DocumentRequest]:
    """Return the request of the document's verification, then one per workflow, in the document's order.

    The workflow requests are about one call. `url`: the address of the relay, without a path.

    Raises `KeyError` for a variable that CloudTalk does not have.
    """
    text = document.read_text().replace(ORIGIN, url).replace(TOKEN, token)
    return [_verification_request(text), *_workflow_requests(text)]


def _verification_request(text: str) -> DocumentRequest:
    """Parse the `curl` command of the verification."""
    (block,) = re.findall(r"```bash\n(\s*curl .*?)```", text, re.DOTALL)
    words = shlex.split(block)
    options = list(pairwise(words))
    headers = dict(value.split(": ", 1) for option, value in options if option == "-H")
    (method,) = [value for option, value in options if option == "-X"]
    (data,) = [value for option, value in options if option == "-d"]
    (url,) = [word for word in words if word.startswith("http")]
    return DocumentRequest(method, url, headers, json.loads(data))


def _workflow_requests(text: str) -> list[DocumentRequest]:
    """Parse the chapter of each workflow: `METHOD URL`, then the table of the body's keys."""
    (headers,) = tables(text, "Cabecera")
    chapters = re.findall(r"^### .+\n\n`(\w+) (\S+)`\n\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [
        DocumentRequest(method, url, headers, {key: _fill_in(value) for key, value in _rows(table).items()})
        for method, url, table in chapters
    ]


def tables(text: str, heading: str) -> list[dict[str, str]]:
    """Return each table whose first column has this heading: the code in its first column → in its second."""
    found = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [_rows(table) for table in found]


def _rows(table: str) -> dict[str, str]:
    return dict(re.findall(r"^\| `([^`]+)` \| `?([^`|]*)", table, re.MULTILINE))


def _fill_in(value: str) -> Any:
    variable = re.fullmatch(r"\{\{(.+)\}\}", value)
    return SAMPLES[variable[1]] if variable else value
