"""`relay check --send` against a real relay: the test call reaches each CRM, and never stays in one."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from relay.operations.test_call import CallTest, State
from relay.settings import load
from tests.support.home import LOCAL, Home
from tests.support.patience import PATIENCE
from tests.support.relay import RelayProcess, crm_rows, eventually, running_relay
from tests.support.servers import ThreadedServer, free_port

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN = "kq8Xw2Lr0vNf7sYb5tGh3mJd"


def settings_text(*destinations: str) -> str:
    return f'[server]\nport = {free_port()}\n[cloudtalk]\ntokens = ["{TOKEN}"]\n' + "\n".join(destinations)


class SlowReceiver(ThreadedServer):
    """A webhook that accepts nothing until `released` is set."""

    def __init__(self) -> None:
        async def respond(_: Scope, receive: Receive, send: Send) -> None:
            await receive()
            status = 204 if self.released.is_set() else 503
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        super().__init__(respond, "slow-receiver")
        self.released = threading.Event()

    @property
    def settings(self) -> str:
        keys = f'client = "webhook"\nurl = "{self.url}"\nsecret = "{SECRET}"\nallow_private = true'
        return f"[destinations.slow]\n{keys}\n"


@pytest.fixture
def slow() -> Iterator[SlowReceiver]:
    receiver = SlowReceiver()
    receiver.start()
    yield receiver
    receiver.stop()


@contextmanager
def sending(relay: RelayProcess) -> Iterator[subprocess.Popen[str]]:
    """Run `check --send` in the background until it has delivered the call to the embedded CRM."""
    settings = str(relay.folder / "settings.toml")
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "relay", "--settings", settings, "check", "--send"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(lambda: crm_rows(relay.folder / "crm.db"), bool)
        yield process
    finally:
        process.kill()
        process.communicate()


def calls_of(relay: RelayProcess) -> Any:
    return json.loads(relay.command("calls", "list", "--json").stdout)


def send(relay: RelayProcess) -> tuple[int, dict[tuple[str, str], bool]]:
    """Run the command; return its exit code and whether each finding of the test call is ok."""
    result = relay.command("check", "--send", "--json")
    assert result.stderr == ""
    findings = json.loads(result.stdout)
    assert {tuple(finding) for finding in findings} == {("name", "ok", "code", "problem", "hint")}
    found = {(each["name"], each["code"]): each["ok"] for each in findings}
    return result.returncode, {key: ok for key, ok in found.items() if str(key[1]).startswith("test_")}


def test_the_call_is_delivered_to_each_crm_and_removed_again(tmp_path: Path) -> None:
    outbound = LOCAL.replace("crm", "out") + 'when = {directions = ["outbound"]}\n'
    with running_relay(tmp_path, settings_text(LOCAL, outbound)) as relay:
        assert send(relay) == (
            0,
            {
                ("test_call", "test_accepted"): True,
                ("test_call", "test_folded"): True,
                ("crm", "test_delivered"): True,
                ("out", "test_filtered"): True,
                ("crm", "test_removed"): True,
                ("test_call", "test_removed"): True,
            },
        )
        assert (crm_rows(tmp_path / "crm.db"), calls_of(relay)) == ({}, [])
        shown = relay.command("check", "--send")
    events = [line["event"] for line in relay.log_lines()]
    assert events.count("CloudTalk Webhook Event: call.started") == 2
    assert shown.returncode == 0
    lines = shown.stdout.partition("test call\n")[2].splitlines()
    assert lines[1] == "ok       the call is in the ledger, started and ended"
    delivered, filtered = sorted(lines[2:4])  # as each becomes known
    assert delivered.startswith("ok       crm: delivered after ")
    assert filtered.startswith("warning  out: not sent: destinations.out.when excludes this call")
    assert lines[-1] == "ok       the test call is removed from the ledger"


def test_ctrl_c_removes_the_call_first(tmp_path: Path, slow: SlowReceiver) -> None:
    with running_relay(tmp_path, settings_text(LOCAL, slow.settings)) as relay, sending(relay) as process:
        slow.released.set()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert (crm_rows(tmp_path / "crm.db"), calls_of(relay)) == ({}, [])


def test_the_next_run_removes_what_a_killed_one_left(tmp_path: Path, slow: SlowReceiver) -> None:
    with running_relay(tmp_path, settings_text(LOCAL, slow.settings)) as relay:
        with sending(relay) as process:
            process.kill()
        (left,) = calls_of(relay)
        assert left["id"].startswith("cloudtalk-relay-test-")
        slow.released.set()
        code, findings = send(relay)
        assert (code, findings["slow", "test_delivered"]) == (0, True)
        assert (crm_rows(tmp_path / "crm.db"), calls_of(relay)) == ({}, [])


def test_without_a_relay_the_command_says_so_and_creates_nothing(home: Home) -> None:
    home.write_settings(f"[server]\nport = {free_port()}\n{LOCAL}")
    findings = json.loads(home.run("check", "--send", "--json").stdout)
    assert (findings[-1]["name"], findings[-1]["ok"], findings[-1]["code"]) == (
        "test_call",
        False,
        "not_created",
    )
    assert findings[-1]["hint"] == "start the relay: `relay serve`"
    assert not (home.folder / "relay.db").exists()
    home.create_files()
    result = home.run("check", "--send")
    assert result.exit_code == 1
    assert "nothing answers at http://127.0.0.1:" in result.stdout


def test_a_relay_with_another_ledger_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    text = settings_text(LOCAL)
    with running_relay(tmp_path, text) as relay:
        home = Home(other)
        home.write_settings(text)
        home.create_files()
        test = CallTest(load(home.path), seconds=1)
        asyncio.run(test.run())
        (failed,) = [step.to_finding() for step in test.steps if step.state is State.FAILED]
        assert (test.is_good, failed.code) == (False, "other_ledger")
        (left,) = calls_of(relay)
        assert left["id"] in (failed.hint or "")
        assert send(relay)[0] == 0
        assert calls_of(relay) == []
