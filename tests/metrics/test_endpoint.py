"""`GET /metrics` of a running relay."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from crm_clients.local import LocalSettings
from relay.instants import Instant
from relay.ledger import destinations
from relay.measurements import SharedMemory
from tests.support.in_process import in_process_relay, settings_in, wait_for_status

WEBHOOK_PATH = "/cloudtalk/webhook"
STARTED = {"event": "call.started", "data": {"id": "1", "direction": "inbound"}}


def crm_in(folder: Path) -> dict[str, LocalSettings]:
    return {"crm": LocalSettings(client="local", path=folder / "crm.db")}


def samples(text: str) -> dict[str, float]:
    def each() -> Iterator[tuple[str, float]]:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = ",".join(sample.labels.values())
                yield f"{sample.name}({labels})", sample.value

    return dict(each())


async def test_what_happens_to_an_event_is_counted(tmp_path: Path, memory: SharedMemory) -> None:
    del memory
    settings = settings_in(tmp_path, destinations=crm_in(tmp_path))
    async with in_process_relay(settings) as (relay, client):
        for _ in range(2):
            assert (await client.post(WEBHOOK_PATH, json=STARTED)).status_code == 200
        assert (await client.post(WEBHOOK_PATH, content=b"{nonsense")).status_code == 400
        assert (await client.post(WEBHOOK_PATH, json=STARTED, headers={"via": "p"})).status_code == 401
        assert (await client.post(WEBHOOK_PATH)).json()["ignored"] is True
        await wait_for_status(relay, settings, lambda status: status["crm"].delivered == 1)
        response = await client.get("/metrics", params={"unknown": "x"})
    assert response.status_code == 200
    found = samples(response.text)
    expected = {
        "relay_events_total(mission,started)": 2,
        "relay_requests_refused_total(not_json)": 1,
        "relay_requests_refused_total(forwarded)": 1,
        "relay_requests_ignored_total()": 1,
        "relay_request_duration_seconds_count()": 5,
        "relay_pushes_total(crm,delivered)": 1,
        "relay_push_duration_seconds_count(crm)": 1,
        "relay_deliveries_died_total(crm)": 0,
        "relay_fold_lag_seconds_count()": 2,
        "relay_deliveries_pending(crm)": 0,
        "relay_deliveries_dead(crm)": 0,
        "relay_destination_paused(crm,failing)": 0,
        "relay_events_unfolded()": 0,
        "relay_quarantined_bodies()": 1,
        "relay_ledger_up()": 1,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["relay_ledger_commit_seconds_count()"] in {1, 2}
    assert found["relay_last_event_timestamp_seconds()"] > 1_700_000_000


async def test_a_person_who_pauses_a_destination_is_the_reason(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, destinations=crm_in(tmp_path))
    async with in_process_relay(settings) as (relay, client):
        await relay.ledger.write(lambda connection: destinations.pause(connection, "crm", now=Instant(1)))
        found = samples((await client.get("/metrics")).text)
    assert found["relay_destination_paused(crm,paused)"] == 1
    assert found["relay_destination_paused(crm,failing)"] == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_metrics_are_read_by_get_alone(tmp_path: Path, method: str) -> None:
    async with in_process_relay(settings_in(tmp_path)) as (_, client):
        response = await client.request(method, "/metrics")
        head = await client.head("/metrics")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")
    assert (head.status_code, head.content) == (200, b"")
