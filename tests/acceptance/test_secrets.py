"""Secrets of the settings, sent in every place and spelling, are nowhere to be found afterwards."""

import base64
import gzip
import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from zstandard import ZstdDecompressor

from relay.cli.main import cli
from tests.support.patience import http_client
from tests.support.receiver import Receiver
from tests.support.relay import WEBHOOK_PATH, RelayProcess, crm_rows, eventually, running_relay

TOKEN = "tk/Kanarienvogel+20c9f4a17b"
CRM_KEY = "sk-Wellensittich/88e1f0d3+key"
UNLISTED = "Nymphensittich-51d7c09"
"""A wrong secret, which only its key shows."""

OTHER_SECRET = "whsec_S2Fyb2xpbmFzaXR0aWNoMDFhYmNkZWZnaGlqa2xtbm8="
SETTINGS = f"""
[server]
port = 0
[cloudtalk]
tokens = ["{TOKEN}"]
signing_secrets = ["{OTHER_SECRET}"]
[ledger]
url = "sqlite:///relay.db"
[destinations.crm]
client = "local"
path = "crm.db"
[destinations.hook]
client = "webhook"
"""
AUTHORIZATION = {"authorization": f"Bearer {TOKEN}"}
JSON = {"content-type": "application/json"}


def spell(secret: str) -> dict[str, str]:
    escaped = "".join(f"\\u{ord(character):04x}" for character in secret)
    return {
        "raw": secret,
        "php": secret.replace("/", "\\/"),
        "unicode": escaped,
        "percent": quote(secret, safe=""),
        "percent of all": "".join(f"%{byte:02x}" for byte in secret.encode()),
        "entities": "".join(f"&#{ord(character)};" for character in secret),
        "base64": base64.b64encode(f"user:{secret}".encode()).decode(),
        "base64 of url": base64.urlsafe_b64encode(secret.encode()).decode(),
        "hex": secret.encode().hex(),
    }


def traces(secret: str) -> list[bytes]:
    """Return parts of the secret, long enough to guess it, as they would be in a file."""
    parts: list[bytes] = []
    for text in (secret, secret.encode().hex(), secret.encode().hex().upper()):
        parts += [text[2:-2].encode(), text[2:-2].encode("utf-16-le")]
    for spelling in ("unicode", "percent of all", "entities", "php"):
        parts.append(spell(secret)[spelling][6:-6].encode())
    for before in range(3):
        encoded = base64.b64encode(b"x" * before + secret.encode())[4:-4]
        parts += [encoded, encoded.replace(b"+", b"-").replace(b"/", b"_")]
    return parts


TRACES = [
    *traces(TOKEN),
    *traces(CRM_KEY),
    *traces(UNLISTED),
    *traces(OTHER_SECRET.removeprefix("whsec_")),
]


def find_traces(content: bytes) -> list[bytes]:
    return [trace for trace in TRACES if trace in content]


def event(note: str = "nada", /, **data: Any) -> bytes:
    """Return an event of the call 77. The note is JSON text already."""
    fields = {
        "call_id": 77,
        "event": "call.ended",
        "talking_time": 9,
        "external_number": "+34600111222",
    } | data
    return json.dumps(fields)[:-1].encode() + b',"note":"' + note.encode() + b'"}'


def requests() -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Yield path and query, body, and headers of each request."""
    for secret in (TOKEN, CRM_KEY, OTHER_SECRET):
        for spelled in spell(secret).values():
            yield "", event(f"la clave es {spelled}, gracias"), JSON
            yield "", event(spelled)[:-3], JSON
            if not spelled.isascii() or "\\" not in spelled:
                yield f"/{quote(spelled)}/call.ended", event(), JSON
                yield f"?x={spelled.replace('%', '%25').replace('#', '%23')}", event(), JSON
        yield "", event(**{secret: 1, "lista": [secret, {"a": secret}]}), JSON
        yield "", event(texto=json.dumps({"k": secret})), JSON
        yield "", f"call_id=77&event=call.ended&note={quote(secret, safe='')}".encode(), {}
        yield "", event(), {"content-type": f"application/json; token={secret}"}
        yield "", event(), {"content-type": f"application/{secret}"}
        yield "", event(), JSON | {"content-encoding": secret}
        yield "", event(), JSON | {"svix-id": secret}
        yield "", event(company_id=secret), JSON
        yield "", json.dumps({"event": f"call.{secret}", "call_id": 77}).encode(), JSON
        for text in (event(secret), event(secret)[:-9]):
            yield "", text.decode().encode("utf-16"), JSON
            yield "", text.decode().encode("cp037"), JSON
            for packed in (gzip.compress(text), gzip.compress(text)[:-4], zlib.compress(text)):
                yield "", packed, JSON | {"content-encoding": "gzip"}
                yield "", packed, JSON
            yield "", gzip.compress(gzip.compress(text)), JSON | {"content-encoding": "gzip"}
            yield "", text, JSON | {"content-encoding": "br"}
    yield from requests_with_unlisted_secrets()


def requests_with_unlisted_secrets() -> Iterator[tuple[str, bytes, dict[str, str]]]:
    for key in ("secret", "LHC_Key", "apikey", "api-key", "password", "Authorization", "access_token"):
        escaped = f"\\u{ord(key[0]):04x}{key[1:]}"
        yield f"?{key}={UNLISTED}", event(), JSON
        yield f"?a=1;{key}={UNLISTED};b", event(), JSON
        yield f";{key}={UNLISTED}/call.ended", event(), JSON
        yield "", event(**{key: UNLISTED, "d": {key: [UNLISTED]}, "t": json.dumps({key: UNLISTED})}), JSON
        yield "", event(f'","{escaped}":"{UNLISTED}'), JSON
        yield "", event(f'","{escaped}":"{UNLISTED}')[:-1], JSON
        yield "", f"call_id=77&event=call.ended&{key}={UNLISTED}".encode(), {}
        yield "", f"call_id=77;event=call.ended;{key}={UNLISTED}".encode(), {}
        yield "", f"<call><{key}>{UNLISTED}</{key}></call>".encode(), {"content-type": "text/xml"}
        part = f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{UNLISTED}\r\n--b--\r\n'
        yield "", part.encode(), {"content-type": "multipart/form-data; boundary=b"}


def stored_bodies(path: Path) -> Iterator[bytes]:
    """Yield every value of every table, decompressed."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - a name from the schema
                for value in row:
                    raw = value if isinstance(value, bytes) else str(value).encode()
                    yield ZstdDecompressor().decompress(raw) if raw.startswith(b"\x28\xb5\x2f\xfd") else raw


