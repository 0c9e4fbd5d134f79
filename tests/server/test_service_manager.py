"""What a service manager passes to the relay, and the report that it is ready."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from relay.server import service_manager
from relay.server.service_manager import InheritedSocketError, notify_ready, take_socket
from tests.support.patience import PATIENCE
from tests.support.relay import RelayProcess

PASSED = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "relay.socket"}


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def pass_descriptor(patch: pytest.MonkeyPatch, passed: socket.socket) -> None:
    """Use a copy of this socket's descriptor in place of the number 3, which the tests need themselves."""
    patch.setattr(service_manager, "_FIRST_DESCRIPTOR", os.dup(passed.fileno()))


def test_a_listening_socket_is_taken_and_its_variables_are_removed(at: pytest.MonkeyPatch) -> None:
    environment = PASSED | {"OTHER": "1"}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        pass_descriptor(at, listening)
        taken = take_socket(environment)
        assert taken is not None
        with taken:
            assert taken.getsockname() == listening.getsockname()
            assert not taken.get_inheritable()
    assert environment == {"OTHER": "1"}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        PASSED | {"LISTEN_FDS": "0"},
        {"LISTEN_PID": str(os.getpid())},
    ],
    ids=["none", "of-another-process", "no-socket", "no-number"],
)
def test_without_a_socket_for_this_process_none_is_taken(environment: dict[str, str]) -> None:
    assert take_socket(environment) is None
    assert environment == {}


def test_more_than_one_socket_is_refused() -> None:
    with pytest.raises(InheritedSocketError, match="expected one socket, found 2"):
        take_socket(PASSED | {"LISTEN_FDS": "2"})


def test_what_is_no_listening_tcp_socket_is_refused(at: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "socket"))
    unix.listen()
    with unix, socket.socket() as connected:
        for passed in (unix, connected):
            pass_descriptor(at, passed)
            with pytest.raises(InheritedSocketError, match="expected a listening TCP socket"):
                take_socket(dict(PASSED))
    at.setattr(service_manager, "_FIRST_DESCRIPTOR", 1_000_000)
    with pytest.raises(InheritedSocketError, match="expected a listening TCP socket"):
        take_socket(dict(PASSED))


@pytest.mark.parametrize("is_abstract", [False, True])
def test_ready_is_reported_to_the_service_manager(
    at: pytest.MonkeyPatch, tmp_path: Path, *, is_abstract: bool
) -> None:
    name = f"relay-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}" if is_abstract else name)
        manager.settimeout(PATIENCE)
        at.setenv("NOTIFY_SOCKET", f"@{name}" if is_abstract else name)
        notify_ready()
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "vsock:2:1"])
def test_a_service_manager_that_cannot_be_reached_is_no_error(at: pytest.MonkeyPatch, address: str) -> None:
    at.setenv("NOTIFY_SOCKET", address)
    notify_ready()


def test_a_relay_without_tokens_refuses_a_socket_that_other_machines_reach(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("")
    with socket.create_server(("0.0.0.0", 0)) as listening:  # noqa: S104 - it is refused
        script = f'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@" 3<&{listening.fileno()}'
        line = ["bash", "-c", script, "bash", sys.executable, "-m", "relay", "serve"]
        done = subprocess.run(  # noqa: S603 - our own command
            line,
            cwd=tmp_path,
            pass_fds=[listening.fileno()],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 1
    assert "which other machines reach, but there is no token" in " ".join(done.stderr.split())


@pytest.mark.parametrize("workers", [1, 2])
def test_systemd_gets_ready_and_the_passed_socket_is_served(tmp_path: Path, workers: int) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        relay = RelayProcess(tmp_path, "", workers, NOTIFY_SOCKET=str(tmp_path / "notify"))
        relay.listening = listening
        try:
            relay.start()
            assert relay.url == f"http://127.0.0.1:{listening.getsockname()[1]}"
            assert manager.recv(100) == b"READY=1"
            assert relay.post({"event": "call.started", "data": {"id": "1"}}).status_code == 200
            (line,) = [each for each in relay.log_lines() if each["event"] == "server.socket_inherited"]
            assert relay.url.endswith(line["address"])
        finally:
            assert relay.stop() == 0
