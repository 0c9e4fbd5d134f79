"""`relay demo`, as a process: it ends by itself or by Ctrl-C, and removes its files."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no types, and little of it is used
import pytest

from relay.cli.demo import handle_signals
from tests.support.patience import PATIENCE, http_client
from tests.support.relay import WEBHOOK_PATH, crm_rows, eventually


@contextmanager
def demo(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command; its temporary folder is created in `folder`."""
    # The command must ignore the environment of a relay that the user runs: these values would break it.
    environment = os.environ | {
        "TMPDIR": str(folder),
        "RELAY__SERVER__PORT": "1",
        "RELAY_SETTINGS": "/nowhere",
    }
    command = [sys.executable, "-m", "relay", "demo", *arguments]
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    """Kill also the relay, which is in a session of its own, if a failed test left it running."""
    children = psutil.Process(process.pid).children() if process.poll() is None else []
    for each in (process, *children):
        each.kill()
    process.communicate()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Read the output up to the line with this text. Fails if the output ends without it."""
    assert process.stdout is not None
    output = ""
    for line in process.stdout:
        output += line
        if text in line:
            return output
    raise AssertionError(output)


def relay_of(process: subprocess.Popen[str]) -> psutil.Process:
    (child,) = psutil.Process(process.pid).children()
    return child


def test_once_prints_the_records_of_the_crm_and_exits_with_0(tmp_path: Path) -> None:
    with demo(tmp_path, "--once") as process:
        output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    _, table, last = output.rsplit("\n\n", 2)
    heading, *records = table.splitlines()
    assert heading.split()[:3] == ["id", "direction", "status"]
    assert len(records) == 12
    for record in records:
        assert re.match(
            r"cloudtalk-sim-\S+ +(inbound|outbound) +(En Progreso|Completada|Perdida) +\+34\d{9} ", record
        )
    assert last.strip().endswith("12 records. All are as expected.")
    assert max(map(len, output.replace(str(tmp_path), "/tmp").splitlines())) <= 80  # noqa: S108 - as for users
    in_full = output.split("crm.db:\n\n")[1].split("\n\n")[0]
    assert {line.split()[0] for line in in_full.splitlines()} >= {"contact_name", "response_seconds", "to"}
    assert re.search(rf"as read from {tmp_path}/relay-demo-\w+/crm\.db:", output)
    assert list(tmp_path.iterdir()) == []


def test_it_runs_until_ctrl_c_and_removes_its_files(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        output = read_until(process, "with any SQLite tool")
        assert "All are as expected" in output
        (url,) = re.findall(r"The relay listens at (\S+)\. ", output)
        assert f"The console, to see the calls in a browser: {url}/console\n" in output
        example = re.search(r"curl (\S+) \\\n +-H '([^']+)' \\\n +-d '([^']+)'", output)
        assert example is not None
        assert example[1] == url + WEBHOOK_PATH
        header = dict([example[2].split(": ")])
        with http_client() as client:
            assert client.post(example[1], content=example[3], headers=header).is_success
        relay = relay_of(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    assert not relay.is_running()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_it_can_be_stopped_while_it_sends_events(tmp_path: Path, signal_number: signal.Signals) -> None:
    with demo(tmp_path) as process:
        read_until(process, "Sending the events")
        relay = relay_of(process)
        eventually(lambda: [crm_rows(path) for path in tmp_path.glob("*/crm.db")], any)
        process.send_signal(signal_number)
        _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors.strip()) == (130, "")
    assert not relay.is_running()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def _handlers() -> Iterator[None]:
    """Restore the signal handlers of this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts_no_request_but_cancels_it(signal_number: signal.Signals) -> None:
    ends: list[type[BaseException]] = []

    async def send() -> None:
        try:
            signal.raise_signal(signal_number)
            await asyncio.sleep(60)
        except BaseException as end:
            ends.append(type(end))
            raise

    async def send_all() -> None:
        async with asyncio.TaskGroup() as senders:
            senders.create_task(send())

    handle_signals()
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(send_all())
    assert ends == [asyncio.CancelledError]
