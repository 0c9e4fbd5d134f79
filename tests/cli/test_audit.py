"""`relay audit`: its options, its output and its exit codes, without a relay."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from relay.instants import Instant
from relay.ledger import destinations
from tests.support.home import LOCAL, Home, all_delivered

STARTED_AT = datetime.now(UTC) - timedelta(hours=6)
SINCE = ("--since", (STARTED_AT - timedelta(days=1)).date().isoformat())


def ended(number: int) -> dict[str, Any]:
    at = STARTED_AT.isoformat()
    data = {"id": str(number), "direction": "inbound", "started_at": at, "ended_at": at, "duration": 60}
    return {"event": "call.ended", "data": data}


@pytest.fixture
def delivered(home: Home) -> Home:
    """A home with three calls in its CRM."""
    home.run_relay(*(ended(number) for number in range(3)), until=all_delivered(3))
    return home


def change_crm(home: Home, sql: str) -> None:
    with closing(sqlite3.connect(home.crm)) as connection, connection:
        connection.execute(sql)


def test_all_is_right(delivered: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = delivered.run("audit", *SINCE)
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("calls from ")
    assert lines[2:] == [
        "side        calls  found",
        "the ledger  3",
        "crm         3",
        "",
        "complete and right (the ledger: 3, crm: 3)",
    ]


def test_what_is_lost_is_repaired_by_the_next_relay_and_a_double_needs_a_person(
    delivered: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    change_crm(delivered, "DELETE FROM calls WHERE id = 'cloudtalk-0'")
    change_crm(
        delivered,
        "INSERT INTO calls (id, call_id, version)"
        " SELECT 'copy', call_id, 1 FROM calls WHERE id = 'cloudtalk-1'",
    )
    only_compared = delivered.run("audit", *SINCE, "--dry-run", "--json")
    assert only_compared.exit_code == 1
    assert json.loads(only_compared.stdout)["for_person"] == 2
    assert delivered.run("audit", "--last").exit_code == 1  # a dry run is not stored
    done = delivered.run("audit", *SINCE)
    assert done.exit_code == 1
    assert "crm         3      1 missing, 1 doubled" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("cloudtalk-")]
    assert [(row[0], row[2]) for row in rows] == [("cloudtalk-0", "missing"), ("cloudtalk-1", "doubled:")]
    assert "repaired: 1, to look at: 1 (the ledger: 3, crm: 3)" in done.stdout
    assert "no relay is running" in done.stdout
    assert delivered.count_pending() == {"crm": 1}
    last = delivered.run("audit", "--last", "--json")
    assert last.exit_code == 1
    assert [each["kind"] for each in json.loads(last.stdout)["findings"]] == ["missing", "doubled"]
    status = delivered.run("status")
    assert "audit: " in status.stdout
    assert "`relay audit --last` shows it" in status.stdout.replace("\n", " ")
    delivered.run_relay(until=all_delivered(3))
    again = delivered.run("audit", *SINCE, "--json")
    assert [each["kind"] for each in json.loads(again.stdout)["findings"]] == ["doubled"]


def test_a_paused_crm_is_not_compared_and_proves_nothing(delivered: Home) -> None:
    delivered.write_ledger(lambda c: destinations.pause(c, "crm", now=Instant(1)))
    done = delivered.run("audit", *SINCE)
    assert done.exit_code == 1
    assert "not compared: paused (paused)" in done.stdout
    assert "not proven: crm" in done.stdout


def test_wrong_usage(home: Home) -> None:
    for arguments, problem in (
        (("--since", "soon"), "expected a date"),
        (("--since", "2099-01-01"), "expected a time of the past"),
        (("--since", "2024-11-29", "--until", "2024-11-28"), "before --until"),
        (("--last", "--dry-run"), "give no other option"),
    ):
        done = home.run("audit", *arguments)
        assert (done.exit_code, problem in done.stderr) == (2, True), done.stderr
    unknown = home.run("audit", "--destination", "other")
    assert (unknown.exit_code, "other" in unknown.stderr) == (1, True)
    assert "no audit is stored" in home.run("audit", "--last").stderr
    home.write_settings("")
    assert "nothing to compare with" in home.run("audit").stderr
    home.write_settings(LOCAL.replace("[destinations", "[audit]\nat = '3:30'\n[destinations"))
    assert home.run("audit").exit_code == 2


def test_without_a_ledger_a_dry_run_creates_nothing(home: Home) -> None:
    done = home.run("audit", "--dry-run")
    assert done.exit_code == 0, done.output
    assert [file.name for file in home.folder.iterdir()] == ["settings.toml"]
