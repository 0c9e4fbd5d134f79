"""`python -m bench.profile`: which stages hold a relay's interpreter lock, as samples of its stacks show it.

One thread has the lock at a time, so its shares say what limits the rate.

Needs py-spy on the PATH or in .venv (`.venv/bin/uv pip install --python .venv/bin/python py-spy`). It needs
the right to trace the relay: on Linux root, or `sysctl kernel.yama.ptrace_scope=0`.
"""

import argparse
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final

from bench.crms import EmbeddedCrm
from bench.environment import Environment
from bench.fill import filled_ledger
from bench.load import build_requests, generate_calls_now, run, send
from bench.result import BenchError
from bench.server import Server, serve
from relay.ledger.states import DeliveryState

_CONNECTIONS: Final = 64
_CALLS: Final = 4_000
_STEADY_CALLS: Final = 1_000
_STEADY_RATE: Final = 200.0
_BACKLOG_TIMES: Final = 27
_SAMPLES_PER_SECOND: Final = 250
_LONGEST_SECONDS: Final = "600"
_START_SECONDS: Final = 1.0
"""Within them py-spy ends if it may not trace the relay."""
_MICROSECONDS: Final = 1_000_000

_STAGES: Final = {
    "HTTP": ("uvicorn/", "relay/server/", "httptools/", "relay/ingest/responses.py"),
    "authenticate, limit, respond": ("relay/ingest/",),
    "parse": ("relay/cloudtalk/", "phonenumbers/"),
    "log": ("relay/logs/", "structlog/"),
    "append": ("relay/ledger/group_commit.py", "relay/ledger/journal/appending.py"),
    "join, record, plan of the fold": (
        "relay/call/",
        "relay/fold/changes.py",
        "relay/fold/matching.py",
        "relay/fold/versions.py",
    ),
    "fold: read and write": ("relay/fold/",),
    "deliver: client": ("crm_clients/", "httpx/", "httpcore/"),
    "deliver: take and settle": ("relay/delivery/",),
}
"""For each stage the beginnings of its paths. The innermost function of a stack that is in one decides. What
runs below it, such as SQLite, belongs to the stage that called it."""

_LEDGER: Final = "other transactions"
_OTHER: Final = "event loop and threads"
_PATH: Final = re.compile(r"\((\S+?)(?::\d+)?\)$")


def stage_of(stack: str) -> str:
    """Return the stage of a stack as py-spy writes it: frames from the outermost on, separated by `;`."""
    paths = [found[1] for frame in stack.split(";") if (found := _PATH.search(frame))]
    for path in reversed(paths):
        for stage, beginnings in _STAGES.items():
            if any(beginning in path for beginning in beginnings):
                return stage
    return _LEDGER if any("relay/ledger/" in path for path in paths) else _OTHER


def count_stages(stacks: str) -> Counter[str]:
    """Count the samples of each stage in the raw output of py-spy: lines of a stack and its samples."""
    samples: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, number = line.rpartition(" ")
        samples[stage_of(stack)] += int(number)
    return samples


# --- the loads ----------------------------------------------------------------------------------


def _accept(environment: Environment, sampler: "Sampler", *, folds: bool, rate: float | None = None) -> None:
    calls = generate_calls_now(_CALLS if rate is None else _STEADY_CALLS)
    requests = build_requests(calls)
    with (
        environment.sqlite.ledger() as ledger,
        nullcontext() if folds else ledger.fold_held(),
        serve(ledger.folder, ledger.url, EmbeddedCrm(ledger.folder).settings) as server,
        sampler.sampling(server, sum(map(len, requests)), "event"),
    ):
        run(send([server], requests, connections=_CONNECTIONS, rate=rate))
        if folds:
            ledger.wait_until_delivered()


def _drain(environment: Environment, sampler: "Sampler") -> None:
    crm = environment.postgrest_crm()
    with filled_ledger(
        environment.base_ledger,
        times=_BACKLOG_TIMES,
        client="supabase",
        state=DeliveryState.PENDING,
        events=False,
    ) as ledger:
        calls = ledger.scalar("SELECT count(*) FROM calls")
        with (
            serve(ledger.folder, ledger.url, crm.settings) as server,
            sampler.sampling(server, calls, "call"),
        ):
            ledger.wait_until_delivered()


