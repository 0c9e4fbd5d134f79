"""The assembly: what the parts of one process are together, and that a server may ask for it by name."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from crm_clients.base import Outcome, Push
from crm_clients.local import LocalSettings
from relay import app
from relay.app import Relay
from relay.cli.queries import status_view
from relay.settings import Settings, SettingsError
from tests.support.in_process import in_process_relay, settings_in
from tests.support.postgrest import free_port
from tests.support.relay import HOOK, crm_rows, eventually

STARTED = {"event": "call.started", "data": {"id": "1", "direction": "inbound"}}
TOKEN = "open-sesame"
KEY = "sb_secret_0123456789"


def local(path: Path, **changes: Any) -> LocalSettings:
    return LocalSettings(client="local", path=path, **changes)


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process of ours, without what would change its settings."""
    return {key: value for key, value in os.environ.items() if not key.startswith("RELAY_")} | changes


def script(source: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """What a fresh interpreter makes of this."""
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", source],
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


async def standing(
    relay: Relay, settings: Settings, holds: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """How each destination stands, once it holds; within a few seconds or not at all."""
    enabled = {name: destination.enabled for name, destination in settings.destinations.items()}
    async with asyncio.timeout(5):
        while True:
            view = await relay.ledger.read(lambda c: status_view(c, enabled, now=relay.ledger.now()))
            found = {destination["name"]: destination for destination in view["destinations"]}
            if holds(found):
                return found
            await asyncio.sleep(0.01)


# --- by name, for a server ------------------------------------------------------------------------


@contextmanager
def uvicorn(settings: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port)]
    with settings.with_name("uvicorn.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own server
            command, env=environment(RELAY_SETTINGS=str(settings)), stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_uvicorn_serves_the_settings_that_the_environment_names(tmp_path: Path) -> None:
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
        answer = httpx.post(url + HOOK, json=STARTED, trust_env=False)
        assert answer.json()["success"] is True
        eventually(lambda: crm_rows(tmp_path / "crm.db"), lambda rows: list(rows) == ["cloudtalk-1"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) in {0, -signal.SIGTERM}  # uvicorn passes the signal on once it has stopped
    lines = [json.loads(line) for line in (tmp_path / "uvicorn.log").read_text().splitlines()]
    assert "CloudTalk Webhook Event: call.started" in [line["event"] for line in lines]
    assert {line["level"] for line in lines} == {"info"}


def test_importing_the_module_reads_no_settings() -> None:
    done = script(
        "from relay import app; print(app.create_app.__name__)", RELAY_SETTINGS="/nowhere/settings.toml"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "create_app\n", "")


def test_asking_for_the_application_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_SETTINGS", "/nowhere/settings.toml")
    with pytest.raises(SettingsError, match=r"/nowhere/settings\.toml"):
        _ = app.app


def test_it_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="application"):
        _ = app.application


def test_no_secret_of_the_settings_stands_in_a_log_line(tmp_path: Path) -> None:
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
get_logger("relay.test").info("it said {TOKEN}", message="old-{TOKEN} and {KEY}", nested={{"a": ["{KEY}"]}})
"""
    done = script(source, RELAY_SETTINGS=str(settings))
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert (line["event"], line["message"], line["nested"]) == (
        "it said [secret]",
        "[secret] and [secret]",
        {"a": ["[secret]"]},
    )


# --- the hook's path ------------------------------------------------------------------------------


async def test_the_hook_stands_where_the_settings_say_and_nowhere_else(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, cloudtalk={"webhook_path": "/in/calls"})
    async with in_process_relay(settings) as (_, client):
        for path in ("/in/calls", "/in/calls/", "/in/calls/call.started"):
            assert (await client.post(path, json=STARTED)).json()["id"] == "cloudtalk-1"
        for path in (HOOK, "/in", "/in/callsigns", "/"):
            assert (await client.post(path, json=STARTED)).status_code == 404
        assert (await client.get("/healthz")).status_code == 200


# --- several destinations -------------------------------------------------------------------------


async def test_every_destination_gets_every_call(tmp_path: Path) -> None:
    crms = {name: local(tmp_path / f"{name}.db") for name in ("one", "two")}
    settings = settings_in(tmp_path, destinations=crms)
    async with in_process_relay(settings) as (relay, client):
        await client.post(HOOK, json=STARTED)
        await standing(relay, settings, lambda found: all(d["delivered"] == 1 for d in found.values()))
    assert [list(crm_rows(tmp_path / f"{name}.db")) for name in crms] == [["cloudtalk-1"]] * 2


async def test_a_disabled_destination_is_owed_calls_and_gets_none_until_it_is_enabled(tmp_path: Path) -> None:
    crms = {"on": local(tmp_path / "on.db"), "off": local(tmp_path / "off.db", enabled=False)}
    settings = settings_in(tmp_path, destinations=crms)
    async with in_process_relay(settings) as (relay, client):
        await client.post(HOOK, json=STARTED)
        found = await standing(relay, settings, lambda found: found["on"]["delivered"] == 1)
    assert (found["off"]["state"], found["off"]["pending"], found["off"]["delivered"]) == ("disabled", 1, 0)
    assert not (tmp_path / "off.db").exists()

    settings = settings_in(tmp_path, destinations=crms | {"off": local(tmp_path / "off.db")})
    async with in_process_relay(settings) as (relay, _):
        await standing(relay, settings, lambda found: found["off"]["delivered"] == 1)
    assert list(crm_rows(tmp_path / "off.db")) == ["cloudtalk-1"]


async def test_a_new_destination_is_owed_what_comes_from_then_on(tmp_path: Path) -> None:
    crms = {"old": local(tmp_path / "old.db")}
    settings = settings_in(tmp_path, destinations=crms)
    async with in_process_relay(settings) as (relay, client):
        await client.post(HOOK, json=STARTED)
        await standing(relay, settings, lambda found: found["old"]["delivered"] == 1)

    settings = settings_in(tmp_path, destinations=crms | {"new": local(tmp_path / "new.db")})
    async with in_process_relay(settings) as (relay, client):
        await client.post(HOOK, json={"event": "call.started", "data": {"id": "2"}})
        found = await standing(relay, settings, lambda found: found["old"]["delivered"] == 2)
        await standing(relay, settings, lambda found: found["new"]["delivered"] == 1)
    assert found["new"]["pending"] + found["new"]["delivered"] == 1
    assert list(crm_rows(tmp_path / "new.db")) == ["cloudtalk-2"]


async def test_a_destination_that_fails_does_not_delay_another(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    crms = {"broken": local(tmp_path / "file" / "crm.db"), "good": local(tmp_path / "good.db")}
    settings = settings_in(tmp_path, destinations=crms)
    async with in_process_relay(settings) as (relay, client):
        for number in range(20):
            await client.post(HOOK, json={"event": "call.started", "data": {"id": f"{number}"}})
        found = await standing(relay, settings, lambda found: found["good"]["delivered"] == 20)
        assert (found["broken"]["pending"], found["broken"]["dead"]) == (20, 0)


async def test_a_destination_that_does_not_answer_does_not_delay_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crms = {name: local(tmp_path / f"{name}.db", concurrency=1) for name in ("hanging", "good")}
    settings = settings_in(tmp_path, destinations=crms)
    asked = asyncio.Event()

    async def hang(_: Sequence[Push]) -> list[Outcome]:
        asked.set()
        await asyncio.Event().wait()
        return []

    async with in_process_relay(settings) as (relay, client):
        # The push under way never ends: the stop need not wait for it.
        monkeypatch.setattr(relay.delivery_workers["hanging"], "_finish_seconds", 0.05)
        monkeypatch.setattr(relay.clients["hanging"], "upsert", hang)
        for number in range(20):
            await client.post(HOOK, json={"event": "call.started", "data": {"id": f"{number}"}})
        found = await standing(relay, settings, lambda found: found["good"]["delivered"] == 20)
        await asyncio.wait_for(asked.wait(), 5)
    assert (found["hanging"]["pending"], found["hanging"]["delivered"]) == (20, 0)


# --- starting and stopping ------------------------------------------------------------------------


async def test_it_takes_events_only_between_start_and_stop(tmp_path: Path) -> None:
    relay = Relay(settings_in(tmp_path))
    assert not relay.lifecycle.is_serving
    async with relay.lifecycle.running():
        assert relay.lifecycle.is_serving
    assert not relay.lifecycle.is_serving  # type: ignore[unreachable] # mypy cannot see that the block ends it


async def test_stopping_lets_go_of_every_client_and_of_the_leases(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, destinations={"crm": local(tmp_path / "crm.db")})
    for _ in range(2):  # the second takes over at once, or the time-out of `standing` ends it
        async with in_process_relay(settings) as (relay, client):
            await client.post(HOOK, json=STARTED)
            await standing(relay, settings, lambda found: found["crm"]["delivered"] == 1)
            client_of_crm: Any = relay.clients["crm"]
        with pytest.raises(RuntimeError, match="after shutdown"):
            await client_of_crm.check()


async def test_a_push_under_way_ends_while_the_last_requests_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()
    settings = settings_in(tmp_path, destinations={"crm": local(tmp_path / "crm.db")})
    async with in_process_relay(settings) as (relay, client):
        crm: Any = relay.clients["crm"]
        upsert = crm.upsert

        async def slow(pushes: Sequence[Push]) -> list[Outcome]:
            asked.set()
            await may_answer.wait()
            return list(await upsert(pushes))

        monkeypatch.setattr(crm, "upsert", slow)
        await client.post(HOOK, json=STARTED)
        await asyncio.wait_for(asked.wait(), 5)
        relay.lifecycle.stop_delivering()
        asyncio.get_running_loop().call_later(0.1, may_answer.set)
    assert len(crm_rows(tmp_path / "crm.db")) == 1
    async with in_process_relay(settings) as (relay, _):
        found = await standing(relay, settings, lambda _: True)
    assert found["crm"]["delivered"] == 1, "the second word to stop did not cut it off"
