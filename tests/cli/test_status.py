"""`relay status`: the numbers of events, calls and deliveries."""

import io
import json
import os
import pty
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from rich.console import Console

from relay.cli.status import build_screen
from relay.operations.status import Status
from tests.support.home import LOCAL, STARTED, Home, all_delivered
from tests.support.patience import PATIENCE


def test_json_has_every_key(home: Home) -> None:
    home.run_relay(
        STARTED,
        {"event": "call.ended", "data": {"id": "1"}},
        {"event": "call.teleported", "data": {"id": "1"}},
        until=all_delivered(1),
    )
    status = home.json("status")
    last_at = datetime.fromisoformat(status["events"].pop("last_at"))
    assert abs(datetime.now(UTC) - last_at).seconds < 60
    assert status == {
        "relays": [],
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
                "delivered_today": 1,
                "dead": 0,
                "paused_reason": None,
                "paused_until": None,
                "paused_since": None,
                "paused_message": None,
            }
        ],
        "follow_ups": {"customers": 0, "median_seconds": None, "longest_seconds": None},
        "history": {"reconciles": False, "last": None, "next_at": None, "failing": None, "backfills": []},
        "retention_refused": None,
        "audit": None,
        "refused": [],
        "enrichment": {"pending": 0, "paused": []},
    }


def test_the_table_has_a_line_per_destination(home: Home) -> None:
    home.run_relay(STARTED, until=all_delivered(1))
    relays, events, calls, history, _, heading, crm, _, explanation = home.run("status").stdout.splitlines()
    assert relays == "no relay is running; `relay serve` starts one"
    assert explanation.startswith("Nothing is sent to crm (0 pending): no relay is running")
    assert re.fullmatch(
        r"events: 1 accepted, the last at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+0[12]:00, 0 not folded yet,"
        " 0 in quarantine",
        events,
    )
    assert calls == "calls: 1"
    assert history.startswith("history: not searched for calls that CloudTalk never announced")
    assert heading.split() == [
        "name",
        "client",
        "state",
        "pending",
        "oldest_pending_seconds",
        "delivered",
        "delivered_today",
        "dead",
    ]
    assert crm.split() == ["crm", "local", "delivering", "0", "1", "1", "0"]


def test_ended_events_without_an_outcome_are_counted(home: Home) -> None:
    ended = [{"event": "call.ended", "call_uuid": f"u-{n}", "talking_time": ""} for n in range(3)]
    home.run_relay(
        *ended, {"event": "call.ended", "call_uuid": "u-9", "talking_time": 0}, until=all_delivered(4)
    )
    assert home.json("status")["events"]["unclear"] == 3
    assert "3 ended events do not state whether anybody talked" in home.run("status").stdout


def test_before_the_first_start_all_numbers_are_0(home: Home) -> None:
    assert home.json("status") == {
        "relays": [],
        "events": {
            "accepted": 0,
            "unfolded": 0,
            "last_at": None,
            "aside": 0,
            "quarantined": 0,
            "quarantine_dropped": 0,
            "unclear": 0,
        },
        "calls": 0,
        "destinations": [],
        "follow_ups": {"customers": 0, "median_seconds": None, "longest_seconds": None},
        "history": {"reconciles": False, "last": None, "next_at": None, "failing": None, "backfills": []},
        "retention_refused": None,
        "audit": None,
        "refused": [],
        "enrichment": {"pending": 0, "paused": []},
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


def test_a_running_relay_is_shown_with_its_process(home: Home) -> None:
    shown: list[Any] = []

    def look(status: Status) -> bool:
        shown[:] = status.relays
        return bool(shown)

    home.run_relay(STARTED, until=look)
    (running,) = shown
    assert (running.host, running.pid) == (socket.gethostname(), os.getpid())
    assert home.json("status")["relays"] == []  # it removed its row when it stopped


def test_the_live_screen_fits_80_columns_and_shows_each_destination(home: Home) -> None:
    home.run_relay(STARTED, until=all_delivered(1))
    status = msgspec.convert(home.json("status"), Status)
    console = Console(width=80, height=24, record=True, file=io.StringIO())
    console.print(build_screen(status))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24
    assert lines[0] == "no relay is running; `relay serve` starts one"
    assert ["crm", "delivering", "0", "1", "1", "0"] in [line.split() for line in lines]
    assert "Ctrl-C ends" in lines


def test_on_a_terminal_watch_is_a_live_screen_until_ctrl_c(home: Home) -> None:
    """A real terminal: the screen is left as it was, and the command ends with 130."""
    parent, child = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    code = "from relay.cli.main import main; main()"
    command = [sys.executable, "-c", code, "--settings", str(home.path), "status", "--watch"]
    with subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=environment) as process:  # noqa: S603
        os.close(child)
        try:
            output = b""
            while b"Ctrl-C ends" not in output:
                output += os.read(parent, 4096)
            process.send_signal(signal.SIGINT)
            with suppress(OSError):  # the terminal is gone when the process has ended
                while chunk := os.read(parent, 4096):
                    output += chunk
            assert process.wait(PATIENCE) == 130
        finally:
            process.kill()
    os.close(parent)
    assert output.index(b"\x1b[?1049h") < output.index(b"no relay is running") < output.index(b"\x1b[?1049l")
