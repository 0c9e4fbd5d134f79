"""`relay forget` on the command line, without a relay that runs."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from relay.ledger import actions
from relay.ledger.tables import actions as action_table
from tests.support.home import Home, all_delivered
from tests.support.ledger_content import read_all_rows
from tests.support.relay import crm_rows

ANA = {"id": "ana-0001", "direction": "inbound", "from": "+34612345678", "to": "+34910000000"}
EVA = {"id": "eva-0001", "direction": "inbound", "from": "+34699999999", "to": "+34910000000"}


@pytest.fixture
def two_calls(home: Home) -> Home:
    bodies = [{"event": "call.started", "data": data} for data in (ANA, EVA)]
    home.run_relay(*bodies, until=all_delivered(2))
    return home


def forget(home: Home, *arguments: str, exit_code: int = 0) -> dict[str, Any]:
    result = home.run("forget", *arguments, "--yes", "--json")
    assert result.exit_code == exit_code, result.output
    receipt: dict[str, Any] = json.loads(result.stdout)
    return receipt


def test_without_a_relay_the_command_erases_the_records_itself(two_calls: Home) -> None:
    receipt = forget(two_calls, "612345678")
    assert receipt | {"forgotten_at": ""} == {
        "subject": "number",
        "forgotten_at": "",
        "calls": 1,
        "events": 1,
        "quarantined": 0,
        "recordings": 0,
        "destinations": [
            {"destination": "crm", "state": "erased", "calls": 1, "records": [], "advice": None}
        ],
        "at_source": None,
        "mentions": [],
        "left": [],
        "complete": True,
    }
    assert set(crm_rows(two_calls.crm)) == {"cloudtalk-eva-0001"}
    text = str(read_all_rows(f"sqlite:///{two_calls.folder / 'relay.db'}"))
    assert "612345678" not in text
    assert "ana-0001" not in text


def test_it_says_what_it_erased_and_that_backups_stay(two_calls: Home) -> None:
    result = two_calls.run("forget", "eva-0001", "--yes")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:3] == [
        "erased from the ledger: 1 call, 1 event, 0 bodies in quarantine",
        "erased from the cache and the archive: 0 recordings",
        "erased from crm: 1 call",
    ]
    assert "backups that were made before still have it" in result.stdout


def test_without_a_terminal_nothing_is_erased_unless_yes_is_given(two_calls: Home) -> None:
    result = two_calls.run("forget", "612345678")
    assert (result.exit_code, "add --yes" in result.stderr) == (2, True)
    assert len(crm_rows(two_calls.crm)) == 2


@pytest.mark.parametrize(("answer", "calls"), [("y\n", 1), ("n\n", 2)])
def test_a_person_is_asked(two_calls: Home, monkeypatch: pytest.MonkeyPatch, answer: str, calls: int) -> None:
    monkeypatch.setattr("relay.cli.forget._is_seen_by_a_person", lambda: True)
    result = two_calls.run("forget", "612345678", input_=answer)
    assert "+34612345678: 1 call, 1 event, 0 archived recordings" in result.output
    assert "crm: up to 1 record" in result.output
    assert len(crm_rows(two_calls.crm)) == calls


def test_several_words_are_refused_and_nothing_is_erased(two_calls: Home) -> None:
    for words in (("612", "345", "678"), ("612345678", "699111222"), ("ana-0001", "eva-0001")):
        result = two_calls.run("forget", *words, "--yes")
        assert result.exit_code == 2
        assert f"write a number with spaces in quotes: '{' '.join(words)}'" in result.stderr
    assert len(two_calls.json("calls", "list")) == 2
    assert forget(two_calls, "612 345 678")["calls"] == 1


def test_an_unknown_call_is_1_and_an_ambiguous_one_is_2(two_calls: Home) -> None:
    result = two_calls.run("forget", "nobody", "--yes")
    assert (result.exit_code, "no call has the id nobody" in result.stderr) == (1, True)
    two_calls.run_relay({"event": "call.started", "data": {**EVA, "id": "612345678"}}, until=all_delivered(3))
    result = two_calls.run("forget", "612345678", "--yes")
    assert (result.exit_code, "write it so" in result.stderr) == (2, True)


def test_a_paused_crm_keeps_the_erasure_pending_and_the_receipt_says_so(two_calls: Home) -> None:
    assert two_calls.run("destinations", "pause", "crm").exit_code == 0
    receipt = forget(two_calls, "612345678", exit_code=1)
    (crm,) = receipt["destinations"]
    assert (crm["state"], crm["records"], receipt["complete"]) == ("pending", ["cloudtalk-ana-0001"], False)
    assert "the destination is paused" in crm["advice"]
    assert two_calls.run("destinations", "resume", "crm").exit_code == 0
    two_calls.run_relay(until=all_delivered(1))
    assert set(crm_rows(two_calls.crm)) == {"cloudtalk-eva-0001"}


def test_a_destination_that_is_gone_is_named_with_its_records(two_calls: Home) -> None:
    two_calls.write_settings("")
    receipt = forget(two_calls, "612345678", exit_code=1)
    assert receipt["destinations"] == [
        {
            "destination": "crm",
            "state": "unserved",
            "calls": 1,
            "records": ["cloudtalk-ana-0001"],
            "advice": "the settings have no such destination: delete these records in the CRM",
        }
    ]


def test_what_was_done_is_written_down_without_personal_data(two_calls: Home) -> None:
    two_calls.run("destinations", "pause", "crm")
    two_calls.run("destinations", "resume", "crm")
    forget(two_calls, "612345678")
    rows = two_calls.write_ledger(lambda c: c.execute(select(action_table)).all())
    assert [(row.action, row.who, row.destination, row.call) for row in rows][-1] == (
        "privacy.forget",
        actions.BY_COMMAND,
        None,
        None,
    )
