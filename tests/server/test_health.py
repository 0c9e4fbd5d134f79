"""What a supervisor and a load balancer are told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from crm_clients.local import LocalSettings
from relay import __version__
from relay.app import Relay
from relay.ledger import HEAD, LedgerUnavailable
from relay.server import health
from tests.support.in_process import in_process_relay, settings_in

Parts = tuple[Relay, httpx.AsyncClient]


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    async with in_process_relay(settings_in(tmp_path)) as running:
        yield running


async def test_a_relay_at_work_is_alive_and_ready(parts: Parts) -> None:
    _, client = parts
    alive = await client.get("/healthz")
    assert (alive.status_code, alive.json()) == (
        200,
        {"status": "alive", "version": __version__, "schema_version": HEAD},
    )
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_while_it_starts_or_stops_it_is_alive_and_not_ready(parts: Parts) -> None:
    relay, client = parts
    relay.serving = False
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["problem"]) == (503, "starting or stopping")
    assert (await client.get("/healthz")).status_code == 200


async def test_a_ledger_that_cannot_be_written_makes_it_not_ready(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, client = parts

    async def full(_: Any) -> None:
        raise LedgerUnavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(relay.ledger, "write", full)
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (
            503,
            {"status": "not ready", "problem": "the disk is full"},
        )
        assert (await client.get("/healthz")).status_code == 200
    assert (await client.get("/readyz")).status_code == 200


async def test_a_ledger_that_does_not_answer_makes_it_not_ready(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, client = parts

    async def silent(_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(health, "_PATIENCE_SECONDS", 0.02)
    monkeypatch.setattr(relay.ledger, "write", silent)
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert "0.02 s" in answer.json()["problem"]


async def test_a_crm_that_is_down_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    down = LocalSettings(client="local", path=tmp_path / "file" / "crm.db")
    async with in_process_relay(settings_in(tmp_path, destinations={"crm": down})) as (relay, client):
        assert not (await relay.clients["crm"].check())[0].ok
        assert (await client.get("/readyz")).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_they_are_asked_by_get_and_head(parts: Parts, path: str) -> None:
    _, client = parts
    assert (await client.head(path)).status_code == 200
    assert (await client.post(path)).status_code == 405
