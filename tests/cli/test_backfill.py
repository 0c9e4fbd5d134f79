"""`relay backfill`: its options, its output and its exit codes, against a fake CloudTalk."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fakes.cloudtalk_history import FakeHistory, threaded_history
from tests.support.history_calls import past_calls
from tests.support.home import LOCAL, Home
from tests.support.patience import PATIENCE
from tests.support.relay import RelayProcess

RANGE = ("--since", "2024-11-28", "--until", "2024-11-29")
SETTINGS = """
[cloudtalk.api]
key_id = "id"
key_secret = "{key}"
base_url = "{url}/api"
analytics_url = "{url}/analytics"
"""
NEWEST = datetime(2024, 11, 28, 16, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[FakeHistory]:
    with threaded_history(FakeHistory()) as fake:
        yield fake


@pytest.fixture
def cloudtalk(server: FakeHistory) -> FakeHistory:
    server.rows = [call.row() for call in past_calls(3, NEWEST, seconds_apart=900, people=9)]
    server.faults.clear()
    server.asked.clear()
    server.on_page = lambda: None
    return server


@pytest.fixture
def connected(home: Home, cloudtalk: FakeHistory) -> Home:
    home.write_settings(SETTINGS.format(url=cloudtalk.url, key="key-of-the-api") + LOCAL)
    return home


def counts(home: Home, *more: str) -> dict[str, Any]:
    done = home.run("backfill", *RANGE, "--json", *more)
    assert done.exit_code == 0, done.output
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_the_future_costs_no_requests(connected: Home, cloudtalk: FakeHistory) -> None:
    since = (datetime.now(UTC) - timedelta(days=10)).date().isoformat()
    done = connected.run("backfill", "--since", since, "--until", "9999-12-31", "--json")
    assert (done.exit_code, json.loads(done.stdout)["calls"]) == (0, 0), done.output
    assert len(cloudtalk.pages) == 1


def test_the_calls_are_there_afterwards_although_no_relay_runs(connected: Home) -> None:
    done = connected.run("backfill", *RANGE)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "3 calls at CloudTalk: 3 were new, 0 are known, of which 0 were filled",
        "the next `relay serve` delivers them",
    ]
    assert done.stderr == "request 1 of about 1: 3 calls, 3 new, 0 filled\n"
    listed = connected.json("calls", "list")
    assert [(call["call_id"], call["status"]) for call in listed] == [
        ("1000000000", "missed"),
        ("1000000001", "completed"),
        ("1000000002", "completed"),
    ]
    assert connected.count_pending() == {"crm": 3}


def test_json_has_the_range_and_all_counts(connected: Home) -> None:
    assert counts(connected) == {
        "since": "2024-11-27T23:00:00Z",
        "until": "2024-11-28T23:00:00Z",
        "dry_run": False,
        "continued": False,
        "calls": 3,
        "known": 0,
        "new": 3,
        "filled": 0,
        "ambiguous": 0,
        "asked": 0,
        "postponed": 0,
        "unreadable": 0,
        "requests": 1,
    }


def test_a_dry_run_creates_nothing(connected: Home) -> None:
    before = sorted(connected.folder.iterdir())
    done = connected.run("backfill", *RANGE, "--dry-run")
    assert (done.exit_code, done.stdout) == (
        0,
        "3 calls at CloudTalk: 3 would be new, 0 are known, of which 0 would be filled\n",
    )
    assert sorted(connected.folder.iterdir()) == before


def test_a_dry_run_compares_with_the_ledger(connected: Home) -> None:
    counts(connected)
    done = counts(connected, "--dry-run")
    assert (done["dry_run"], done["calls"], done["known"], done["new"]) == (True, 3, 3, 0)


def test_without_an_api_key_it_says_what_is_missing(home: Home) -> None:
    done = home.run("backfill", *RANGE)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "write cloudtalk.api.key_id and key_secret" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "Missing option '--since'"),
        (("--since", "yesterday"), "expected a date"),
        (("--since", "2024-11-28", "--until", "2024-11-28"), "expected a time after --since"),
        (("--since", "9999-12-31"), "expected a time of the past"),
        (("--since", "0001-01-01"), "after the year 2000"),
    ],
)
def test_a_wrong_range_is_a_usage_error(connected: Home, options: tuple[str, ...], message: str) -> None:
    done = connected.run("backfill", *options)
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_refused_key_is_an_error_that_says_what_to_do(home: Home, cloudtalk: FakeHistory) -> None:
    home.write_settings(SETTINGS.format(url=cloudtalk.url, key="wrong") + LOCAL)
    done = home.run("backfill", *RANGE)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "/api/calls/index.json answered 401" in done.stderr
    assert "check cloudtalk.api.key_id and key_secret" in done.stderr
    assert "Run the same command again" in done.stderr


def test_ctrl_c_ends_it_with_130_and_says_how_to_go_on(connected: Home, cloudtalk: FakeHistory) -> None:
    reached, resume = threading.Event(), threading.Event()

    def on_page() -> None:
        if len(cloudtalk.pages) == 1:
            reached.set()
            resume.wait(PATIENCE)

    cloudtalk.on_page = on_page
    relay = RelayProcess(connected.folder, connected.path.read_text())
    process = subprocess.Popen(  # noqa: S603 - fixed command
        relay._command_line("backfill", *RANGE),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert reached.wait(PATIENCE)
    process.send_signal(signal.SIGINT)
    resume.set()
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "interrupted. Run the same command again: it continues where it stopped." in stderr
    assert "Traceback" not in stderr
    assert counts(connected)["new"] == 3
