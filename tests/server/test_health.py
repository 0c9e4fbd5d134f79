"""`/healthz` and `/readyz`."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from crm_clients.local import LocalSettings
from relay import __version__
from relay.app import Relay
from relay.ledger import HEAD, LedgerUnavailable
from relay.server import health
from tests.support.in_process import delivery_of, in_process_relay, settings_in
from tests.support.ledgers import open_ledger

RunningRelay = tuple[Relay, httpx.AsyncClient]


@pytest.fixture
async def running_relay(tmp_path: Path) -> AsyncIterator[RunningRelay]:
    async with in_process_relay(settings_in(tmp_path)) as relay_and_client:
        yield relay_and_client


async def test_a_running_relay_is_alive_and_ready(running_relay: RunningRelay) -> None:
    _, client = running_relay
    alive = await client.get("/healthz")
    assert (alive.status_code, alive.json()) == (
        200,
        {"status": "alive", "version": __version__, "schema_version": HEAD},
    )
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_a_relay_that_starts_or_stops_is_alive_and_not_ready(running_relay: RunningRelay) -> None:
    relay, client = running_relay
    relay.lifecycle.is_serving = False
    response = await client.get("/readyz")
    assert (response.status_code, response.json()["problem"]) == (503, "starting or stopping")
    assert (await client.get("/healthz")).status_code == 200


async def test_a_relay_whose_ledger_cannot_be_written_is_not_ready(
    running_relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, client = running_relay

    async def full(_: Any) -> None:
        raise LedgerUnavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(relay.ledger, "write", full)
        response = await client.get("/readyz")
        assert (response.status_code, response.json()) == (
            503,
            {"status": "not ready", "problem": "the disk is full"},
        )
        through_a_proxy = await client.get("/readyz", headers={"x-forwarded-for": "203.0.113.7"})
        assert through_a_proxy.status_code == 503
        assert "disk" not in through_a_proxy.text
        assert (await client.get("/healthz")).status_code == 200
    await asyncio.sleep(1)  # the result is kept for a second
    assert (await client.get("/readyz")).status_code == 200


async def test_a_relay_whose_ledger_does_not_answer_is_not_ready(
    running_relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, _ = running_relay

    async def never_answer(_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(relay.ledger, "write", never_answer)
    probe = health.LedgerProbe(relay.ledger, timeout_seconds=0.02)
    app = Starlette(routes=health.routes(probe, lambda: True))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        response = await client.get("/readyz")
    assert response.status_code == 503
    assert "0.02 s" in response.json()["problem"]


async def test_requests_share_one_row_and_a_cancelled_one_ends_no_other(tmp_path: Path) -> None:
    async with open_ledger(f"sqlite:///{tmp_path}/relay.db") as ledger:
        writes = ledger.writes
        probe = health.LedgerProbe(ledger, interval_seconds=60)
        first = asyncio.create_task(probe.find_problem())
        others = [asyncio.create_task(probe.find_problem()) for _ in range(20)]
        await asyncio.sleep(0)
        first.cancel()
        assert await asyncio.gather(*others) == [None] * 20
        assert await probe.find_problem() is None
        assert ledger.writes == writes + 1


async def test_after_the_interval_a_row_is_written_again_unless_one_is_still_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_ledger(f"sqlite:///{tmp_path}/relay.db") as ledger:
        probe = health.LedgerProbe(ledger, interval_seconds=0)
        writes = ledger.writes
        for _ in range(2):
            assert await probe.find_problem() is None
        assert ledger.writes == writes + 2
        answer = asyncio.Event()
        waiting: list[None] = []

        async def answer_late(_: Any) -> None:
            waiting.append(None)
            await answer.wait()

        with monkeypatch.context() as hanging:
            hanging.setattr(ledger, "write", answer_late)
            hanging.setattr(probe._problem, "timeout_seconds", 0.02)
            for _ in range(2):
                assert await probe.find_problem() == "the ledger did not answer within 0.02 s"
        assert len(waiting) == 1
        answer.set()
        assert await probe.find_problem() is None


async def test_a_ledger_that_can_only_be_read_is_not_ready(tmp_path: Path) -> None:
    async with open_ledger(f"sqlite:///{tmp_path}/relay.db") as ledger:
        probe = health.LedgerProbe(ledger, interval_seconds=0)
        assert await probe.find_problem() is None
        await ledger.write(lambda c: c.execute_sql("PRAGMA query_only = ON"))
        assert "readonly" in str(await probe.find_problem())


async def test_a_relay_with_a_crm_that_is_down_is_ready(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    down = LocalSettings(client="local", path=tmp_path / "file" / "crm.db")
    async with in_process_relay(settings_in(tmp_path, destinations={"crm": down})) as (relay, client):
        assert not (await delivery_of(relay).clients["crm"].check())[0].ok
        assert (await client.get("/readyz")).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_both_routes_accept_get_and_head(running_relay: RunningRelay, path: str) -> None:
    _, client = running_relay
    assert (await client.head(path)).status_code == 200
    assert (await client.post(path)).status_code == 405
