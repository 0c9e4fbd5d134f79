"""`relay check`: one finding for the ledger and each destination, and an exit code for scripts."""

import json
import sqlite3
from contextlib import closing

import pytest

from crm_clients.base import Finding
from crm_clients.local import LocalClient
from relay import app
from tests.support.home import LOCAL, Home
from tests.support.postgrest import free_port

BROKEN = LOCAL.replace("crm", "broken").replace("broken.db", "settings.toml/crm.db")
KEYS = ["name", "ok", "code", "problem", "hint"]


def test_where_all_is_well_it_ends_with_0(home: Home) -> None:
    found = home.json("check")
    assert [list(finding) for finding in found] == [KEYS, KEYS]
    assert [(finding["name"], finding["ok"], finding["hint"]) for finding in found] == [
        ("ledger", True, None),
        ("crm", True, None),
    ]


def test_a_person_reads_a_line_per_finding_and_what_to_do(home: Home) -> None:
    home.write(LOCAL + BROKEN)
    done = home.run("check")
    assert done.exit_code == 1
    heading, ledger, crm, broken, _, hint = done.stdout.splitlines()
    assert heading.split() == ["name", "code", "problem"]
    assert (ledger.split(), crm.split()) == (["ok", "ledger"], ["ok", "crm"])
    assert broken.split()[:3] == ["bad", "broken", "unreachable"]
    assert hint.startswith("broken, unreachable: see that the folder exists")


def test_one_bad_finding_among_good_ones_ends_with_1(home: Home) -> None:
    home.write(LOCAL + BROKEN)
    done = home.run("check", "--json")
    assert done.exit_code == 1
    assert '"code": "unreachable"' in done.stdout


def test_a_missing_column_is_named(home: Home) -> None:
    home.run("setup", "crm")
    with closing(sqlite3.connect(home.crm)) as connection:
        connection.execute("ALTER TABLE calls DROP COLUMN notes")
    done = home.run("check")
    assert (done.exit_code, "missing_column" in done.stdout) == (1, True)
    assert "relay setup crm" in done.stdout


def test_a_ledger_that_cannot_be_opened_is_a_finding(home: Home) -> None:
    home.path.write_text('[ledger]\nurl = "sqlite:///settings.toml/relay.db"\n' + LOCAL)
    done = home.run("check")
    assert done.exit_code == 1
    ledger = done.stdout.splitlines()[1]
    assert ledger.split()[:3] == ["bad", "ledger", "unreachable"]
    assert "settings.toml" in ledger


def test_a_destination_that_is_down_is_a_finding_and_no_traceback(home: Home) -> None:
    home.write(f"""
        [destinations.supabase]
        client = "supabase"
        url = "http://127.0.0.1:{free_port()}"
        key = "sb_secret_0123456789"
    """)
    done = home.run("check")
    assert done.exit_code == 1
    assert "unreachable" in done.stdout
    assert "0123456789" not in done.stdout
    assert isinstance(done.exception, SystemExit)


def test_a_client_that_fails_is_a_finding_beside_the_others(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(LocalClient):
        async def check(self) -> list[Finding]:
            if self.name == "broken":
                raise ZeroDivisionError("by nought")
            return await super().check()

    monkeypatch.setattr(app, "load_client_class", lambda _: Failing)
    home.write(LOCAL + BROKEN)
    done = home.run("check", "--json")
    assert done.exit_code == 1
    _, crm, broken = json.loads(done.stdout)
    assert crm["ok"]
    assert broken["code"] == "client_fault"
    assert broken["problem"] == "its client failed: ZeroDivisionError: by nought"


def test_no_call_is_written_and_every_client_is_closed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    class Watched(LocalClient):
        async def aclose(self) -> None:
            await super().aclose()
            closed.append(self.name)

    monkeypatch.setattr(app, "load_client_class", lambda _: Watched)
    assert home.run("check").exit_code == 0
    assert closed == ["crm"]
    with closing(sqlite3.connect(home.crm)) as connection:
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (0,)
