"""`relay demo` as a person meets it: it ends by itself or by Ctrl-C, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]  # it bears no types, and little of it is used
import pytest

from tests.support.relay import HOOK


@contextmanager
def demo(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The real program; its scratch folder lies in this one."""
    # A relay of the caller's own must not be touched: what is set for it leads nowhere.
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
        end(process)


def end(process: subprocess.Popen[str]) -> None:
    """What a failed test left running, too: the relay lies in a session of its own."""
    left = psutil.Process(process.pid).children() if process.poll() is None else []
    for each in (process, *left):
        each.kill()
    process.communicate()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """What it says, up to the line with these words; its end, where it never says them, fails the test."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(said)


def relay_of(process: subprocess.Popen[str]) -> psutil.Process:
    (child,) = psutil.Process(process.pid).children()
    return child


def test_once_prints_the_crms_records_and_ends_with_0(tmp_path: Path) -> None:
    with demo(tmp_path, "--once") as process:
        said, complaints = process.communicate(timeout=20)
    assert (process.returncode, complaints) == (0, "")
    _, table, last = said.rsplit("\n\n", 2)
    heading, *records = table.splitlines()
    assert heading.split()[:3] == ["id", "direction", "status"]
    assert len(records) == 12
    for record in records:
        assert re.match(
            r"cloudtalk-sim-\S+ +(inbound|outbound) +(En Progreso|Completada|Perdida) +\+34\d{9} ", record
        )
    assert last.strip().endswith("12 records, each as it must be.")
    assert re.search(rf"as read from {tmp_path}/relay-demo-\w+/crm\.db:", said)
    assert list(tmp_path.iterdir()) == []


def test_it_goes_on_until_ctrl_c_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        said = read_until(process, "with any SQLite tool")
        assert "each as it must be" in said
        (url,) = re.findall(r"A relay listens at (\S+);", said)
        example = re.search(r"curl (\S+) -H '([^']+)' -d '([^']+)'", said)
        assert example is not None
        assert example[1] == url + HOOK
        header = dict([example[2].split(": ")])
        assert httpx.post(example[1], content=example[3], headers=header, trust_env=False).is_success
        relay = relay_of(process)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert process.wait(10) == 130
        assert time.monotonic() - began < 5
    assert not relay.is_running()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_it_may_be_ended_in_the_midst_of_its_calls(tmp_path: Path, sent: signal.Signals) -> None:
    with demo(tmp_path) as process:
        read_until(process, "CloudTalk calls:")
        relay = relay_of(process)
        time.sleep(0.5)  # in the midst of its calls, and not while Python makes its event loop
        process.send_signal(sent)
        _, complaints = process.communicate(timeout=10)
    assert (process.returncode, complaints.strip()) == (130, "")
    assert not relay.is_running()
    assert list(tmp_path.iterdir()) == []
