"""Ledgers of earlier releases open in this one and in the next: nothing is lost, and a relay goes on."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from relay.ledger import HEAD
from relay.ledger.engine import migrate, open_engine
from tests.support.next_release import NEXT, make_next_release, process_of_release
from tests.support.postgres import Databases
from tests.support.relay import RelayProcess, crm_rows, eventually
from tests.support.schema_changes import read_schema
from tests.upgrade.samples import (
    ENGINES,
    FORGOTTEN,
    SETTINGS,
    dump,
    list_samples,
    read_content,
    read_sample,
    restored,
)

SAMPLES = list_samples()


class Sample:
    """A restored sample: its ledger with its embedded CRM, and what was in it."""

    def __init__(self, folder: Path, url: str, version: str, engine: str) -> None:
        self.folder, self.url, self.version = folder, url, version
        self.settings = SETTINGS.format(ledger=url)
        self.content: dict[str, Any] = json.loads(read_sample(version, engine, "content"))


@pytest.fixture(params=SAMPLES, ids="-".join)
def sample(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sample]:
    version, engine = request.param
    databases: Databases | None = request.getfixturevalue("databases") if engine == "postgresql" else None
    with restored(version, engine, tmp_path, databases) as url:
        yield Sample(tmp_path, url, version, engine)


def find_losses(expected: Any, found: Any, path: str = "") -> list[str]:
    """Return where a value is missing or another one. New keys of objects are no loss."""
    if isinstance(expected, dict) and isinstance(found, dict):
        pairs = [(f"{path}.{key}", value, found.get(key, "absent")) for key, value in expected.items()]
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = [(f"{path}[{n}]", *pair) for n, pair in enumerate(zip(expected, found, strict=True))]
    else:
        return [] if expected == found else [f"{path}: {expected!r} became {found!r}"]
    return [loss for place, left, right in pairs for loss in find_losses(left, right, place)]


def read(relay: RelayProcess, sample: Sample) -> dict[str, Any]:
    return dict(json.loads(json.dumps(read_content(relay, sample.url))))


def send(relay: RelayProcess, event: str, **data: Any) -> None:
    response = relay.post({"event": f"call.{event}", "data": data})
    assert response.status_code == 200, response.text


def wait_for(sample: Sample, call: str, **columns: Any) -> None:
    def row() -> dict[str, Any]:
        return crm_rows(sample.folder / "crm.db").get(call, {})

    eventually(row, lambda found: all(found.get(name) == value for name, value in columns.items()))


def test_there_is_a_sample_of_the_present_schema_for_each_engine() -> None:
    assert [engine for version, engine in SAMPLES if version == HEAD] == sorted(ENGINES), (
        "make samples of the new schema: .venv/bin/python -m tests.upgrade.samples"
    )


def columns_of(url: str) -> dict[str, list[str]]:
    opened = open_engine(url)
    try:
        migrate(opened)
        return {name: sorted(table.columns) for name, table in read_schema(opened).items()}
    finally:
        opened.dispose()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_sample_of_the_present_schema_has_its_tables(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A migration never changes once a release has it. Until the first release the samples are made again."""
    databases: Databases | None = request.getfixturevalue("databases") if engine == "postgresql" else None
    with ExitStack() as stack:
        sample = stack.enter_context(restored(HEAD, engine, tmp_path, databases))
        new = stack.enter_context(databases.ledger()) if databases else f"sqlite:///{tmp_path / 'new.db'}"
        same = columns_of(sample) == columns_of(new)
    assert same, "make the samples again: .venv/bin/python -m tests.upgrade.samples"


def test_nothing_is_lost_and_the_relay_works_on(sample: Sample) -> None:
    relay = RelayProcess(sample.folder, sample.settings)
    assert len(sample.content["calls"]) >= 16
    assert sample.content["client_state"]
    assert sample.content["quarantine"]
    relay.start()
    try:
        migrated = [line for line in relay.log_lines() if line["event"] == "ledger.migrated"]
        assert len(migrated) == (sample.version != HEAD)
        assert find_losses(sample.content, read(relay, sample)) == []
        # An earlier call goes on: its alias is known, and the CRM has its newest version only.
        call = next(id_ for id_, each in sample.content["calls"].items() if each["call_id"])
        known = sample.content["calls"][call]
        send(relay, "ended", id=known["call_id"], duration=4242, status="completed")
        wait_for(sample, call, duration_seconds=4242)
        new = {"direction": "inbound", "from": "+34611999888", "started_at": "2026-11-27T10:00:00Z"}
        send(relay, "ended", id="new", duration=61, **new)
        wait_for(sample, "cloudtalk-new", duration_seconds=61)
        # What was forgotten stays forgotten: the key of the hashes was kept.
        send(
            relay,
            "ended",
            id="forgotten",
            **(new | {"from": FORGOTTEN, "started_at": "2026-11-26T10:00:00Z"}),
        )
        send(relay, "ended", id="last", duration=62, **new)
        wait_for(sample, "cloudtalk-last", duration_seconds=62)
        assert "cloudtalk-forgotten" not in read(relay, sample)["calls"]
    finally:
        assert relay.stop() == 0
    levels = {line["level"] for line in relay.log_lines()}
    assert levels <= {"info", "warning"}


def test_backup_restore_and_vacuum_keep_everything(sample: Sample, tmp_path: Path) -> None:
    relay = RelayProcess(sample.folder, sample.settings)

    def run(*arguments: str) -> None:
        done = relay.command("ledger", *arguments)
        assert done.returncode == 0, done.stderr

    if sample.url.startswith("sqlite"):
        copy = tmp_path / "backup.db"
        with_relay = relay.start()
        run("backup", str(copy))
        send(with_relay, "started", id="after-the-backup")
        assert relay.stop() == 0
        run("restore", str(copy))
    else:
        run("restore")  # begins the epoch, after a restore by the tools of PostgreSQL
    run("vacuum")
    assert find_losses(sample.content, read(relay, sample)) == []


def test_the_next_release_opens_it_and_this_one_goes_on(sample: Sample) -> None:
    release = make_next_release(sample.folder / "release")
    newer = process_of_release(release, sample.folder, sample.settings).start()
    try:
        migrated = [line for line in newer.log_lines() if line["event"] == "ledger.migrated"]
        assert [(line["before"], line["after"]) for line in migrated] == [(sample.version, NEXT)]
        assert find_losses(sample.content, read(newer, sample)) == []
    finally:
        assert newer.stop() == 0
    older = RelayProcess(sample.folder, sample.settings).start()
    try:
        assert find_losses(sample.content, read(older, sample)) == []
        send(older, "ended", id="new", direction="inbound", duration=61)
        wait_for(sample, "cloudtalk-new", duration_seconds=61)
    finally:
        assert older.stop() == 0


def test_a_loss_is_found() -> None:
    expected = {"a": [{"b": 1, "c": None}], "d": "x"}
    assert find_losses(expected, {"a": [{"b": 1, "c": None, "new": 2}], "d": "x", "e": 1}) == []
    assert find_losses(expected, {"a": [{"b": 2, "c": None}]}) == [
        ".a[0].b: 1 became 2",
        ".d: 'x' became 'absent'",
    ]
    assert find_losses([1], [1, 2]) == [": [1] became [1, 2]"]


def test_a_sample_names_no_machine(sample: Sample) -> None:
    stored = (
        dump(sample.url) if sample.url.startswith("postgresql") else (sample.folder / "relay.db").read_bytes()
    )
    assert b"/tmp/" not in stored
    assert not re.search(rb"@[0-9a-f]{8}\.\d{6,}", stored)  # a host with its boot id, see `process_identity`
