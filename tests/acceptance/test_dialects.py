"""Real CloudTalk events through a real relay: two ids, no event name, late recordings, constant ids."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.es_document import requests_of
from tests.support.patience import PATIENCE, http_client
from tests.support.relay import WEBHOOK_PATH, RelayProcess, crm_rows, eventually, running_relay
from tests.support.supabase import Supabase

DOCUMENT = Path(__file__).parents[2] / "docs/es/cloudtalk-setup.md"
TOKEN = "a-token-of-the-tests"
RECORDING = "https://my.cloudtalk.io/pub/r/MTAwMjQwMjQ4Nw%3D%3D/M2Q1NDg1.wav"
Send = Callable[[str, dict[str, Any]], None]


@pytest.fixture
def relay(tmp_path: Path, supabase: Supabase) -> Iterator[RelayProcess]:
    """A relay with two CRMs and a short grace period."""
    settings = f"""
        [server]
        port = 0
        [cloudtalk]
        tokens = ["{TOKEN}"]
        grace_seconds = 1
        [destinations.crm]
        client = "local"
        path = "crm.db"
        [destinations.supabase]
        client = "supabase"
        url = "{supabase.url}"
        key = "{supabase.key}"
    """
    with running_relay(tmp_path, settings) as process:
        yield process


@pytest.fixture
def send(relay: RelayProcess) -> Send:
    def post(event: str, body: dict[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with http_client(relay.url) as client:
            response = client.post(f"{WEBHOOK_PATH}/{event}", json=body, headers=headers)
        assert response.status_code == 200, response.text

    return post


def read_crms(relay: RelayProcess, supabase: Supabase) -> list[dict[str, dict[str, Any]]]:
    return [crm_rows(relay.folder / "crm.db"), {row["id"]: row for row in supabase.rows()}]


def have_recording(crms: list[dict[str, dict[str, Any]]]) -> bool:
    return all(any(row["recording_url"] for row in rows.values()) for rows in crms)


def test_a_recording_that_arrives_before_the_end_is_in_the_record_of_its_call(
    relay: RelayProcess, supabase: Supabase, send: Send
) -> None:
    send("recording.uploaded", {"call_id": 1002402487, "recording_url": RECORDING})
    send(
        "call.ended", {"call_uuid": "U-1", "call_id": 1002402487, "talking_time": 22, "direction": "incoming"}
    )
    for rows in eventually(lambda: read_crms(relay, supabase), have_recording):
        (row,) = rows.values()
        assert (row["recording_url"], row["call_uuid"], row["call_id"]) == (RECORDING, "U-1", "1002402487")


def test_two_records_of_one_call_are_merged_in_every_crm(
    relay: RelayProcess, supabase: Supabase, send: Send
) -> None:
    """The Ended with both ids arrives after the grace period, when both records are in the CRMs."""
    send("recording.uploaded", {"call_id": 1002402487, "recording_url": RECORDING})
    send("call.started", {"call_uuid": "U-1", "direction": "incoming", "external_number": 34612345678})
    eventually(lambda: read_crms(relay, supabase), lambda found: all(len(rows) == 2 for rows in found))
    send("call.ended", {"call_uuid": "U-1", "call_id": 1002402487, "talking_time": 0})
    found = eventually(
        lambda: read_crms(relay, supabase),
        lambda found: all(
            len(rows) == 1 and all(row["talking_seconds"] == 0 for row in rows.values()) for rows in found
        ),
    )
    for rows in found:
        (row,) = rows.values()
        assert (row["recording_url"], row["external_number"]) == (RECORDING, "+34612345678")
        assert bool(row["follow_up"]) is True
    merged = {"cloudtalk-U-1", "cloudtalk-1002402487"} - set(found[0])
    shown = json.loads(relay.command("calls", "show", merged.pop(), "--json").stdout)
    assert [shown["id"]] == list(found[0])
    assert len(shown["events"]) == 3


def test_a_constant_call_id_merges_no_calls_and_is_reported_once(
    relay: RelayProcess, supabase: Supabase, send: Send
) -> None:
    for number in range(100):
        uuid = f"44fe27cd-5268-4670-993e-{number:012}"
        body = {"call_uuid": uuid, "call_id": 123, "talking_time": number + 1, "direction": "incoming"}
        send("call.ended", body)
    for rows in eventually(
        lambda: read_crms(relay, supabase), lambda found: all(len(r) == 100 for r in found)
    ):
        assert {row["talking_seconds"] for row in rows.values()} == set(range(1, 101))
    quarantined = json.loads(relay.command("quarantine", "list", "--json").stdout)
    assert [row["reason"] for row in quarantined] == ["conflicting_ids"]
    assert [line["dropped"] for line in relay.log_lines() if line["event"] == "fold.conflict"] == [["id:123"]]


def test_following_the_spanish_document_delivers_calls_to_the_crm(
    relay: RelayProcess, supabase: Supabase
) -> None:
    requests = requests_of(DOCUMENT, relay.url, TOKEN)
    assert len(requests) >= 8
    for method, url, headers, body in requests:
        response = httpx.request(method, url, headers=headers, json=body, timeout=PATIENCE, trust_env=False)
        assert response.status_code == 200, (url, response.text)
        assert "ignored" not in response.json()
    # The document's test call has no recording; the call of its workflows has one.
    for rows in eventually(lambda: read_crms(relay, supabase), have_recording):
        trial, (row,) = (
            [row for row in rows.values() if bool(row["recording_url"]) is has_recording]
            for has_recording in (False, True)
        )
        assert len(trial) == 1
        assert row["status"] == "Completada"
        assert row["talking_seconds"] is not None
        assert row["agent_name"] is not None


@pytest.mark.parametrize("dialect", ["workflow", "flow", "signed", "mixed"])
def test_simulated_calls_of_each_dialect_have_the_expected_records(
    relay: RelayProcess, supabase: Supabase, dialect: str
) -> None:
    arguments = [
        "--url",
        relay.url + WEBHOOK_PATH,
        "--token",
        TOKEN,
        "--calls",
        "30",
        "--chaos",
        "--seed",
        "7",
    ]
    simulation = relay.command("simulate", *arguments, "--dialect", dialect, "--json")
    assert simulation.returncode == 0, simulation.stdout + simulation.stderr
    expected = json.loads(simulation.stdout)["expected"]
    eventually(
        lambda: read_crms(relay, supabase)[0],
        lambda rows: not list_differences(expected, rows),
        seconds=15,
    )
    assert len(read_crms(relay, supabase)[0]) == len(expected)


LABELS = {"in_progress": "En Progreso", "answered": "Completada", "completed": "Completada"}


def list_differences(expected: list[dict[str, Any]], rows: dict[str, dict[str, Any]]) -> list[str]:
    """List the fields in which the rows differ from the expected calls, matched by either id."""
    differences = []
    for call in expected:
        matches = [row for row in rows.values() if _has_same_id(call, row)]
        if len(matches) != 1:
            differences.append(f"{len(matches)} rows for {call['call_uuid']}")
            continue
        for field, value in call.items():
            stored = matches[0][field]
            wanted = LABELS.get(value, "Perdida") if field == "status" else value
            wanted = json.dumps(value) if field == "tags" else wanted
            if (json.dumps(json.loads(stored)) if field == "tags" else stored) != wanted:
                differences.append(f"{call['call_uuid']} {field}: {stored!r} instead of {wanted!r}")
    return differences


def _has_same_id(call: dict[str, Any], row: dict[str, Any]) -> bool:
    return any(call.get(key) is not None and call[key] == row[key] for key in ("call_uuid", "call_id"))
