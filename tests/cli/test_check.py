"""`relay check`: findings about the ledger and each destination, and the exit code."""

import json
import sqlite3
from contextlib import closing

import pytest

from crm_clients.base import Finding
from crm_clients.local import LocalClient
from relay.delivery import clients
from relay.instants import Instant
from relay.ledger import destinations, warnings
from relay.ledger.destinations import Pause
from tests.support.home import LOCAL, STARTED, Home, all_delivered
from tests.support.samples import RECEIVED_AT
from tests.support.servers import free_port

BROKEN = LOCAL.replace("crm", "broken").replace("broken.db", "settings.toml/crm.db")
KEYS = ["name", "ok", "code", "problem", "hint"]


def test_without_problems_it_exits_with_0(home: Home) -> None:
    home.create_files()
    findings = home.json("check")
    assert [list(finding) for finding in findings] == [KEYS, KEYS]
    assert [(finding["name"], finding["ok"], finding["hint"]) for finding in findings] == [
        ("ledger", True, None),
        ("crm", True, None),
    ]


def test_the_table_has_a_line_per_finding_and_the_hints_follow(home: Home) -> None:
    home.create_files()
    home.write_settings(LOCAL + BROKEN)
    result = home.run("check")
    assert result.exit_code == 1
    heading, ledger, crm, broken, _, hint = result.stdout.splitlines()
    assert heading.split() == ["name", "code", "problem"]
    assert (ledger.split(), crm.split()) == (["ok", "ledger"], ["ok", "crm"])
    assert broken.split()[:3] == ["failed", "broken", "unreachable"]
    assert hint.startswith("broken, unreachable: ")
    assert hint.endswith("settings.toml is no folder")


def test_one_failed_finding_exits_with_1(home: Home) -> None:
    home.write_settings(LOCAL + BROKEN)
    result = home.run("check", "--json")
    assert result.exit_code == 1
    assert '"code": "unreachable"' in result.stdout


def test_what_the_relay_creates_later_is_named(home: Home) -> None:
    found = [(f["name"], f["ok"], f["code"], f["problem"], f["hint"]) for f in home.json("check")]
    folder = home.folder
    assert found == [
        ("ledger", True, "not_created", None, f"`relay serve` creates {folder}/relay.db"),
        (
            "crm",
            True,
            "not_created",
            None,
            f"the first call creates {folder}/crm.db, as does `relay setup crm`",
        ),
    ]
    assert [line.split() for line in home.run("check").stdout.splitlines()[1:3]] == [
        ["ok", "ledger", "not_created"],
        ["ok", "crm", "not_created"],
    ]


# --- warnings ----------------------------------------------------------------------------------


def test_a_warning_has_a_line_and_a_hint_and_exits_with_0(home: Home) -> None:
    home.create_files()
    home.write_settings(f"{LOCAL}enabled = false\n{LOCAL.replace('crm', 'other')}enabled = false")
    result = home.run("check")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [
        ["warning", "crm", "disabled"],
        ["warning", "other", "disabled"],
    ]
    assert [
        line
        for line in lines
        if line.startswith("other, disabled: remove `enabled` from [destinations.other]")
    ]


def test_a_warning_is_ok_and_has_a_code(home: Home) -> None:
    home.create_files()
    home.write_settings("[cloudtalk]\ntokens = ['secret-secret-secret']\n")
    home.path.chmod(0o644)
    warnings = [finding for finding in home.json("check") if finding["code"]]
    assert [list(warning) for warning in warnings] == [KEYS] * 3
    assert [(warning["ok"], warning["code"]) for warning in warnings] == [
        (True, "no_destination"),
        (True, "weak_token"),
        (True, "readable_secret"),
    ]
    assert all(warning["problem"] and warning["hint"] for warning in warnings)


def test_a_ledger_that_other_users_can_read_is_a_warning(home: Home) -> None:
    home.create_files()
    assert not any(finding["code"] for finding in home.json("check"))
    (home.folder / "relay.db").chmod(0o644)
    (warning,) = [finding for finding in home.json("check") if finding["code"]]
    assert (warning["name"], warning["ok"], warning["code"]) == ("ledger", True, "readable_data")
    assert str(home.folder / "relay.db") in warning["problem"]
    assert warning["hint"].startswith(f"chmod 600 {home.folder / 'relay.db'} ")


