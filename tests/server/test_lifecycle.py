"""Start and stop of the components of one process."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from crm_clients.base import Outcome, Push
from crm_clients.local import LocalSettings
from crm_clients.state import InMemoryClientState
from relay.app import Relay
from relay.delivery.clients import build_clients
from relay.server import lifecycle
from relay.settings import Settings
from tests.support.in_process import delivery_of, in_process_relay, settings_in, wait_for_status
from tests.support.patience import PATIENCE
from tests.support.relay import WEBHOOK_PATH, crm_rows

STARTED = {"event": "call.started", "data": {"id": "1", "direction": "inbound"}}


def settings_with_crm(folder: Path) -> Settings:
    crm = LocalSettings(client="local", path=folder / "crm.db")
    return settings_in(folder, destinations={"crm": crm})


async def test_the_relay_serves_only_between_start_and_stop(tmp_path: Path) -> None:
    relay = Relay(settings_in(tmp_path))
    assert not relay.lifecycle.is_serving
    async with relay.lifecycle.running():
        assert relay.lifecycle.is_serving
    assert not relay.lifecycle.is_serving  # type: ignore[unreachable] # mypy cannot see that the block ends it


async def test_a_stop_closes_every_client_and_releases_the_leases(tmp_path: Path) -> None:
    settings = settings_with_crm(tmp_path)
    for _ in range(2):  # the second run must get the leases at once, or `wait_for_status` times out
        async with in_process_relay(settings) as (relay, client):
            await client.post(WEBHOOK_PATH, json=STARTED)
            await wait_for_status(relay, settings, lambda status: status["crm"].delivered == 1)
            client_of_crm: Any = delivery_of(relay).clients["crm"]
        with pytest.raises(RuntimeError, match="was stopped"):
            await client_of_crm.check()


async def test_a_component_that_fails_starts_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "_RESTART_SECONDS", 0)
    relay, runs, again = Relay(settings_in(tmp_path)), list[str](), asyncio.Event()

    async def fail_once(name: str) -> None:
        runs.append(name)
        if runs.count(name) == 1:
            raise MemoryError
        if runs.count("loop") + runs.count("delivery") == 4:
            again.set()
        await asyncio.sleep(3600)

    started = lifecycle.Lifecycle(
        relay.ledger,
        {},
        {},
        loops=[partial(fail_once, "loop")],
        delivery_loops=[partial(fail_once, "delivery")],
    )
    with capture_logs() as logs:
        async with started.running(), asyncio.timeout(PATIENCE):
            await again.wait()
    assert sorted(runs) == ["delivery", "delivery", "loop", "loop"]
    assert [line["event"] for line in logs].count("server.component_failed") == 2


async def test_a_push_in_flight_finishes_while_the_last_requests_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested, may_respond = asyncio.Event(), asyncio.Event()
    settings = settings_with_crm(tmp_path)
    async with in_process_relay(settings) as (relay, client):
        crm: Any = delivery_of(relay).clients["crm"]
        upsert = crm.upsert

        async def slow(pushes: Sequence[Push]) -> list[Outcome]:
            requested.set()
            await may_respond.wait()
            return list(await upsert(pushes))

        monkeypatch.setattr(crm, "upsert", slow)
        await client.post(WEBHOOK_PATH, json=STARTED)
        await asyncio.wait_for(requested.wait(), 5)
        relay.lifecycle.stop_delivering()
        asyncio.get_running_loop().call_later(0.1, may_respond.set)
    assert len(crm_rows(tmp_path / "crm.db")) == 1
    async with in_process_relay(settings) as (relay, _):
        status = await wait_for_status(relay, settings, lambda _: True)
    assert status["crm"].delivered == 1, "the second stop aborted the push"


async def test_a_replaced_client_is_closed_at_the_stop_at_the_latest(tmp_path: Path) -> None:
    settings = settings_with_crm(tmp_path)
    async with in_process_relay(settings) as (relay, _):
        replaced: Any = build_clients(settings, lambda _: InMemoryClientState())["crm"]
        relay.lifecycle.close_later(replaced, seconds=3600)
        await asyncio.sleep(0)
        assert (await replaced.check())[0].ok
    with pytest.raises(RuntimeError, match="was stopped"):
        await replaced.check()
