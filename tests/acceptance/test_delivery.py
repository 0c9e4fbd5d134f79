"""Every acknowledged call reaches the CRM once and in its newest version, whatever faults the CRM has."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chaos.engines import ENGINES
from tests.chaos.outage import CALLS, HOURS
from tests.chaos.scenarios import stopped_in_order
from tests.fakes.faulty_crm import Fault, FaultyCrm, running_faulty_crm
from tests.support.patience import http_client
from tests.support.relay import RelayProcess, eventually, running_relay
from tests.support.series import two_of_three_are_good

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def crm_process() -> Iterator[FaultyCrm]:
    with running_faulty_crm() as crm:
        yield crm


@pytest.fixture
def crm(crm_process: FaultyCrm) -> FaultyCrm:
    crm_process.set_faults()
    crm_process.clear()
    return crm_process


@contextmanager
def fast_relay(folder: Path, *sections: str) -> Iterator[RelayProcess]:
    """Run a relay with short delays between attempts, and with these sections of settings."""
    server = """
        [server]
        port = 0
        [delivery]
        first_retry_seconds = 0.2
        longest_retry_seconds = 1
    """
    with running_relay(folder, "\n".join([server, *sections])) as relay:
        yield relay


@pytest.fixture
def relay(tmp_path: Path, crm: FaultyCrm) -> Iterator[RelayProcess]:
    with fast_relay(tmp_path, crm.settings()) as process:
        yield process


def send(relay: RelayProcess, names: list[str], event: str = "call.started", **data: Any) -> None:
    """Send one event of each of these calls, in one request."""
    common = {"direction": "inbound", "from": "+34612345678", "to": "+34987654321"} | data
    response = relay.post([{"event": event, "data": {"id": name} | common} for name in names])
    assert response.status_code == httpx.codes.OK, response.text


def call_names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{n:03}" for n in range(count)]


def ids_of(names: list[str]) -> set[str]:
    return {f"cloudtalk-{name}" for name in names}


def deliveries_by_call(relay: RelayProcess, column: str = "state") -> dict[str, Any]:
    """Read one column of the ledger's deliveries, by call."""
    path = relay.folder / "var/relay.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return dict(connection.execute(f"SELECT call, {column} FROM deliveries").fetchall())  # noqa: S608 - a test's own column


def wait_until_delivered(relay: RelayProcess) -> None:
    eventually(lambda: set(deliveries_by_call(relay).values()), lambda states: states == {"delivered"})


def paused_reason(relay: RelayProcess) -> str | None:
    """Read from the ledger why the destination is paused; None if it is not."""
    path = relay.folder / "var/relay.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        (reason,) = connection.execute("SELECT paused_reason FROM destinations").fetchone()
        return None if reason is None else str(reason)


def wait_for_rows(crm: FaultyCrm, names: list[str]) -> dict[str, dict[str, Any]]:
    """Wait until the CRM has a row of each of these calls; return all its rows by id."""
    return eventually(crm.rows_by_id, lambda rows: ids_of(names) <= rows.keys())


# --- transient faults -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory, crm_process: FaultyCrm) -> Iterator[RelayProcess]:
    """One relay for all transient faults, with a short time limit for responses."""
    settings = crm_process.settings(timeout_seconds=1, batch=20)
    with fast_relay(tmp_path_factory.mktemp("impatient"), settings) as process:
        yield process


@pytest.mark.parametrize(
    "faults",
    [
        {"down": True},
        {"slow": 1.0},
        *({"always": fault} for fault in Fault if fault not in {Fault.UNAUTHORISED, Fault.GARBAGE}),
        {"mix": {Fault.CUT: 0.3, Fault.LATE: 0.2, Fault.RESET: 0.2, Fault.THROTTLED_AFTER: 0.1}},
    ],
    ids=lambda faults: str(faults.get("always") or next(iter(faults))),
)
def test_after_a_transient_fault_each_call_is_in_the_crm_once(
    impatient: RelayProcess, crm: FaultyCrm, request: pytest.FixtureRequest, faults: dict[str, Any]
) -> None:
    names = call_names(request.node.callspec.id, 60)
    crm.set_faults(**faults)
    send(impatient, names)
    time.sleep(0.7)
    send(impatient, names, "call.ended", duration=61)
    crm.set_faults()
    rows = eventually(
        crm.rows_by_id,
        lambda found: ids_of(names) == {i for i, row in found.items() if row["duration_seconds"] == 61},
        seconds=25,  # after a 429 without Retry-After the relay waits ten seconds
    )
    assert {row["state"] for row in rows.values()} == {"completed"}
    wait_until_delivered(impatient)
    assert {written.inserts for written in crm.written().values()} == {1}


