"""The composition root: the components of one process together, and `app:app` for an ASGI server."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from crm_clients.base import Outcome, Push
from crm_clients.local import LocalSettings
from relay import app
from relay.app import Relay
from relay.ledger import destinations, leases
from relay.ledger.notifications import WakeUpPipe
from relay.server.roles import Role
from relay.settings import SettingsError
from tests.support.in_process import delivery_of, in_process_relay, settings_in, wait_for_status
from tests.support.patience import PATIENCE
from tests.support.relay import WEBHOOK_PATH, crm_rows, eventually
from tests.support.servers import free_port

STARTED = {"event": "call.started", "data": {"id": "1", "direction": "inbound"}}
TOKEN = "open-sesame-of-the-tests"
KEY = "sb_secret_0123456789"


def local(path: Path, **changes: Any) -> LocalSettings:
    return LocalSettings(client="local", path=path, **changes)


def environment(**changes: str) -> dict[str, str]:
    """The environment for a child process, without variables that would override its settings."""
    return {key: value for key, value in os.environ.items() if not key.startswith("RELAY_")} | changes


def run_program(source: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a new interpreter."""
    return subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", source],
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


# --- app:app --------------------------------------------------------------------------------------


@contextmanager
def uvicorn(settings: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port)]
    with settings.with_name("uvicorn.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - a command of the project
            command, env=environment(RELAY_SETTINGS=str(settings)), stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=PATIENCE, trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_uvicorn_serves_the_settings_that_an_environment_variable_names(tmp_path: Path) -> None:
    settings, port = tmp_path / "settings.toml", free_port()
    settings.write_text("""
        [ledger]
        url = "sqlite:///relay.db"
        [destinations.crm]
        client = "local"
        path = "crm.db"
    """)
    url = f"http://127.0.0.1:{port}"
    with uvicorn(settings, port) as process:
        eventually(lambda: is_ready(url), bool)
        response = httpx.post(url + WEBHOOK_PATH, json=STARTED, timeout=PATIENCE, trust_env=False)
        assert response.json()["success"] is True
        eventually(lambda: crm_rows(tmp_path / "crm.db"), lambda rows: list(rows) == ["cloudtalk-1"])
        process.send_signal(signal.SIGTERM)
        # Uvicorn raises the signal again after the stop.
        assert process.wait(PATIENCE) in {0, -signal.SIGTERM}
    lines = [json.loads(line) for line in (tmp_path / "uvicorn.log").read_text().splitlines()]
    assert "CloudTalk Webhook Event: call.started" in [line["event"] for line in lines]
    assert {line["level"] for line in lines} == {"info"}


def test_importing_the_module_reads_no_settings() -> None:
    done = run_program(
        "from relay import app; print(app.create_app.__name__)", RELAY_SETTINGS="/nowhere/settings.toml"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "create_app\n", "")


def test_reading_the_attribute_app_loads_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_SETTINGS", "/nowhere/settings.toml")
    with pytest.raises(SettingsError, match=r"/nowhere/settings\.toml"):
        _ = app.app


def test_other_unknown_attributes_raise() -> None:
    with pytest.raises(AttributeError, match="application"):
        _ = app.application


def test_log_lines_contain_no_secret_of_the_settings(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(f"""
        [cloudtalk]
        tokens = ["{TOKEN}", "old-{TOKEN}"]
        [destinations.supabase]
        client = "supabase"
        url = "http://127.0.0.1:1"
        key = "{KEY}"
    """)
    source = f"""
from relay.app import start_logging
from relay.settings import load
from relay.logs import get_logger
start_logging(load())
get_logger("relay.test").info("received {TOKEN}", message="old-{TOKEN} and {KEY}", nested={{"a": ["{KEY}"]}})
"""
    done = run_program(source, RELAY_SETTINGS=str(settings))
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert (line["event"], line["message"], line["nested"]) == (
        "received [secret]",
        "[secret] and [secret]",
        {"a": ["[secret]"]},
    )


# --- the webhook's path ---------------------------------------------------------------------------


async def test_the_webhook_has_the_path_of_the_settings_and_no_other(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, cloudtalk={"webhook_path": "/in/calls"})
    async with in_process_relay(settings) as (_, client):
        for path in ("/in/calls", "/in/calls/", "/in/calls/call.started"):
            assert (await client.post(path, json=STARTED)).json()["id"] == "cloudtalk-1"
        for path in (WEBHOOK_PATH, "/in", "/in/callsigns", "/"):
            assert (await client.post(path, json=STARTED)).status_code == 404
        assert (await client.get("/healthz")).status_code == 200


# --- several processes ----------------------------------------------------------------------------


async def test_a_process_that_accepts_only_stores_and_wakes_the_one_that_delivers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe, wake_ups = WakeUpPipe(), list[str]()
    monkeypatch.setattr(pipe, "wake", lambda: wake_ups.append("wake"))
    settings = settings_in(tmp_path, destinations={"crm": local(tmp_path / "crm.db")})
    async with in_process_relay(settings, Role.INGEST, pipe) as (relay, client):
        assert relay.delivery is None
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.post(WEBHOOK_PATH, json=STARTED)).status_code == 200
        assert wake_ups == ["wake"]
        assert await relay.ledger.read(destinations.list_all) == []
        assert await relay.ledger.read(lambda c: leases.list_held(c, now=relay.ledger.now())) == []


async def test_a_process_that_delivers_folds_what_another_one_accepted(tmp_path: Path) -> None:
    pipe = WakeUpPipe()
    settings = settings_in(tmp_path, destinations={"crm": local(tmp_path / "crm.db")})
    delivering = Relay(settings, Role.DELIVERY, pipe=pipe)
    assert delivering.ingest is None
    async with delivering.lifecycle.running(), in_process_relay(settings, Role.INGEST, pipe) as (_, client):
        await client.post(WEBHOOK_PATH, json=STARTED)
        await wait_for_status(delivering, settings, lambda status: status["crm"].delivered == 1)
    assert list(crm_rows(tmp_path / "crm.db")) == ["cloudtalk-1"]


# --- several destinations -------------------------------------------------------------------------


async def test_every_destination_receives_every_call(tmp_path: Path) -> None:
    crms = {name: local(tmp_path / f"{name}.db") for name in ("one", "two")}
    settings = settings_in(tmp_path, destinations=crms)
    async with in_process_relay(settings) as (relay, client):
        await client.post(WEBHOOK_PATH, json=STARTED)
        await wait_for_status(relay, settings, lambda status: all(d.delivered == 1 for d in status.values()))
    assert [list(crm_rows(tmp_path / f"{name}.db")) for name in crms] == [["cloudtalk-1"]] * 2


async def test_calls_of_a_disabled_destination_are_pending_until_it_is_enabled(tmp_path: Path) -> None:
    crms = {"on": local(tmp_path / "on.db"), "off": local(tmp_path / "off.db", enabled=False)}
    settings = settings_in(tmp_path, destinations=crms)
    async with in_process_relay(settings) as (relay, client):
        await client.post(WEBHOOK_PATH, json=STARTED)
        status = await wait_for_status(relay, settings, lambda status: status["on"].delivered == 1)
    assert (status["off"].state, status["off"].pending, status["off"].delivered) == (
        "disabled",
        1,
        0,
    )
    assert not (tmp_path / "off.db").exists()

    settings = settings_in(tmp_path, destinations=crms | {"off": local(tmp_path / "off.db")})
    async with in_process_relay(settings) as (relay, _):
        await wait_for_status(relay, settings, lambda status: status["off"].delivered == 1)
    assert list(crm_rows(tmp_path / "off.db")) == ["cloudtalk-1"]


async def test_a_new_destination_receives_only_later_calls(tmp_path: Path) -> None:
    crms = {"old": local(tmp_path / "old.db")}
    settings = settings_in(tmp_path, destinations=crms)
    async with in_process_relay(settings) as (relay, client):
        await client.post(WEBHOOK_PATH, json=STARTED)
        await wait_for_status(relay, settings, lambda status: status["old"].delivered == 1)

    settings = settings_in(tmp_path, destinations=crms | {"new": local(tmp_path / "new.db")})
    async with in_process_relay(settings) as (relay, client):
        await client.post(WEBHOOK_PATH, json={"event": "call.started", "data": {"id": "2"}})
        status = await wait_for_status(relay, settings, lambda status: status["old"].delivered == 2)
        await wait_for_status(relay, settings, lambda status: status["new"].delivered == 1)
    assert status["new"].pending + status["new"].delivered == 1
    assert list(crm_rows(tmp_path / "new.db")) == ["cloudtalk-2"]


async def test_a_destination_that_fails_does_not_delay_another(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    crms = {"broken": local(tmp_path / "file" / "crm.db"), "good": local(tmp_path / "good.db")}
    settings = settings_in(tmp_path, destinations=crms)
    async with in_process_relay(settings) as (relay, client):
        for number in range(20):
            await client.post(WEBHOOK_PATH, json={"event": "call.started", "data": {"id": f"{number}"}})
        status = await wait_for_status(relay, settings, lambda status: status["good"].delivered == 20)
        assert (status["broken"].pending, status["broken"].dead) == (20, 0)


async def test_a_destination_that_does_not_respond_does_not_delay_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crms = {name: local(tmp_path / f"{name}.db", concurrency=1) for name in ("hanging", "good")}
    settings = settings_in(tmp_path, destinations=crms)
    requested = asyncio.Event()

    async def hang(_: Sequence[Push]) -> list[Outcome]:
        requested.set()
        await asyncio.Event().wait()
        return []

    async with in_process_relay(settings) as (relay, client):
        # The push under way never ends: the stop need not wait for it.
        monkeypatch.setattr(delivery_of(relay).workers["hanging"], "_finish_seconds", 0.05)
        monkeypatch.setattr(delivery_of(relay).clients["hanging"], "upsert", hang)
        for number in range(20):
            await client.post(WEBHOOK_PATH, json={"event": "call.started", "data": {"id": f"{number}"}})
        status = await wait_for_status(relay, settings, lambda status: status["good"].delivered == 20)
        await asyncio.wait_for(requested.wait(), 5)
    assert (status["hanging"].pending, status["hanging"].delivered) == (20, 0)
