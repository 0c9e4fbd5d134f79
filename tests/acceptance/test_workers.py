"""`--workers`: one process folds and delivers, the others accept. A worker that dies is replaced."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]  # it has no types, and little of it is used
import pytest

from tests.support.patience import PATIENCE
from tests.support.relay import WEBHOOK_PATH, RelayProcess, crm_rows, eventually, running_relay

SETTINGS = """
[server]
port = 0
[ledger]
url = "{url}"
[destinations.crm]
client = "local"
path = "crm.db"
"""


@pytest.fixture
def relay(ledger_url: str, tmp_path: Path) -> Iterator[RelayProcess]:
    with running_relay(tmp_path, SETTINGS.format(url=ledger_url), 3) as relay:
        wait_until_ready(relay, accepting=2, delivering=1)
        yield relay


def wait_until_ready(relay: RelayProcess, *, accepting: int, delivering: int) -> None:
    """Wait until this number of processes was ready, those that died meanwhile included."""
    eventually(lambda: len(lines_of(relay, "server.ready")), lambda number: number == accepting)
    eventually(lambda: len(lines_of(relay, "worker.ready")), lambda number: number == delivering)


def lines_of(relay: RelayProcess, event: str) -> list[dict[str, Any]]:
    return [line for line in relay.log_lines() if line["event"] == event]


def send(relay: RelayProcess, *calls: str) -> None:
    """Send one event per call, each over a new connection, so that any accepting process may get it."""
    for call in calls:
        started = {"event": "call.started", "data": {"id": call}}
        response = httpx.post(relay.url + WEBHOOK_PATH, json=started, timeout=PATIENCE, trust_env=False)
        assert response.status_code == 200


def wait_for_rows(relay: RelayProcess, *calls: str) -> None:
    expected = {f"cloudtalk-{call}" for call in calls}
    eventually(lambda: crm_rows(relay.folder / "crm.db").keys(), lambda ids: expected <= ids)


def test_workers_share_one_port_and_stop_together(relay: RelayProcess) -> None:
    assert len({line["url"] for line in lines_of(relay, "server.ready")}) == 1
    calls = [f"a{number}" for number in range(30)]
    send(relay, *calls)
    wait_for_rows(relay, *calls)
    assert relay.stop() == 0
    assert len(lines_of(relay, "server.stopped")) == 3


def test_only_one_process_folds_and_delivers(relay: RelayProcess) -> None:
    send(relay, *(f"a{number}" for number in range(10)))
    wait_for_rows(relay, *(f"a{number}" for number in range(10)))
    (delivering,) = lines_of(relay, "worker.ready")
    owners = {line["owner"].split("/")[1] for line in lines_of(relay, "lease.acquired")}
    assert owners == {str(delivering["worker"])}


def test_calls_are_delivered_after_the_process_that_delivers_was_killed(relay: RelayProcess) -> None:
    send(relay, "before")
    wait_for_rows(relay, "before")
    (delivering,) = lines_of(relay, "worker.ready")
    os.kill(delivering["worker"], signal.SIGKILL)
    send(relay, "meanwhile")  # accepted while nothing folds
    wait_for_rows(relay, "meanwhile")
    (died,) = lines_of(relay, "worker.died")
    assert (died["role"], died["code"]) == ("delivery", -signal.SIGKILL)


def test_events_are_accepted_after_all_processes_that_accept_were_killed(relay: RelayProcess) -> None:
    (delivering,) = lines_of(relay, "worker.ready")
    for worker in relay.workers():
        if worker.pid != delivering["worker"]:
            worker.kill()
    send(relay, "after")  # waits in the queue of the port, which the supervisor keeps open
    wait_for_rows(relay, "after")
    wait_until_ready(relay, accepting=4, delivering=1)
    assert [line["role"] for line in lines_of(relay, "worker.died")] == ["ingest", "ingest"]


def test_metrics_are_those_of_all_processes_also_of_those_that_died(relay: RelayProcess) -> None:
    accepted = '"mission",kind="started"'
    send(relay, *(f"a{number}" for number in range(20)))
    wait_for_rows(relay, "a19")
    eventually(lambda: metrics_of(relay, "relay_deliveries_pending")['destination="crm"'], lambda n: n == 0)
    found = [metrics_of(relay, "relay_events_total") for _ in range(5)]
    assert found == [{f"dialect={accepted}": 20}] * 5  # whichever process answers
    pushed = metrics_of(relay, "relay_pushes_total")
    assert pushed == {'destination="crm",outcome="delivered"': 20}
    for worker in relay.workers():
        worker.kill()
    wait_until_ready(relay, accepting=4, delivering=2)
    send(relay, "b")
    assert metrics_of(relay, "relay_events_total") == {f"dialect={accepted}": 21}
    assert metrics_of(relay, "relay_process_starts_total") == {'role="ingest"': 4, 'role="delivery"': 2}
    assert len(metrics_of(relay, "process_resident_memory_bytes")) == 3


def metrics_of(relay: RelayProcess, name: str) -> dict[str, float]:
    """The values of a metric, by their labels."""
    text = httpx.get(f"{relay.url}/metrics", timeout=PATIENCE, trust_env=False).text
    found = re.findall(rf"^{name}\{{(.*)\}} (\S+)$", text, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def test_the_processes_of_a_relay_are_one_relay_until_they_are_killed(relay: RelayProcess) -> None:
    workers = relay.workers()
    shown = eventually(lambda: status_of(relay), lambda status: bool(status["relays"]))
    (running,) = shown["relays"]
    assert running["pid"] == relay.process.pid
    relay.process.kill()
    relay.process.wait()
    assert psutil.wait_procs(workers, timeout=15)[1] == []
    assert status_of(relay)["relays"] == []
    (crm,) = status_of(relay)["destinations"]
    assert crm["explanation_code"] == "no_relay"


def status_of(relay: RelayProcess) -> dict[str, Any]:
    return json.loads(relay.command("status", "--json").stdout)  # type: ignore[no-any-return]


def test_an_unusable_ledger_ends_the_start_with_an_error(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path, SETTINGS.format(url="postgresql://relay:hush@127.0.0.1:1/relay"))
    ended = relay.command("serve", "--workers", "3")
    assert ended.returncode == 1
    assert "cannot be used" in ended.stderr
    assert "hush" not in ended.stderr


def read_rows(relay: RelayProcess, seen: str) -> httpx.Response:
    """Ask for the list of calls as the page does, over a new connection: any accepting process may get it."""
    url = f"{relay.url}/console/calls/rows"
    return httpx.get(url, params={"seen": seen}, timeout=PATIENCE, trust_env=False)


def wait_for_row(relay: RelayProcess, call: str, seen: str) -> httpx.Response:
    return eventually(
        lambda: read_rows(relay, seen), lambda found: f'data-id="cloudtalk-{call}"' in found.text
    )


def test_an_open_list_shows_each_call_whichever_process_accepts_it_and_serves_the_list(
    relay: RelayProcess,
) -> None:
    digest = ""
    for number in range(6):
        send(relay, f"live-{number}")
        rows = wait_for_row(relay, f"live-{number}", digest)
        assert rows.text.count("<tr data-id=") == number + 1
        digest = rows.headers["x-digest"]
