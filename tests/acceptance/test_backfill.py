"""Real commands import a long history of a fake CloudTalk, whose calls came by webhook in part."""

import json
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.cloudtalk_history import FakeHistory, threaded_history
from tests.support.history_calls import PastCall, past_calls
from tests.support.patience import PATIENCE
from tests.support.relay import RelayProcess, eventually, running_relay

SETTINGS = """
[server]
port = 0
[cloudtalk.api]
key_id = "id"
key_secret = "key-of-the-api"
base_url = "{url}/api"
analytics_url = "{url}/analytics"
requests_per_minute = 60
[enrich]
analytics = false
{more}
[destinations.crm]
client = "local"
path = "crm.db"
"""

CALLS = 5_000
BY_WEBHOOK = 2_000
PAIRS = 3
NEWEST = datetime.now(UTC) - timedelta(days=2)
SINCE = (NEWEST - timedelta(days=40)).date().isoformat()
UNTIL = (NEWEST + timedelta(days=1)).date().isoformat()
BACKFILL = ("backfill", "--since", SINCE, "--until", UNTIL, "--json")

# --- the simulated CloudTalk ----------------------------------------------------------------------


def history() -> list[PastCall]:
    """Calls of five weeks. Some pairs are of one number at the same time: only their uuids differ."""
    calls = past_calls(CALLS, NEWEST, seconds_apart=600, people=700)
    for pair in range(PAIRS):
        first = calls[3 * pair]
        calls[3 * (pair + 500)] = calls[3 * (pair + 500)]._replace(
            started_at=first.started_at + timedelta(seconds=4), external=first.external
        )
    return calls


def announced_pair(pair: int) -> list[PastCall]:
    calls = history()
    return [calls[3 * pair], calls[3 * (pair + 500)]]


def announced(calls: list[PastCall]) -> list[dict[str, Any]]:
    """The events of the first calls: a third with the uuid only, with the call_id only, and with both."""
    ids = [("call_uuid",), ("call_id",), ("call_uuid", "call_id")]
    return [call.ended(*ids[call.number % 3]) for call in calls[:BY_WEBHOOK]]


@pytest.fixture
def cloudtalk() -> Iterator[FakeHistory]:
    calls = history()
    fake = FakeHistory((call.row() for call in calls), offset_hours=-7)
    fake.uuids = {call.call_id: call.call_uuid for call in calls}
    with threaded_history(fake):
        yield fake


def settings(cloudtalk: FakeHistory, more: str = "") -> str:
    return SETTINGS.format(url=cloudtalk.url, more=more)


# --- what the ledger has --------------------------------------------------------------------------


def query(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{folder / 'var/relay.db'}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(row) for (row,) in query(folder, "SELECT record FROM calls WHERE merged_into IS NULL")]


def count_events(folder: Path) -> int:
    return int(query(folder, "SELECT count(*) FROM events")[0][0])


def test_a_history_is_imported_once_although_a_kill_interrupts_it(
    tmp_path: Path, cloudtalk: FakeHistory
) -> None:
    with running_relay(tmp_path, settings(cloudtalk)) as relay:
        announce(relay)
        before = records(tmp_path)
        assert len(before) == BY_WEBHOOK
        kill_backfill_at_page(4, relay, cloudtalk)
        pages_before = list(cloudtalk.pages)
    cloudtalk.allowed, cloudtalk.period = 10, 1.5
    result = run_backfill(relay)  # without a relay: the command folds by itself
    assert result["continued"]
    assert [result[key] for key in ("calls", "known", "new", "filled")] == [5_000, 2_000, 3_000, 2_000]
    assert cloudtalk.refused == 0
    assert cloudtalk.most_within(60) <= 60
    pairs = {call.call_id for pair in range(PAIRS) for call in announced_pair(pair)}
    # Besides, the last row of a page is asked for if another one on the next page might fit its call.
    assert pairs <= set(cloudtalk.looked_up)
    assert len(set(cloudtalk.looked_up) - pairs) <= len(set(cloudtalk.pages))
    assert pages_before[-1] in cloudtalk.pages[len(pages_before) :]
    assert len(set(cloudtalk.pages)) == len(cloudtalk.pages) - 1  # only the interrupted page came twice
    check_records(before, records(tmp_path))
    check_that_a_repetition_changes_nothing(relay)


def announce(relay: RelayProcess) -> None:
    events = announced(history())
    for first in range(0, len(events), 500):
        assert relay.post(events[first : first + 500]).status_code == 200
    unfolded = "SELECT count(*) FROM events WHERE state <> 'folded'"
    eventually(lambda: query(relay.folder, unfolded), lambda rows: rows == [(0,)])


