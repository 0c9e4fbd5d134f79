"""Acknowledged events reach the CRM although the process is killed, the CRM is down or it is stopped."""

import json
import os
import signal
import threading
import time
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.support.patience import PATIENCE, http_client
from tests.support.relay import WEBHOOK_PATH, RelayProcess, crm_rows, eventually, running_relay
from tests.support.supabase import Supabase

LOCAL = """
    [server]
    port = 0
    [destinations.crm]
    client = "local"
    path = "crm.db"
"""
KILLS = 5


class Caller(threading.Thread):
    """A CloudTalk under load: sends calls and writes each acknowledged event to a file on disk."""

    def __init__(self, url: str, acknowledged: Path, seed: int) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._acknowledged = acknowledged
        self._random = Random(seed)
        self._seed = seed
        self.stopped = threading.Event()

    def run(self) -> None:
        with self._acknowledged.open("a") as acknowledged, http_client() as client:
            for number in range(100_000):
                if self.stopped.is_set():
                    return
                data = {
                    "id": f"{self._seed}-{number}",
                    "direction": "inbound",
                    "contact_name": f"Cliente {self._random.randint(0, 99)}",
                    "duration": self._random.randint(1, 99),
                }
                for event in ("call.started", "call.answered", "call.ended"):
                    try:
                        response = client.post(self._url, json={"event": event, "data": data})
                    except httpx.HTTPError:
                        return
                    if response.status_code == httpx.codes.OK:
                        acknowledged.write(json.dumps({"event": event, "data": data}) + "\n")
                        acknowledged.flush()
                        os.fsync(acknowledged.fileno())


def read_expected(acknowledged: Path) -> dict[str, dict[str, Any]]:
    """Read the acknowledged events: per call, the data and the names of its events."""
    calls: dict[str, dict[str, Any]] = {}
    for line in acknowledged.read_text().splitlines():
        event = json.loads(line)
        call = calls.setdefault(f"cloudtalk-{event['data']['id']}", {"events": set()} | event["data"])
        call["events"].add(event["event"])
    return calls


def wrong_calls(expected: dict[str, dict[str, Any]], rows: dict[str, dict[str, Any]]) -> list[str]:
    """List the calls whose row is missing or lacks data of an acknowledged event."""
    return [
        id_
        for id_, call in expected.items()
        if id_ not in rows
        or rows[id_]["contact_name"] != call["contact_name"]
        or ("call.answered" in call["events"] and rows[id_]["status"] != "Completada")
        or ("call.ended" in call["events"] and rows[id_]["duration_seconds"] != call["duration"])
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_kills_at_random_moments_under_load_lose_no_acknowledged_event(tmp_path: Path, workers: int) -> None:
    random = Random(7)
    acknowledged = tmp_path / "acknowledged.jsonl"
    relay = RelayProcess(tmp_path, LOCAL, workers)
    try:
        for kill in range(KILLS):
            relay.start()
            eventually(
                lambda: (
                    wrong_calls(read_expected(acknowledged), crm_rows(tmp_path / "crm.db"))
                    if acknowledged.exists()
                    else []
                ),
                lambda wrong: not wrong,
                seconds=20,
            )
            callers = [Caller(relay.url + WEBHOOK_PATH, acknowledged, kill * 10 + n) for n in range(4)]
            for caller in callers:
                caller.start()
            time.sleep(random.uniform(0.3, 1.2))
            relay.kill()
            for caller in callers:
                caller.join(PATIENCE)
        relay.start()
        expected = read_expected(acknowledged)
        rows = eventually(
            lambda: crm_rows(tmp_path / "crm.db"),
            lambda found: not wrong_calls(expected, found),
            seconds=20,
        )
        assert len(expected) > 50
        # Calls whose first event was in flight at a kill may exist too; duplicates may not.
        assert len(rows) <= len(expected) + KILLS * 4
    finally:
        relay.kill()


def test_after_an_outage_ten_events_of_a_call_are_one_row_in_one_request(
    tmp_path: Path, supabase: Supabase
) -> None:
    settings = f"""
        [server]
        port = 0
        [delivery]
        first_retry_seconds = 1
        longest_retry_seconds = 2
        [destinations.supabase]
        client = "supabase"
        url = "{supabase.url}"
        key = "{supabase.key}"
    """
    data = {"id": "ten", "direction": "inbound", "started_at": "2026-01-01T10:00:00Z"}
    events = [{"event": "call.started", "data": data | {"contact_name": f"N{n}"}} for n in range(9)]
    events.append({"event": "call.ended", "data": data | {"duration": 8}})
    with running_relay(tmp_path, settings) as relay:
        with supabase.gateway.down():
            for event in events:
                assert relay.post(event).status_code == httpx.codes.OK
            eventually(relay.log_lines, lambda lines: _count_failed_pushes(lines) >= 1)
            supabase.log.clear()
        rows = eventually(supabase.rows, lambda found: len(found) == 1)
    assert [(seen.rows, seen.status) for seen in supabase.gateway.posts()] == [(1, 201)]
    assert (rows[0]["contact_name"], rows[0]["state"]) == ("N8", "completed")


def _count_failed_pushes(lines: list[dict[str, Any]]) -> int:
    return sum(1 for line in lines if line["event"] == "push" and line["outcome"] == "retry")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("by", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_stops_the_relay_in_order(
    tmp_path: Path, by: signal.Signals, code: int, workers: int
) -> None:
    with running_relay(tmp_path, LOCAL, workers) as relay:
        relay.post({"event": "call.started", "data": {"id": "last"}})
        assert relay.stop(by) == code
        assert [line["event"] for line in relay.log_lines()][-1] == "server.stopped"


def test_a_port_in_use_ends_with_1_and_names_the_setting(tmp_path: Path) -> None:
    with running_relay(tmp_path, LOCAL) as relay:
        port = relay.url.rpartition(":")[2]
        other = tmp_path / "other"
        other.mkdir()
        second = RelayProcess(other, LOCAL, RELAY__SERVER__PORT=port).command("serve")
        assert second.returncode == 1
        assert f"127.0.0.1:{port}" in second.stderr
        assert "RELAY__SERVER__PORT" in second.stderr
        assert "Traceback" not in second.stderr + second.stdout


def test_invalid_settings_and_options_end_with_2(tmp_path: Path) -> None:
    done = RelayProcess(tmp_path, "[server]\nprot = 1\n").command("serve")
    assert done.returncode == 2
    assert "server.port" in done.stderr
    assert RelayProcess(tmp_path, LOCAL).command("serve", "--nonsense").returncode == 2
