"""A process is told apart from a later one with the same number."""

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


def _parts() -> tuple[str, str, str]:
    host, pid, started = owner_name().rsplit("/", 2)
    return host, pid, started


def test_this_process_is_not_gone() -> None:
    assert owner_name() == owner_name()
    assert not is_gone(owner_name())


def test_a_process_of_another_host_is_never_known_to_be_gone() -> None:
    _, pid, started = _parts()
    assert not is_gone(f"elsewhere/{pid}/{started}")
    assert not is_gone("elsewhere/4194304/1")


def test_a_later_process_with_the_same_number_is_another() -> None:
    host, pid, started = _parts()
    assert is_gone(f"{host}/{pid}/{int(started) - 1}")


def test_a_host_may_bear_a_slash_in_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "odd/host")
    assert not is_gone(owner_name())


def test_a_command_of_any_name_hides_no_start() -> None:
    command = [sys.executable, "-S", "-E", "-c", ODD_NAME]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 - ours
        assert process.stdout is not None
        process.stdout.readline()
        ticks = int(process_identity._start_of(process.pid))
        process.kill()
    assert ticks >= int(_parts()[2])


def test_a_process_that_ends_while_it_is_looked_at_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def vanish(_: Path) -> str:
        raise ProcessLookupError  # what Linux says where the entry is open and the process ends

    process = subprocess.Popen([sys.executable, "-S", "-E", "-c", ""])
    process.wait()
    owner = f"{_parts()[0]}/{process.pid}/1"
    monkeypatch.setattr(Path, "read_text", vanish)
    assert is_gone(owner)


@pytest.fixture
def no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a system without /proc."""

    def missing(_: Path) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)


@pytest.mark.usefixtures("no_proc")
def test_without_proc_the_living_are_not_gone_and_the_dead_are() -> None:
    host = _parts()[0]
    process = subprocess.Popen([sys.executable, "-S", "-E", "-c", ""])
    process.wait()
    assert not is_gone(owner_name())
    assert is_gone(f"{host}/{process.pid}/unknown")


@pytest.mark.usefixtures("no_proc")
def test_without_proc_a_process_of_another_user_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_pid: int, _signal: int) -> None:
        raise PermissionError

    owner = owner_name()
    monkeypatch.setattr(os, "kill", forbidden)
    assert not is_gone(owner)