def command_output(folder: Path, *arguments: str) -> bytes:
    result = CliRunner().invoke(cli, ["--settings", str(folder / "settings.toml"), *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output.encode()


def read_everything(folder: Path) -> dict[str, bytes]:
    """Return what each command that reads prints."""
    outputs = {
        " ".join(arguments): command_output(folder, *arguments)
        for arguments in (
            ("calls", "list", "--json"),
            ("calls", "show", "77", "--json"),
            ("calls", "show", "77"),
            ("quarantine", "list", "--json"),
            ("destinations", "list", "--json"),
            ("dead", "list", "--json"),
            ("status", "--json"),
            ("check", "--json"),
        )
    }
    for body in json.loads(outputs["quarantine list --json"])[-3:]:
        outputs[f"quarantine show {body['id']}"] = command_output(
            folder, "quarantine", "show", str(body["id"])
        )
    return outputs


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with closing(Receiver()) as receiver:
        yield receiver


def settings_for(receiver: Receiver) -> str:
    options = receiver.settings()
    return f"""{SETTINGS}
url = "{options["url"]}"
secret = "{options["secret"]}"
allow_private = true
[destinations.off]
client = "supabase"
url = "http://127.0.0.1:9"
key = "{CRM_KEY}"
table = "t"
"""


def send_all(relay: RelayProcess) -> list[tuple[int, bytes]]:
    """Send all requests; return the statuses, and the responses without what the sender's request named."""
    answers = []
    with http_client() as client:
        for path, body, headers in requests():
            target = relay.url + WEBHOOK_PATH + path
            response = client.post(target, content=body, headers=AUTHORIZATION | headers)
            answers.append((response.status_code, response.content))
        for place in (f"/elsewhere/{TOKEN}", f"/elsewhere?token={quote(TOKEN)}"):
            response = client.post(relay.url + place, headers={"authorization": "Bearer wrong"})
            answers.append((response.status_code, response.content))
    return answers


def test_no_secret_is_found_anywhere_after_requests_with_secrets_in_every_place(
    tmp_path: Path, receiver: Receiver
) -> None:
    assert find_traces((settings_for(receiver) + UNLISTED).encode())  # the search finds what is there
    with running_relay(tmp_path, settings_for(receiver)) as relay:
        answers = send_all(relay)
        assert {status for status, _ in answers} >= {200, 400, 404, 415}
        assert [status for status, _ in answers if status >= 500 or status == 401] == []
        eventually(lambda: crm_rows(tmp_path / "crm.db"), lambda rows: "cloudtalk-77" in rows)
        eventually(lambda: receiver.calls, bool)
        process = Path(f"/proc/{relay.process.pid}")
        found = {
            "responses": find_traces(b"\n".join(content for _, content in answers)),
            "process title": find_traces(
                (process / "cmdline").read_bytes() + (process / "comm").read_bytes()
            ),
            "deliveries": find_traces(b"\n".join(request.body for request in receiver.requests)),
            **{name: find_traces(output) for name, output in read_everything(tmp_path).items()},
            **{
                f"values of {name}": find_traces(b"\n".join(stored_bodies(tmp_path / name)))
                for name in ("relay.db", "crm.db")
            },
            **{
                path.name: find_traces(path.read_bytes())
                for path in tmp_path.iterdir()
                if path.is_file() and path.name != "settings.toml"
            },
        }
    assert {place: traces_found for place, traces_found in found.items() if traces_found} == {}
    assert {"relay.db", "relay.db-wal", "crm.db", "relay.log"} <= found.keys()
