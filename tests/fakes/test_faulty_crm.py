"""The faulty CRM: without faults it behaves as PostgREST does, with faults as a failing PostgREST."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fakes.faulty_crm import Fault, FaultyCrm, running_faulty_crm
from tests.support.patience import PATIENCE, http_client

MERGE = {"Prefer": "resolution=merge-duplicates,return=representation"}


@pytest.fixture(scope="module")
def process() -> Iterator[FaultyCrm]:
    with running_faulty_crm(seed=1) as crm:
        yield crm


@pytest.fixture
def crm(process: FaultyCrm) -> FaultyCrm:
    process.set_faults()
    process.clear()
    return process


def _send(crm: FaultyCrm, method: str, json: Any = None, **query: str) -> httpx.Response:
    with httpx.Client(trust_env=False, verify=False, timeout=1) as client:  # noqa: S501 - plain HTTP
        return client.request(method, f"{crm.url}/rest/v1/calls", json=json, params=query, headers=MERGE)


def _post(crm: FaultyCrm, *rows: dict[str, Any]) -> httpx.Response:
    return _send(crm, "POST", list(rows), on_conflict="id")


def test_a_batch_is_merged_by_id_and_the_status_shows_an_insert(crm: FaultyCrm) -> None:
    first = _post(crm, {"id": "a", "version": 1, "notes": "n"}, {"id": "b", "version": 1, "notes": None})
    second = _post(crm, {"id": "a", "version": 2, "status": "s"})
    assert [first.status_code, second.status_code] == [201, 200]
    assert first.json() == [{"id": "a"}, {"id": "b"}]
    assert "resolution=merge-duplicates" in second.headers["Preference-Applied"]
    assert crm.rows_by_id()["a"] == {"id": "a", "version": 2, "notes": "n", "status": "s"}


def test_an_older_version_changes_nothing_and_is_counted(crm: FaultyCrm) -> None:
    _post(crm, {"id": "old", "version": 2, "notes": "new"})
    assert _post(crm, {"id": "old", "version": 1, "notes": "old"}).status_code == 200
    assert crm.rows_by_id()["old"]["notes"] == "new"
    written = crm.written()["old"]
    assert (written.inserts, written.writes, written.stale) == (1, 2, 1)


def test_unlike_keys_and_repeated_ids_are_refused_as_by_postgrest(crm: FaultyCrm) -> None:
    unlike = _post(crm, {"id": "a", "version": 1}, {"id": "b", "version": 1, "notes": ""})
    twice = _post(crm, {"id": "a", "version": 1}, {"id": "a", "version": 1})
    assert [unlike.json()["code"], twice.json()["code"]] == ["PGRST102", "21000"]
    assert crm.rows() == []


def test_rows_are_read_updated_and_deleted_by_id(crm: FaultyCrm) -> None:
    _post(crm, {"id": 'a"b', "version": 1, "notes": "n"}, {"id": "c", "version": 1, "notes": "n"})
    _post(crm, {"id": "c", "version": 2})
    found = _send(crm, "GET", id='in.("a\\"b","c","d")', select="id,xmax").json()
    assert found == [{"id": 'a"b', "xmax": "0"}, {"id": "c", "xmax": "7"}]
    changed = [_send(crm, "PATCH", {"version": 3}, id=f"eq.{id_}").json() for id_ in ("c", "d")]
    assert changed == [[{"id": "c"}], []]
    _send(crm, "DELETE", id='in.("c")')
    assert [row["id"] for row in crm.rows()] == ['a"b']


@pytest.mark.parametrize(
    ("fault", "status", "headers"),
    [
        (Fault.THROTTLED, 429, {"Retry-After": None}),
        (Fault.THROTTLED_AFTER, 429, {"Retry-After": "1"}),
        (Fault.ERROR, 503, {}),
        (Fault.GATEWAY, 502, {}),
        (Fault.UNAUTHORISED, 401, {}),
        (Fault.GARBAGE, 200, {"Preference-Applied": None}),
    ],
)
def test_an_error_response_writes_nothing(
    crm: FaultyCrm, fault: Fault, status: int, headers: dict[str, str | None]
) -> None:
    crm.set_faults(always=fault)
    response = _post(crm, {"id": "a", "version": 1})
    assert response.status_code == status
    assert {name: response.headers.get(name) for name in headers} == headers
    assert crm.rows() == []


@pytest.mark.parametrize(
    ("fault", "error", "written"),
    [
        (Fault.RESET, httpx.ReadError, False),
        (Fault.CUT, httpx.RemoteProtocolError, True),
        (Fault.LATE, httpx.RemoteProtocolError, True),
        (Fault.HANG, httpx.ReadTimeout, False),
    ],
)
def test_the_connection_breaks_before_or_after_the_write(
    crm: FaultyCrm, fault: Fault, error: type[Exception], written: bool
) -> None:
    crm.set_faults(always=fault, late_seconds=0.2)
    with pytest.raises(error):
        _post(crm, {"id": "a", "version": 1})
    assert bool(crm.rows()) is written


def test_after_it_was_down_the_crm_has_the_same_port(crm: FaultyCrm) -> None:
    crm.set_faults(down=True)
    with pytest.raises(httpx.ConnectError):
        _post(crm, {"id": "a", "version": 1})
    crm.set_faults()
    assert _post(crm, {"id": "a", "version": 1}).status_code == 201


def test_one_bad_row_makes_the_whole_batch_fail(crm: FaultyCrm) -> None:
    rows = [{"id": id_, "version": 1} for id_ in "abc"]
    seen = []
    for faults in ({"bad": {"b"}}, {"poison": {"b"}}, {"mandatory": "sales_area"}):
        crm.set_faults(**faults)
        response = _post(crm, *rows)
        seen.append((response.status_code, response.json()["code"]))
    assert seen == [(400, "22P02"), (500, "XX000"), (400, "23502")]
    assert crm.rows() == []


def test_a_mix_of_faults_depends_on_the_seed_and_has_the_set_probabilities() -> None:
    seen = []
    for _ in range(2):
        with running_faulty_crm(seed=3) as crm:
            crm.set_faults(mix={Fault.ERROR: 0.2, Fault.THROTTLED: 0.1})
            with http_client(crm.url) as client:
                seen.append([client.get("/rest/v1/calls").status_code for _ in range(100)])
            assert crm.tally().faults == {"error": seen[-1].count(503), "throttled": seen[-1].count(429)}
    assert seen[0] == seen[1]
    assert 10 < seen[0].count(503) + seen[0].count(429) < 50


def test_a_push_whose_client_disconnects_is_counted_as_abandoned(crm: FaultyCrm) -> None:
    assert crm.wait_for_push(0.01) is False
    before = crm.tally().abandoned
    crm.set_faults(slow=0.5)
    post = "httpx.post(sys.argv[1], json=[{'id': 'k', 'version': 1}], timeout=60, trust_env=False)"
    script = f"import sys, httpx; {post}"
    pusher = subprocess.Popen([sys.executable, "-c", script, f"{crm.url}/rest/v1/calls"])  # noqa: S603 - fixed command
    assert crm.wait_for_push(PATIENCE / 2)
    pusher.kill()
    pusher.wait()
    while crm.tally().under_way:
        time.sleep(0.02)
    assert crm.tally().abandoned == before + 1
    assert "k" in crm.rows_by_id()


def test_the_crm_ends_when_its_starter_is_killed() -> None:
    script = (
        "from tests.fakes.faulty_crm import running_faulty_crm\n"
        "with running_faulty_crm() as crm: print(crm.url, flush=True); input()"
    )
    starter = subprocess.Popen(  # noqa: S603 - fixed command
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert starter.stdout is not None
    url = starter.stdout.readline().decode().strip()
    os.kill(starter.pid, signal.SIGKILL)
    starter.communicate()
    give_up_at = time.monotonic() + 5
    while time.monotonic() < give_up_at:
        try:
            with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))):
                pass
        except ConnectionRefusedError:
            return
        time.sleep(0.05)
    pytest.fail("the CRM still accepts connections")