def test_a_folder_of_the_ledger_in_which_other_users_can_replace_it_is_a_warning(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home.folder / "var"
    monkeypatch.setenv("RELAY__LEDGER__URL", f"sqlite:///{folder}/relay.db")
    home.create_files()
    assert not any(finding["code"] for finding in home.json("check"))
    folder.chmod(0o733)
    (warning,) = [finding for finding in home.json("check") if finding["code"]]
    assert (warning["name"], warning["ok"], warning["code"]) == ("ledger", True, "writable_path")
    assert warning["hint"] == f"chmod go-w {folder}, as its owner"


def test_a_warning_does_not_hide_a_failure(home: Home) -> None:
    home.create_files()
    home.write_settings(BROKEN + "enabled = false")
    result = home.run("check", "--json")
    assert result.exit_code == 1
    assert [(f["name"], f["code"]) for f in json.loads(result.stdout) if f["code"]] == [
        ("broken", "disabled"),
        ("broken", "unreachable"),
    ]


def test_ended_events_without_an_outcome_are_a_warning_that_names_the_variable(home: Home) -> None:
    home.run_relay(
        {"event": "call.ended", "call_uuid": "u-1"},
        {"event": "call.ended", "call_uuid": "u-2", "talking_time": None},
        {"event": "call.ended", "data": {"id": "3"}},
        until=all_delivered(3),
    )
    found = [f for f in home.json("check") if f["code"] == "missing_variable"]
    assert [(f["name"], f["ok"]) for f in found] == [("cloudtalk", True)] * 2
    assert "status" in found[0]["problem"]
    assert ": 1;" in found[0]["problem"]
    assert "talking_time" in found[1]["hint"]
    assert ": 2;" in found[1]["problem"]
    with closing(sqlite3.connect(home.folder / "relay.db")) as ledger, ledger:
        ledger.execute("UPDATE events SET received_at = received_at - 86401 * 1000000")
    assert not any(f["code"] for f in home.json("check"))


# --- pauses and dead letters -------------------------------------------------------------------


def failures(home: Home) -> list[tuple[str, str]]:
    """Run `check`, which must exit with 1; return the name and code of each failed finding."""
    result = home.run("check", "--json")
    assert result.exit_code == 1
    return [(finding["name"], finding["code"]) for finding in json.loads(result.stdout) if not finding["ok"]]


def test_a_destination_that_a_person_paused_exits_with_1_until_it_is_resumed(home: Home) -> None:
    home.write_settings(LOCAL + LOCAL.replace("crm", "other"))
    home.run("destinations", "pause", "other")
    assert failures(home) == [("other", "paused")]
    assert "`relay destinations resume other`" in home.run("check").stdout
    home.run("destinations", "resume", "other")
    assert home.run("check").exit_code == 0


@pytest.mark.parametrize("reason", ["failing", "misconfigured", "throttled", "unauthorised"])
def test_a_destination_that_the_relay_paused_exits_with_1_and_says_why(home: Home, reason: str) -> None:
    home.run("destinations", "pause", "crm")  # registers it
    home.run("destinations", "resume", "crm")
    pause = Pause(reason, 60, "code_1", "the message of the CRM.")
    home.write_ledger(
        lambda connection: destinations.pause_until(
            connection, "crm", pause, until=RECEIVED_AT, now=Instant(1)
        )
    )
    assert failures(home) == [("crm", "paused")]
    shown = home.run("check").stdout
    assert f"until 2027-01-15 09:00:00+01:00; pending calls: 0; {reason}: the message of the CRM." in shown
    assert "`relay destinations probe crm`" in shown


def test_an_api_of_cloudtalk_that_is_paused_exits_with_1_unless_it_is_switched_off(home: Home) -> None:
    nowhere = "base_url = 'http://127.0.0.1:9'\nanalytics_url = 'http://127.0.0.1:9'\n"
    key = f"[cloudtalk.api]\nkey_id = 'id'\nkey_secret = 'secret'\n{nowhere}"
    message = "https://analytics.example.test answered 401; check cloudtalk.api.key_id"
    home.write_settings(key + LOCAL)
    home.write_ledger(lambda c: warnings.record(c, warnings.ANALYTICS_PAUSED, RECEIVED_AT, message))
    assert ("cloudtalk", "enrichment_paused") in failures(home)
    assert "switch it off in [enrich]" in " ".join(home.run("check").stdout.split())
    assert "CloudTalk's analytics API is not asked" in home.run("status").stdout
    assert home.json("status")["enrichment"]["paused"] == [{"api": "analytics", "problem": message}]
    home.write_settings(f"[enrich]\nanalytics = false\n{key}{LOCAL}")
    assert ("cloudtalk", "enrichment_paused") not in failures(home)


def test_dead_letters_exit_with_1_until_they_are_dropped(home: Home) -> None:
    home.write_settings(LOCAL + LOCAL.replace("crm", "other"))
    home.run_relay(STARTED, until=all_delivered(1))
    with closing(sqlite3.connect(home.folder / "relay.db")) as ledger, ledger:
        ledger.execute("UPDATE deliveries SET state = 'dead' WHERE destination = 'other'")
    assert failures(home) == [("other", "dead_letters")]
    shown = home.run("check").stdout
    assert "could not be delivered and are not retried: 1" in shown
    assert "`relay dead list --destination other`" in shown
    home.run("dead", "drop", "--all")
    assert home.run("check").exit_code == 0


def test_a_destination_that_is_no_longer_in_the_settings_is_not_checked(home: Home) -> None:
    home.write_settings(LOCAL + LOCAL.replace("crm", "other"))
    home.run("destinations", "pause", "other")
    home.write_settings(LOCAL)
    assert home.run("check").exit_code == 0


# --- the ledger and the CRMs -------------------------------------------------------------------


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

    monkeypatch.setattr(clients, "load_client_class", lambda _: FailingClient)
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

    monkeypatch.setattr(clients, "load_client_class", lambda _: ObservedClient)
    home.create_files()
    closed.clear()
    assert home.run("check").exit_code == 0
    assert closed == ["crm"]
    with closing(sqlite3.connect(home.crm)) as connection:
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (0,)
