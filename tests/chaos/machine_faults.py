"""Chaos runs in which the machine fails: disk, memory, clock, files of the ledger, log, connections, sizes.

Each runs one relay under load, and ends with the same comparison as the others.
"""

import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from importlib.metadata import distribution
from pathlib import Path
from typing import IO, Any, Final

import httpx
import msgspec
import psutil  # type: ignore[import-untyped]  # it has no types, and little of it is used
import psycopg

from relay.simulator import Message, SimulatedCall
from tests.chaos.load import SentCall
from tests.chaos.relays import read_status_mb
from tests.chaos.scenarios import Outcome, Run, finish, running
from tests.support.relay import WEBHOOK_PATH, RelayProcess, eventually, running_relay

_RATE: Final = 60.0
_DISK_NAME: Final = "relay-tests-"
"""The names of the file systems that runs mount begin with it; the process id of the run follows."""

_FAULT_SECONDS: Final = 3.0
_NOTICE_SECONDS: Final = 30.0
_DISK_MB: Final = 64
_HEADROOM_KB: Final = 96 * 1024
_IDLE_CONNECTIONS: Final = 1_000
_LARGE: Final = 900_000
_TOO_LARGE: Final = 1_100_000
_EDITS: Final = 30
_LARGE_CALLS: Final = 3


# --- disk -----------------------------------------------------------------------------------------


def disk_full(folder: Path, *, seed: int, rate: float = _RATE) -> Outcome:
    """Fill the disk of the ledger, and make room again."""
    with ExitStack() as stack:
        disk = folder / "disk"
        is_mounted = stack.enter_context(_small_disk(disk))
        run = stack.enter_context(running(folder, "sqlite", 1, rate=rate, seed=seed, ledger_folder=disk))
        run.wait(1, 1.5)
        if is_mounted:
            run.notes.append(f"the ledger was on a file system of {_DISK_MB} MB, which a file filled")
            fault = _filled(disk)
        else:
            run.notes.append("without root: RLIMIT_FSIZE did not let the WAL grow")
            fault = _file_size_limit(run, (disk / "relay.db-wal").stat().st_size)
        _break_and_repair(run, fault)
        return finish(run, "Disk full and back", "sqlite", seed)


def read_only(folder: Path, engine: str, *, seed: int, rate: float = _RATE) -> Outcome:
    """Let the ledger refuse every write, and take writes again."""
    with running(folder, engine, 1, rate=rate, seed=seed) as run:
        run.wait(1, 1.5)
        if run.database.server is not None:
            run.notes.append("the server was set to default_transaction_read_only, and closed its sessions")
            fault = _read_only_server(run.database.server)
        else:
            run.notes.append("RLIMIT_FSIZE of 0 let the relay read and write no file")
            fault = _file_size_limit(run, 0)
        _break_and_repair(run, fault)
        return finish(run, "Ledger read-only and back", engine, seed)


def _break_and_repair(run: Run, fault: Any) -> None:
    """Wait until the relay is not ready during the fault, and until it is ready after it."""
    (relay,) = run.relays
    with run.downtime():
        with fault:
            eventually(relay.is_ready, lambda ready: not ready, seconds=_NOTICE_SECONDS)
            time.sleep(_FAULT_SECONDS)
        eventually(relay.is_ready, bool, seconds=_NOTICE_SECONDS)
    run.wait(1, 1.5)


