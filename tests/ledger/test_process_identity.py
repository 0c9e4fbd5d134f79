"""A process and a later one with the same process id have different identities."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from relay.ledger import process_identity
from relay.ledger.process_identity import is_gone, owner_name

ODD_NAME = """
open("/proc/self/comm", "w").write("a) R (b ")
print(flush=True)
input()
"""


def _own_parts() -> tuple[str, str, str]:
    host, pid, started = owner_name().rsplit("/", 2)
    return host, pid, started


def test_this_process_is_not_gone() -> None:
    assert owner_name() == owner_name()
    assert not is_gone(owner_name())


def test_a_process_of_another_host_is_never_known_to_be_gone() -> None:
    _, pid, started = _own_parts()
    assert not is_gone(f"elsewhere/{pid}/{started}")
    assert not is_gone("elsewhere/4194304/1")


def test_a_later_process_with_the_same_id_is_another_one() -> None:
    host, pid, started = _own_parts()
    assert is_gone(f"{host}/{pid}/{int(started) - 1}")


def test_the_name_of_a_host_may_contain_a_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "odd/host")
    assert not is_gone(owner_name())


def test_the_start_is_found_whatever_the_name_of_the_command() -> None:
    command = [sys.executable, "-S", "-E", "-c", ODD_NAME]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 - ours
        assert process.stdout is not None
        process.stdout.readline()
        ticks = int(process_identity._start_of(process.pid))
        process.kill()
    assert ticks >= int(_own_parts()[2])


def test_a_process_that_ends_during_the_check_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def vanish(_: Path) -> str:
        raise ProcessLookupError  # Linux does so if the process ends after the file was opened

    process = subprocess.Popen([sys.executable, "-S", "-E", "-c", ""])
    process.wait()
    owner = f"{_own_parts()[0]}/{process.pid}/1"
    monkeypatch.setattr(Path, "read_text", vanish)
    assert is_gone(owner)


@pytest.fixture
def no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a system without /proc."""

    def missing(_: Path) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)


@pytest.mark.usefixtures("no_proc")
def test_without_proc_only_processes_that_do_not_exist_are_gone() -> None:
    host = _own_parts()[0]
    process = subprocess.Popen([sys.executable, "-S", "-E", "-c", ""])
    process.wait()
    assert not is_gone(owner_name())
    assert is_gone(f"{host}/{process.pid}/unknown")


@pytest.mark.usefixtures("no_proc")
def test_without_proc_a_process_of_another_user_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_pid: int, _signal: int) -> None:
        raise PermissionError

    owner = owner_name()
    monkeypatch.setattr(os, "kill", forbidden)
    assert not is_gone(owner)
