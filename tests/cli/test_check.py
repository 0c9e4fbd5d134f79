"""`relay check`: findings about the ledger and each destination, and the exit code."""

import json
import sqlite3
from contextlib import closing

import pytest

from crm_clients.base import Finding
from crm_clients.local import LocalClient
from relay import app
from tests.support.home import LOCAL, Home
from tests.support.servers import free_port

BROKEN = LOCAL.replace("crm", "broken").replace("broken.db", "settings.toml/crm.db")
KEYS = ["name", "ok", "code", "problem", "hint"]


def test_without_problems_it_exits_with_0(home: Home) -> None:
    findings = home.json("check")
    assert [list(finding) for finding in findings] == [KEYS, KEYS]
    assert [(finding["name"], finding["ok"], finding["hint"]) for finding in findings] == [
        ("ledger", True, None),
        ("crm", True, None),
    ]


def test_the_table_has_a_line_per_finding_and_the_hints_follow(home: Home) -> None:
    home.write_settings(LOCAL + BROKEN)
    result = home.run("check")
    assert result.exit_code == 1
    heading, ledger, crm, broken, _, hint = result.stdout.splitlines()
    assert heading.split() == ["name", "code", "problem"]
    assert (ledger.split(), crm.split()) == (["ok", "ledger"], ["ok", "crm"])
    assert broken.split()[:3] == ["failed", "broken", "unreachable"]
    assert hint.startswith("broken, unreachable: ")
    assert "the folder exists" in hint


def test_one_failed_finding_exits_with_1(home: Home) -> None:
    home.write_settings(LOCAL + BROKEN)
    result = home.run("check", "--json")
    assert result.exit_code == 1
    assert '"code": "unreachable"' in result.stdout


def test_a_missing_column_is_named(home: Home) -> None:
    home.run("setup", "crm")
    with closing(sqlite3.connect(home.crm)) as connection:
        connection.execute("ALTER TABLE calls DROP COLUMN notes")
    result = home.run("check")
    assert (result.exit_code, "missing_column" in result.stdout) == (1, True)
    assert "relay setup crm" in result.stdout


def test_a_ledger_that_cannot_be_opened_is_a_finding(home: Home) -> None:
    home.path.write_text('[ledger]\nurl = "sqlite:///settings.toml/relay.db"\n' + LOCAL)
    result = home.run("check")
    assert result.exit_code == 1
    ledger = result.stdout.splitlines()[1]
    assert ledger.split()[:3] == ["failed", "ledger", "unreachable"]
    assert "settings.toml" in ledger


def test_an_unreachable_crm_is_a_finding_without_a_traceback(home: Home) -> None:
    home.write_settings(f"""
        [destinations.supabase]
        client = "supabase"
        url = "http://127.0.0.1:{free_port()}"
        key = "sb_secret_0123456789"
    """)
    result = home.run("check")
    assert result.exit_code == 1
    assert "unreachable" in result.stdout
    assert "0123456789" not in result.stdout
    assert isinstance(result.exception, SystemExit)


def test_a_client_that_raises_is_a_finding_beside_the_others(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FailingClient(LocalClient):
        async def check(self) -> list[Finding]:
            if self.name == "broken":
                raise ZeroDivisionError("division by zero")
            return await super().check()

    monkeypatch.setattr(app, "load_client_class", lambda _: FailingClient)
    home.write_settings(LOCAL + BROKEN)
    result = home.run("check", "--json")
    assert result.exit_code == 1
    _, crm, broken = json.loads(result.stdout)
    assert crm["ok"]
    assert broken["code"] == "client_fault"
    assert broken["problem"] == "the client failed: ZeroDivisionError: division by zero"


def test_no_call_is_written_and_every_client_is_closed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    class ObservedClient(LocalClient):
        async def aclose(self) -> None:
            await super().aclose()
            closed.append(self.name)

    monkeypatch.setattr(app, "load_client_class", lambda _: ObservedClient)
    assert home.run("check").exit_code == 0
    assert closed == ["crm"]
    with closing(sqlite3.connect(home.crm)) as connection:
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (0,)