def kill_backfill_at_page(number: int, relay: RelayProcess, cloudtalk: FakeHistory) -> None:
    """Kill the command while it waits for this page."""
    reached, resume = threading.Event(), threading.Event()

    def on_page() -> None:
        if len(cloudtalk.pages) == number:
            reached.set()
            resume.wait(PATIENCE)

    cloudtalk.on_page = on_page
    process = subprocess.Popen(  # noqa: S603 - fixed command
        relay._command_line(*BACKFILL), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        assert reached.wait(PATIENCE)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
        resume.set()
        cloudtalk.on_page = lambda: None


def run_backfill(relay: RelayProcess, *more: str) -> dict[str, Any]:
    done = relay.command(*BACKFILL, *more)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def is_empty(value: Any) -> bool:
    return value in (None, [], "")


def check_records(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    """5 000 records, each of another call, and none lacks what it had."""
    assert len(after) == CALLS
    by_call_id = {record["call_id"]: record for record in after}
    assert by_call_id.keys() == {call.call_id for call in history()}
    by_id = {record["id"]: record for record in after}
    for record in before:
        now = by_id[record["id"]]
        assert not {key for key, value in record.items() if not is_empty(value) and is_empty(now[key])}
        assert now["call_uuid"] == record["call_uuid"] or record["call_uuid"] is None
        assert now["contact_name"] is not None
    for call in history():
        record = by_call_id[call.call_id]
        assert record["talking_seconds"] == call.talking
        assert record["status"] == ("completed" if call.talking else "missed")


def check_that_a_repetition_changes_nothing(relay: RelayProcess) -> None:
    events, calls = count_events(relay.folder), records(relay.folder)
    for more in (["--dry-run"], []):
        result = run_backfill(relay, *more)
        assert (result["calls"], result["known"], result["new"], result["filled"]) == (5_000, 5_000, 0, 0)
    assert count_events(relay.folder) == events
    assert records(relay.folder) == calls


# --- several imports at once ----------------------------------------------------------------------


def test_two_imports_at_once_one_of_which_is_killed_and_a_reconciler_give_each_call_once(
    tmp_path: Path, cloudtalk: FakeHistory
) -> None:
    """Their ranges overlap, and the reconciler reads the newest days of both again and again."""
    reconciles = "[reconcile]\nevery_minutes = 0.02\nlook_back_hours = 72"
    middle = (NEWEST - timedelta(days=25)).date().isoformat()
    newer = ("backfill", "--since", middle, "--json")
    with running_relay(tmp_path, settings(cloudtalk, reconciles)) as relay:
        announce(relay)
        before = records(tmp_path)
        waits = Gate(cloudtalk, 6)
        imports = [start(relay, *BACKFILL), start(relay, *newer)]
        try:
            assert waits.reached.wait(PATIENCE)
        finally:
            imports[0].kill()
            imports[0].wait(PATIENCE)
            waits.open()
        assert imports[1].wait(PATIENCE) == 0
        run_backfill(relay)
        unfolded = "SELECT count(*) FROM events WHERE state <> 'folded'"
        eventually(lambda: query(relay.folder, unfolded), lambda rows: rows == [(0,)])
    check_records(before, records(tmp_path))
    assert cloudtalk.refused == 0
    assert cloudtalk.most_within(60) <= 60
    long_windows = [page for page in cloudtalk.pages if not is_of_reconciler(page)]
    assert len(long_windows) <= 2 * len(set(long_windows))


class Gate:
    """Holds the answer to a page of the history, until it is opened."""

    def __init__(self, cloudtalk: FakeHistory, number: int) -> None:
        self.reached = threading.Event()
        self._opened = threading.Event()
        self._cloudtalk = cloudtalk
        self._number = number
        cloudtalk.on_page = self._wait

    def _wait(self) -> None:
        if len(self._cloudtalk.pages) >= self._number and not self._opened.is_set():
            self.reached.set()
            self._opened.wait(PATIENCE)

    def open(self) -> None:
        """Let this page and all others be answered."""
        self._opened.set()


def start(relay: RelayProcess, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - fixed command
        relay._command_line(*command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def is_of_reconciler(page: tuple[str, str, str]) -> bool:
    """Whether the window is that of a search of three days."""
    first, last = (datetime.fromisoformat(edge) for edge in page[:2])
    return last - first < timedelta(days=5)
