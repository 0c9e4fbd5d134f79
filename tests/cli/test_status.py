"""`relay status`: how events, calls and destinations stand."""

import json
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest

from tests.support.home import LOCAL, Home, settled

STARTED = {"event": "call.started", "data": {"id": "1", "direction": "inbound"}}


def test_scripts_read_the_shape_of_the_contract(home: Home) -> None:
    home.take(
        STARTED,
        {"event": "call.ended", "data": {"id": "1"}},
        {"event": "call.teleported", "data": {"id": "1"}},
        until=settled(1),
    )
    assert home.json("status") == {
        "events": {"accepted": 2, "unfolded": 0, "quarantined": 1},
        "calls": 1,
        "destinations": [
            {
                "name": "crm",
                "client": "local",
                "state": "delivering",
                "pending": 0,
                "oldest_pending_seconds": None,
                "delivered": 1,
                "dead": 0,
                "paused_reason": None,
                "paused_until": None,
                "paused_message": None,
            }
        ],
    }


def test_a_person_reads_a_line_per_destination(home: Home) -> None:
    home.take(STARTED, until=settled(1))
    events, calls, _, heading, crm = home.run("status").stdout.splitlines()
    assert events == "events: 1 accepted, 0 not folded yet, 0 in quarantine"
    assert calls == "calls: 1"
    assert heading.split() == [
        "name",
        "client",
        "state",
        "pending",
        "oldest_pending_seconds",
        "delivered",
        "dead",
    ]
    assert crm.split() == ["crm", "local", "delivering", "0", "1", "0"]


def test_before_the_first_start_there_is_nothing(home: Home) -> None:
    assert home.json("status") == {
        "events": {"accepted": 0, "unfolded": 0, "quarantined": 0},
        "calls": 0,
        "destinations": [],
    }


def test_a_destination_that_waits_says_why_and_until_when(home: Home) -> None:
    home.run("setup", "crm")
    with closing(sqlite3.connect(home.crm)) as connection:
        connection.execute("ALTER TABLE calls DROP COLUMN notes")
    home.take(STARTED, until=lambda status: status["destinations"][0]["paused_reason"] is not None)
    (crm,) = home.json("status")["destinations"]
    assert (crm["state"], crm["paused_reason"], crm["pending"], crm["dead"]) == (
        "waiting",
        "misconfigured",
        1,
        0,
    )
    line = home.run("status").stdout.splitlines()[-1]
    assert line.startswith(f"crm waits until {crm['paused_until']}: misconfigured, ")
    assert "notes" in line


def test_destinations_that_are_off_and_that_are_gone_are_told_apart(home: Home) -> None:
    home.write(LOCAL + LOCAL.replace("crm", "other"))
    home.take(STARTED, until=settled(1))
    home.write(LOCAL + "enabled = false")
    assert {d["name"]: d["state"] for d in home.json("status")["destinations"]} == {
        "crm": "disabled",
        "other": "orphaned",
    }


@pytest.fixture
def glances(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A person who watches for a while, and then has seen enough; the pauses in between."""
    seen: list[float] = []

    async def sleep(seconds: float) -> None:
        seen.append(seconds)
        if len(seen) == 3:
            raise KeyboardInterrupt

    # The command's own name for it: servers of other tests sleep too.
    monkeypatch.setattr("relay.cli.status.asyncio", SimpleNamespace(sleep=sleep))
    return seen


def test_a_watch_looks_again_and_again_until_it_is_interrupted(home: Home, glances: list[float]) -> None:
    done = home.run("status", "--watch")
    assert done.stdout.count("events: 0 accepted") == 3
    assert glances == [2.0] * 3
    assert isinstance(done.exception, SystemExit)


def test_a_watching_script_reads_an_object_a_line(home: Home, glances: list[float]) -> None:
    lines = home.run("status", "--watch", "--json").stdout.splitlines()
    assert [json.loads(line)["calls"] for line in lines] == [0, 0, 0]
    assert len(glances) == 3