def test_a_row_that_always_fails_delays_no_other_call(relay: RelayProcess, crm: FaultyCrm) -> None:
    names = call_names("poison", 50)
    crm.set_faults(poison=ids_of(names[17:18]))
    send(relay, names)
    wait_for_rows(crm, names[:17] + names[18:])
    assert deliveries_by_call(relay).pop("cloudtalk-poison-017") == "pending"
    crm.set_faults()
    wait_for_rows(crm, names)


# --- faults of the whole destination --------------------------------------------------------------


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ({"always": Fault.UNAUTHORISED}, "unauthorised"),
        ({"always": Fault.GARBAGE}, "misconfigured"),
        ({"mandatory": "sales_area"}, "misconfigured"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value.values())),
)
def test_a_fault_of_the_whole_crm_counts_no_attempt_and_makes_no_dead_letter(
    relay: RelayProcess, crm: FaultyCrm, faults: dict[str, Any], reason: str
) -> None:
    """Credentials are revoked and restored; a column becomes mandatory and gets a default."""
    crm.set_faults(**faults)
    names = call_names("waits", 250)
    send(relay, names)
    eventually(lambda: paused_reason(relay), lambda why: why == reason)
    send(relay, names[:100], "call.ended", duration=8)
    time.sleep(1.5)
    assert set(deliveries_by_call(relay).values()) == {"pending"}
    assert set(deliveries_by_call(relay, "attempts").values()) == {0}
    assert crm.rows() == []

    crm.set_faults()
    assert relay.command("destinations", "probe", "crm").returncode == 0
    rows = wait_for_rows(crm, names)
    assert {rows[f"cloudtalk-{name}"]["state"] for name in names[:100]} == {"completed"}
    wait_until_delivered(relay)
    assert set(deliveries_by_call(relay, "attempts").values()) == {1}
    assert {written.inserts for written in crm.written().values()} == {1}


def test_a_new_mandatory_column_makes_no_dead_letter_although_updates_still_succeed(
    relay: RelayProcess, crm: FaultyCrm
) -> None:
    """PostgreSQL rejects inserts without the column, but not updates of existing rows."""
    known, new = call_names("known", 40), call_names("new", 120)
    send(relay, known)
    wait_for_rows(crm, known)
    crm.set_faults(mandatory="sales_area")
    for number in range(6):
        send(relay, new[number * 20 : number * 20 + 20])
        send(relay, known, "call.ended", duration=number + 1)
        time.sleep(0.5)
    eventually(lambda: paused_reason(relay), lambda why: why == "misconfigured")
    crm.set_faults()
    relay.command("destinations", "probe", "crm")
    wait_for_rows(crm, new)
    wait_until_delivered(relay)


# --- faults of single records ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def sequential(tmp_path_factory: pytest.TempPathFactory, crm_process: FaultyCrm) -> Iterator[RelayProcess]:
    """One relay for all cases, with one push at a time, so that a hundred calls are one batch."""
    settings = crm_process.settings(batch=100, concurrency=1)
    with fast_relay(tmp_path_factory.mktemp("sequential"), settings) as process:
        yield process


@pytest.mark.parametrize(
    "bad_indexes", [(0, 1, 2), (97, 98, 99), (0, 49, 99), (24, 50, 75), (12, 13, 87), (49, 50, 51)], ids=str
)
def test_of_a_hundred_calls_only_the_three_bad_ones_become_dead_letters(
    sequential: RelayProcess, crm: FaultyCrm, bad_indexes: tuple[int, ...]
) -> None:
    names = call_names("at-" + "-".join(map(str, bad_indexes)), 100)
    bad = {f"cloudtalk-{names[index]}" for index in bad_indexes}
    sequential.command("destinations", "pause", "crm")
    send(sequential, names)
    crm.set_faults(bad=bad)
    sequential.command("destinations", "resume", "crm")
    eventually(crm.rows_by_id, lambda rows: rows.keys() == ids_of(names) - bad)
    dead = {row["id"]: row for row in _wait_for_dead_letters(sequential, bad)}
    assert dead.keys() == bad
    assert {row["code"] for row in dead.values()} == {"22P02"}
    assert all("invalid input syntax" in row["message"] for row in dead.values())
    assert crm.tally().requests <= 40

    repaired = min(bad)
    crm.set_faults(bad=bad - {repaired})
    send(sequential, [names[index] for index in bad_indexes], "call.ended", duration=5)
    eventually(crm.rows_by_id, lambda rows: repaired in rows and rows[repaired]["duration_seconds"] == 5)
    still_dead = _wait_for_dead_letters(sequential, bad - {repaired})
    assert {row["id"]: row["version"] for row in still_dead} == dict.fromkeys(bad - {repaired}, 2)