_LOADS: Final[Mapping[str, Callable[[Environment, "Sampler"], None]]] = {
    "accept": lambda environment, sampler: _accept(environment, sampler, folds=False),
    "everything": lambda environment, sampler: _accept(environment, sampler, folds=True),
    "steady": lambda environment, sampler: _accept(environment, sampler, folds=True, rate=_STEADY_RATE),
    "backlog": _drain,
}
_TITLES: Final = {
    "accept": f"Accept only, full speed over {_CONNECTIONS} connections",
    "everything": f"Everything on, embedded CRM, full speed over {_CONNECTIONS} connections",
    "steady": f"Everything on, embedded CRM, {_STEADY_RATE:g} events/s",
    "backlog": "Backlog into PostgREST",
}


class Sampler:
    """Samples a relay under one load, and prints its stages."""

    def __init__(self, title: str, py_spy: str, folder: Path) -> None:
        self._title = title
        self._py_spy = py_spy
        self._output = folder / "stacks.txt"
        self._messages = folder / "py-spy.txt"

    @contextmanager
    def sampling(self, server: Server, number: int, unit: str) -> Iterator[None]:
        """Sample the server during the block, in which it does `number` units of work."""
        options = ["--format", "raw", "--rate", str(_SAMPLES_PER_SECOND), "--gil", "--nonblocking"]
        command = [
            self._py_spy,
            "record",
            "--duration",
            _LONGEST_SECONDS,
            "--pid",
            str(server.pid),
            "--output",
            str(self._output),
            *options,
        ]
        self._output.unlink(missing_ok=True)
        with (
            self._messages.open("w") as messages,
            subprocess.Popen(command, stdout=messages, stderr=messages) as process,  # noqa: S603 - fixed
        ):
            try:
                self._refuse_early_end(process)
                cpu = server.cpu_seconds()
                yield
                cpu = server.cpu_seconds() - cpu
            finally:
                process.send_signal(signal.SIGINT)
        if process.returncode != 0 or not self._output.exists():
            raise self._failure(process.returncode)
        self._print(cpu, number, unit)

    def _refuse_early_end(self, process: "subprocess.Popen[bytes]") -> None:
        with suppress(subprocess.TimeoutExpired):
            raise self._failure(process.wait(_START_SECONDS))

    def _failure(self, exit_code: int) -> BenchError:
        said = " ".join(self._messages.read_text(errors="replace").split())
        return BenchError(
            f"py-spy took no samples (exit code {exit_code}, its message: {said or 'none'}). Without the "
            "right to trace the relay, run as root, or sysctl kernel.yama.ptrace_scope=0"
        )

    def _print(self, cpu: float, number: int, unit: str) -> None:
        each = cpu / number * _MICROSECONDS
        print(f"\n{self._title}: {each:.0f} µs of CPU per {unit}")
        samples = count_stages(self._output.read_text())
        for stage, found in samples.most_common():
            print(f"  {stage:<32}{found / samples.total():>6.0%}")


def main(arguments: list[str]) -> int:
    """Profile the loads. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("loads", nargs="*", metavar="LOAD", help=f"{', '.join(_LOADS)}; default: all of them")
    loads = parser.parse_args(arguments).loads or list(_LOADS)
    if unknown := [load for load in loads if load not in _LOADS]:
        parser.error(f"no load {', '.join(unknown)}; the loads are {', '.join(_LOADS)}")
    beside = Path(sys.executable).with_name("py-spy")
    py_spy = str(beside) if beside.exists() else shutil.which("py-spy")
    if py_spy is None:
        print("py-spy is missing: .venv/bin/uv pip install --python .venv/bin/python py-spy", file=sys.stderr)
        return 1
    with ExitStack() as stack:
        environment = Environment(stack)
        with environment.sqlite.ledger() as scratch:
            try:
                for load in loads:
                    _LOADS[load](environment, Sampler(_TITLES[load], py_spy, scratch.folder))
            except BenchError as error:
                print(f"{load}: {error}", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