@contextmanager
def _small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small file system, if this user may."""
    folder.mkdir()
    _unmount_disks_of_killed_runs()
    name = f"{_DISK_NAME}{os.getpid()}"
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", name, str(folder)]
    is_mounted = os.geteuid() == 0 and not subprocess.run(mount, check=False).returncode  # noqa: S603
    try:
        yield is_mounted
    finally:
        if is_mounted:
            _unmount(str(folder), check=True)


def _unmount_disks_of_killed_runs() -> None:
    for disk in psutil.disk_partitions(all=True):
        if disk.device.startswith(_DISK_NAME) and not psutil.pid_exists(
            int(disk.device.removeprefix(_DISK_NAME))
        ):
            _unmount(disk.mountpoint, check=False)


def _unmount(folder: str, *, check: bool) -> None:
    subprocess.run(["umount", "--lazy", folder], check=check)  # noqa: S603, S607


@contextmanager
def _filled(folder: Path) -> Iterator[None]:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    yield
    filler.unlink()


@contextmanager
def _file_size_limit(run: Run, size: int) -> Iterator[None]:
    (relay,) = run.relays
    before = resource.prlimit(relay.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(relay.pid, resource.RLIMIT_FSIZE, (size, before[1]))
    yield
    resource.prlimit(relay.pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def _read_only_server(url: str) -> Iterator[None]:
    options = "-c default_transaction_read_only=off"
    with psycopg.connect(url, autocommit=True, options=options) as connection:
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        yield
        connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
        connection.execute("SELECT pg_reload_conf()")


# --- memory and sizes -----------------------------------------------------------------------------


def memory_limit(folder: Path, *, seed: int, rate: float = _RATE) -> Outcome:
    """Limit the address space to little more than an idle relay needs, and send large edits."""
    limit = _idle_address_space(folder / "idle") + _HEADROOM_KB
    limits = {"address_space_kb": limit}
    with running(folder, "sqlite", 1, rate=rate, seed=seed, limits=limits) as run:
        spare = _HEADROOM_KB // 1024
        run.notes.append(f"ulimit -v {limit}, {spare} MB more than an idle relay; with large edits")
        _send_large_edits(run)
        return finish(run, "Memory limit", "sqlite", seed)


def _idle_address_space(folder: Path) -> int:
    folder.mkdir()
    with running_relay(folder, "[server]\nport = 0\n") as relay:
        return int(read_status_mb(relay.process.pid, "VmPeak") * 1024)


def oversized_edits(folder: Path, *, seed: int, rate: float = _RATE) -> Outcome:
    """Send edits that are nearly as large as allowed, and edits that are larger."""
    with running(folder, "sqlite", 1, rate=rate, seed=seed) as run:
        refused = _send_large_edits(run)
        run.notes.append(
            f"{_EDITS} edits of {_LARGE:,} bytes, {refused} of {_TOO_LARGE:,} bytes were refused"
        )
        return finish(run, "Oversized edits", "sqlite", seed)


def _send_large_edits(run: Run) -> int:
    """Send edits of a few calls; return how many of those that were too large were refused."""
    calls = [f"large-{number}" for number in range(_LARGE_CALLS)]
    texts = [f"{number} ".ljust(_LARGE, "x") for number in range(_EDITS)]
    refused = 0
    with _client(run) as client:
        for id_ in calls:
            _send(run, client, "call.started", id=id_, direction="inbound", notes="")
        for number, text in enumerate(texts):
            _send(run, client, "call.modified", id=calls[number % len(calls)], notes=text)
        for id_ in calls:
            status = _send(run, client, "call.modified", id=id_, notes="x" * _TOO_LARGE)
            refused += status == httpx.codes.REQUEST_ENTITY_TOO_LARGE
        for number, id_ in enumerate(calls):
            _send(run, client, "call.modified", id=id_, notes=f"last {number}")
    for number, id_ in enumerate(calls):
        expected = {"call_id": id_, "status": "in_progress", "notes": f"last {number}"}
        run.extra_calls.append(SentCall(SimulatedCall((), expected)))
    return refused


def _client(run: Run) -> httpx.Client:
    (relay,) = run.relays
    headers = {"Content-Type": "application/json"}
    return httpx.Client(
        base_url=f"http://127.0.0.1:{relay.port}", headers=headers, trust_env=False, timeout=30
    )


def _send(run: Run, client: httpx.Client, event: str, **data: Any) -> int:
    """Send a message until the relay has it or refuses it for good; return the status."""
    message = Message({"event": event, "data": data})

    def post() -> int:
        try:
            return client.post(WEBHOOK_PATH, content=msgspec.json.encode(message.body)).status_code
        except httpx.HTTPError:
            return 0

    status = eventually(post, lambda found: found not in {0, 503}, seconds=_NOTICE_SECONDS)
    if status == httpx.codes.OK:
        run.extra_messages.append(message)
    return status


# --- clock ----------------------------------------------------------------------------------------


def clock_jumps(folder: Path, *, seed: int, rate: float = _RATE) -> Outcome:
    """Set the clock of the relay forward and back, while it runs and before it starts."""
    clock = folder / "clock"
    clock.write_text("+0\n")
    environment = {
        "LD_PRELOAD": _find_libfaketime(),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "NO_FAKE_STAT": "1",
        # Otherwise libfaketime lets waits for the lock of the interpreter take too long.
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        "DONT_FAKE_MONOTONIC": "1",
        # Longer than all jumps: a jump must not end the wait of an event for its call's other id.
        "RELAY__CLOUDTALK__GRACE_SECONDS": str(1_000 * 86_400),
    }
    with running(folder, "sqlite", 1, rate=rate, seed=seed, environment=environment) as run:
        (relay,) = run.relays
        for offset, restart in (("+2d", False), ("-3h", False), ("+800d", True), ("+0", True)):
            run.wait(1.5, 2)
            clock.write_text(f"{offset}\n")
            run.notes.append(f"clock {offset}{', then a restart' if restart else ''}")
            if restart:
                run.stop(relay)
        run.wait(1, 2)
        return finish(run, "Clock jumps", "sqlite", seed)


def _find_libfaketime() -> str:
    files = distribution("libfaketime").files or []
    return next(str(file.locate()) for file in files if file.name.startswith("libfaketime.so"))


# --- files of the ledger --------------------------------------------------------------------------


def ledger_removed(folder: Path, *, seed: int, rate: float = _RATE) -> Outcome:
    """Rename the ledger and put it back; remove its WAL and restart the relay."""
    with running(folder, "sqlite", 1, rate=rate, seed=seed) as run:
        (relay,) = run.relays
        run.wait(1, 1.5)
        _break_and_repair(run, _renamed(folder / "relay.db"))
        (folder / "relay.db-wal").unlink()
        eventually(relay.is_ready, lambda ready: not ready, seconds=_NOTICE_SECONDS)
        run.stop(relay)
        run.notes.append("the ledger was renamed and put back; its WAL was removed, then a restart")
        run.wait(1, 1.5)
        return finish(run, "Ledger removed", "sqlite", seed)


@contextmanager
def _renamed(path: Path) -> Iterator[None]:
    path.rename(path.with_name("away.db"))
    yield
    path.with_name("away.db").rename(path)


def ledger_corrupted(folder: Path, *, seed: int, rate: float = _RATE) -> Outcome:
    """Flip bits in the ledger while the relay is stopped, start the relay with it, and restore a copy."""
    ledger, copy = folder / "relay.db", folder / "copy.db"
    with running(folder, "sqlite", 1, rate=rate, seed=seed) as run:
        (relay,) = run.relays
        run.wait(1.5, 2)
        with run.downtime():
            relay.stop()
            copy.write_bytes(ledger.read_bytes())
            _flip_bits(run, ledger)
            relay.start()
            before = run.load.acknowledged
            time.sleep(_FAULT_SECONDS)
            assert not relay.is_ready()
            assert run.load.acknowledged == before, "events were acknowledged with a damaged ledger"
            relay.stop()
            relay.command("ledger", "restore", str(copy))
            relay.start()
        run.notes.append("bits of each page were flipped while the relay was stopped; a copy was restored")
        run.wait(1, 1.5)
        return finish(run, "Ledger corrupted", "sqlite", seed)


def _flip_bits(run: Run, path: Path) -> None:
    content = bytearray(path.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page + run.random.randrange(8)] ^= 1 << run.random.randrange(8)
    path.write_bytes(content)


def ledger_restored(folder: Path, *, seed: int, rate: float = _RATE) -> Outcome:
    """Restore a backup that is older than the CRM, and send again what came after it."""
    backup = folder / "backup.db"
    with running(folder, "sqlite", 1, rate=rate, seed=seed) as run:
        (relay,) = run.relays
        run.wait(1.5, 2)
        with run.load.paused():
            relay.command("ledger", "backup", str(backup))
            received = len(run.load.messages)
        run.wait(2, 3)
        with run.downtime(), run.load.paused():
            later = run.load.messages[received:]
            relay.stop()
            relay.command("ledger", "restore", str(backup))
            relay.start()
            _resend(run, later)
        run.notes.append(f"{len(later)} messages came after the backup and were sent again")
        run.wait(1, 1.5)
        return finish(run, "Ledger restored", "sqlite", seed)


def _resend(run: Run, messages: Sequence[Message]) -> None:
    with _client(run) as client:
        for message in messages:
            query = f"?{message.query}" if message.query else ""
            url = f"{WEBHOOK_PATH}{message.path}{query}"
            client.post(url, content=msgspec.json.encode(message.body)).raise_for_status()


# --- log and connections --------------------------------------------------------------------------


class _RelayWithReader(RelayProcess):
    """A relay whose log goes through a pipe to a program that can be stopped."""

    reader: subprocess.Popen[bytes]

    def _open_output(self) -> IO[bytes]:
        with self.log_path.open("ab") as log:
            type(self).reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=log)  # noqa: S607
        assert self.reader.stdin is not None
        return self.reader.stdin


def stuck_stdout(folder: Path, *, seed: int, rate: float = _RATE) -> Outcome:
    """Stop the program that reads the log of the relay, and let it continue."""
    with running(folder, "sqlite", 1, rate=rate, seed=seed, process=_RelayWithReader) as run:
        (relay,) = run.relays
        run.wait(1, 1.5)
        _RelayWithReader.reader.send_signal(signal.SIGSTOP)
        before = run.load.acknowledged
        time.sleep(2 * _FAULT_SECONDS)
        assert relay.is_ready()
        received = run.load.acknowledged - before
        _RelayWithReader.reader.send_signal(signal.SIGCONT)
        run.notes.append(f"{received} events were acknowledged while nobody read the log")
        run.wait(1, 1.5)
        return finish(run, "Stuck stdout", "sqlite", seed)


def idle_connections(folder: Path, *, seed: int, rate: float = _RATE) -> Outcome:
    """Open a thousand connections, half of them with an unfinished head, and keep them."""
    with running(folder, "sqlite", 1, rate=rate, seed=seed) as run, ExitStack() as stack:
        (relay,) = run.relays
        _raise_open_files()
        run.wait(1, 1.5)
        for number in range(_IDLE_CONNECTIONS):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", relay.port), timeout=10))
            if number % 2:
                line.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\n")
        assert relay.is_ready()
        run.notes.append(f"{_IDLE_CONNECTIONS} connections, half of them with an unfinished head")
        run.wait(3, 4)
        return finish(run, "1 000 idle connections", "sqlite", seed)


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _IDLE_CONNECTIONS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


SCENARIOS: Final[dict[str, Callable[..., Outcome]]] = {
    "disk-full": disk_full,
    "read-only-sqlite": partial(read_only, engine="sqlite"),
    "read-only-postgresql": partial(read_only, engine="postgresql"),
    "memory-limit": memory_limit,
    "clock": clock_jumps,
    "removed": ledger_removed,
    "corrupted": ledger_corrupted,
    "restored": ledger_restored,
    "stdout": stuck_stdout,
    "connections": idle_connections,
    "oversized": oversized_edits,
}
"""By the name that `make chaos ARGS="--faults NAME"` knows."""
