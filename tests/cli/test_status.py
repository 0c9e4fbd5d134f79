"""`relay status`: the numbers of events, calls and deliveries."""

import json
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest

from tests.support.home import LOCAL, STARTED, Home, all_delivered


def test_json_has_every_key(home: Home) -> None:
    home.run_relay(
        STARTED,
        {"event": "call.ended", "data": {"id": "1"}},
        {"event": "call.teleported", "data": {"id": "1"}},
        until=all_delivered(1),
    )
    assert home.json("status") == {
        "events": {
            "accepted": 2,
            "unfolded": 0,
            "aside": 0,
            "quarantined": 1,
            "quarantine_dropped": 0,
            "unclear": 1,
        },
        "calls": 1,
        "destinations": [
            {
                "name": "crm",
                "client": "local",
                "state": "delivering",
                "explanation": "Nothing is sent to crm (0 pending): no relay is running, so start one"
                " (`relay serve`)",
                "explanation_code": "no_relay",
                "pending": 0,
                "oldest_pending_seconds": None,
                "delivered": 1,
                "dead": 0,
                "paused_reason": None,
                "paused_until": None,
                "paused_message": None,
            }
        ],
        "retention_refused": None,
    }


def test_the_table_has_a_line_per_destination(home: Home) -> None:
    home.run_relay(STARTED, until=all_delivered(1))
    events, calls, _, heading, crm, _, explanation = home.run("status").stdout.splitlines()
    assert explanation.startswith("Nothing is sent to crm (0 pending): no relay is running")
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


def test_ended_events_without_an_outcome_are_counted(home: Home) -> None:
    ended = [{"event": "call.ended", "call_uuid": f"u-{n}", "talking_time": ""} for n in range(3)]
    home.run_relay(
        *ended, {"event": "call.ended", "call_uuid": "u-9", "talking_time": 0}, until=all_delivered(4)
    )
    assert home.json("status")["events"]["unclear"] == 3
    assert "3 ended events do not state whether anybody talked" in home.run("status").stdout


def test_before_the_first_start_all_numbers_are_0(home: Home) -> None:
    assert home.json("status") == {
        "events": {
            "accepted": 0,
            "unfolded": 0,
            "aside": 0,
            "quarantined": 0,
            "quarantine_dropped": 0,
            "unclear": 0,
        },
        "calls": 0,
        "destinations": [],
        "retention_refused": None,
    }


def test_a_waiting_destination_has_the_reason_and_the_time(home: Home) -> None:
    home.run("setup", "crm")
    with closing(sqlite3.connect(home.crm)) as connection:
        connection.execute("ALTER TABLE calls DROP COLUMN notes")
    home.run_relay(STARTED, until=lambda status: status.destinations[0].paused_reason is not None)
    (crm,) = home.json("status")["destinations"]
    assert (crm["state"], crm["paused_reason"], crm["pending"], crm["dead"]) == (
        "waiting",
        "misconfigured",
        1,
        0,
    )
    line = home.run("status").stdout.splitlines()[-1]
    assert line.startswith("Nothing is sent to crm (1 pending): crm is not set up for the relay (")
    assert "notes" in line


def test_a_destination_may_be_disabled_or_orphaned(home: Home) -> None:
    home.write_settings(LOCAL + LOCAL.replace("crm", "other"))
    home.run_relay(STARTED, until=all_delivered(1))
    home.write_settings(LOCAL + "enabled = false")
    assert {d["name"]: d["state"] for d in home.json("status")["destinations"]} == {
        "crm": "disabled",
        "other": "orphaned",
    }


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The lengths of the pauses of --watch; the third one is interrupted by Ctrl-C."""
    lengths: list[float] = []

    def sleep(seconds: float) -> None:
        lengths.append(seconds)
        if len(lengths) == 3:
            raise KeyboardInterrupt

    # Only the command's reference is replaced: servers of other tests sleep too.
    monkeypatch.setattr("relay.cli.status.time", SimpleNamespace(sleep=sleep))
    return lengths


def test_watch_repeats_the_table_until_it_is_interrupted(home: Home, pauses: list[float]) -> None:
    result = home.run("status", "--watch")
    assert result.stdout.count("events: 0 accepted") == 3
    assert pauses == [2.0] * 3
    assert isinstance(result.exception, SystemExit)


def test_watch_prints_one_json_object_per_line(home: Home, pauses: list[float]) -> None:
    lines = home.run("status", "--watch", "--json").stdout.splitlines()
    assert [json.loads(line)["calls"] for line in lines] == [0, 0, 0]
    assert len(pauses) == 3