def _wait_for_dead_letters(relay: RelayProcess, calls: set[str]) -> list[dict[str, Any]]:
    """Wait until the deliveries of these calls are dead; return their dead letters."""
    is_dead = "state = 'dead'"
    eventually(lambda: deliveries_by_call(relay, is_dead), lambda found: all(found[call] for call in calls))
    dead: list[dict[str, Any]] = json.loads(relay.command("dead", "list", "--json").stdout)
    return [row for row in dead if row["id"] in calls]


# --- one CRM down, another one working ------------------------------------------------------------

SHORTEST_DELAY = 4.0
"""Seconds. If the CRMs waited for each other, a call would wait for a pause of the other one (5 s) or for its
time limit (30 s)."""


@pytest.mark.parametrize(
    "faults", [{"down": True}, {"always": Fault.HANG}, {"always": Fault.ERROR}], ids=["down", "hang", "error"]
)
def test_a_crm_that_is_down_does_not_delay_another_crm(
    tmp_path: Path, crm: FaultyCrm, faults: dict[str, Any]
) -> None:
    with (
        running_faulty_crm() as dead,
        fast_relay(tmp_path, crm.settings("live"), dead.settings("dead")) as relay,
    ):
        dead.set_faults(**faults)
        send(relay, call_names("before", 500))
        wait_for_rows(crm, call_names("before", 500))
        names = (call_names(f"{number}beside", 150) for number in count())
        two_of_three_are_good(
            lambda: _measure_latencies(relay, crm, next(names)),
            lambda seconds: max(seconds) < SHORTEST_DELAY,
        )


def _measure_latencies(relay: RelayProcess, crm: FaultyCrm, names: list[str]) -> list[float]:
    """Send a hundred calls per second; return the seconds from sending to the CRM's write, per call."""
    sent = {}
    with http_client(verify=False) as client:
        began = time.monotonic()
        for number, name in enumerate(names):
            time.sleep(max(0.0, began + number / 100 - time.monotonic()))
            sent[f"cloudtalk-{name}"] = time.time()
            body = {"event": "call.started", "data": {"id": name}}
            client.post(f"{relay.url}/cloudtalk/webhook", json=body)
    wait_for_rows(crm, names)
    written = crm.written()
    return [written[call].first_at - moment for call, moment in sent.items()]


# --- a long outage, and an orderly stop --------------------------------------------------------------


@pytest.mark.timeout(180)
def test_an_outage_of_87_hours_loses_no_call_and_needs_little_memory(tmp_path: Path, crm: FaultyCrm) -> None:
    """Longer than `give_up_after_hours`, with 100 000 pending calls; on a fake clock."""
    done = subprocess.run(  # noqa: S603 - fixed command
        [sys.executable, "-m", "tests.chaos.outage", str(tmp_path), crm.url, crm.control_url],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])  # log lines come before it
    assert (result["hours"], result["dead"]) == (HOURS, 0)
    assert result["pending"] + result["delivered"] == CALLS
    assert result["pending"] > 0.99 * CALLS
    assert result["memory_mb"] < 200, result
    assert result["probes"] > 3 * HOURS, result
    written = crm.written()
    assert len(written) == CALLS
    assert {row.inserts for row in written.values()} == {1}


@pytest.mark.parametrize("engine", ENGINES)
def test_sigterm_under_load_stops_in_order_and_loses_nothing(tmp_path: Path, engine: str) -> None:
    outcome, code, seconds = stopped_in_order(tmp_path, engine, seed=3)
    assert code == 0
    assert seconds < 10
    assert outcome.audit.passed, str(outcome)
    assert outcome.audit.acknowledged > 100, str(outcome)
