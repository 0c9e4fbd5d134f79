"""The three stages of a relay one after the other: accept, then fold, then deliver the same events."""

import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

import msgspec

from bench.crms import EmbeddedCrm
from bench.environment import Environment
from bench.ledgers import BenchLedger
from bench.load import build_requests, generate_calls_now, run, send
from bench.result import BenchError
from bench.server import Server, environment_of_relay, relay_command, serve

_CONNECTIONS: Final = 64
_WARM_UP_CALLS: Final = 100
_TIMEOUT_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.01
_UNFOLDED: Final = "SELECT count(*) FROM events WHERE state = 'new'"
_PENDING: Final = "SELECT count(*) FROM deliveries WHERE state = 'pending' AND destination = 'crm'"


class Stage(msgspec.Struct, frozen=True):
    """Events per second, and CPU time per event in seconds; in the delivery per call.

    `rate`: None if the stage ended too soon to measure it.
    """

    rate: float | None
    cpu_seconds: float


class Stages(msgspec.Struct, frozen=True):
    """The stages, and the CPU time of the bare endpoint per request. `events_per_call`: of what was sent."""

    accept: Stage
    fold: Stage
    deliver: Stage
    bare_cpu_seconds: float
    events_per_call: float

    @property
    def deliver_cpu_seconds(self) -> float:
        """The CPU time of the delivery per event."""
        return self.deliver.cpu_seconds / self.events_per_call

    @property
    def cpu_seconds(self) -> float:
        """The CPU time of all stages per event."""
        return self.accept.cpu_seconds + self.fold.cpu_seconds + self.deliver_cpu_seconds


def measure_stages(environment: Environment, ledger: BenchLedger, calls: int, *, seed: int = 7) -> Stages:
    """Send the events of so many calls to a new relay on this ledger, which delivers to an embedded CRM.

    While the relay accepts, another process holds the lease of the fold. While it folds, its destination is
    paused. Raises `BenchError` if an event or a record is missing afterwards.
    """
    requests = build_requests(generate_calls_now(calls, seed=seed))
    warm_up = build_requests(generate_calls_now(_WARM_UP_CALLS, seed=seed + 1))
    crm = EmbeddedCrm(ledger.folder)
    with ExitStack() as held:
        held.enter_context(ledger.fold_held())
        with serve(ledger.folder, ledger.url, crm.settings) as server:
            run(send([server], warm_up, connections=_CONNECTIONS))
            with ExitStack() as commands:
                _start_command(commands, ledger, "destinations", "pause", "crm")
            bare = environment.measure_bare(_CONNECTIONS)
            accept = _measure_accept(ledger, server, requests)
            fold = _measure_drain(ledger, server, _UNFOLDED, held.close)
            with ExitStack() as commands:
                resume = partial(_start_command, commands, ledger, "destinations", "resume", "crm")
                deliver = _measure_drain(ledger, server, _PENDING, resume)
            if len(crm.rows()) != calls + _WARM_UP_CALLS:
                raise BenchError(f"the CRM has {len(crm.rows())} records of {calls + _WARM_UP_CALLS} calls")
    return Stages(accept, fold, deliver, bare.cpu_seconds, sum(map(len, requests)) / calls)


def _measure_accept(ledger: BenchLedger, server: Server, requests: Sequence[Sequence[bytes]]) -> Stage:
    stored, cpu = ledger.count_events(), server.cpu_seconds()
    sent = run(send([server], requests, connections=_CONNECTIONS))
    cpu = server.cpu_seconds() - cpu
    if ledger.count_events() - stored != sent.requests:
        raise BenchError("not every acknowledged event is in the ledger")
    return Stage(sent.rate, cpu / sent.requests)


def _measure_drain(ledger: BenchLedger, server: Server, query: str, start: Callable[[], object]) -> Stage:
    """Start a stage and wait until the number that the query finds is 0.

    The rate counts from the first change of the number, because the stage may begin a second after its start;
    what had changed by then does not count.
    """
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    left = total = at_begin = ledger.scalar(query)
    begin, cpu = time.perf_counter(), server.cpu_seconds()
    start()
    while left:
        if time.monotonic() > deadline:
            raise BenchError(f"{left} of {total} were left after {_TIMEOUT_SECONDS:g} s")
        time.sleep(_POLL_SECONDS)
        left = ledger.scalar(query)
        if at_begin == total:
            begin, at_begin = time.perf_counter(), left
    seconds, cpu = time.perf_counter() - begin, server.cpu_seconds() - cpu
    return Stage(at_begin / seconds if at_begin else None, cpu / total)


def _start_command(commands: ExitStack, ledger: BenchLedger, *arguments: str) -> None:
    """Start another command of the relay; the stack waits for its end."""
    command = relay_command(ledger.folder, *arguments)
    commands.enter_context(
        subprocess.Popen(command, env=environment_of_relay(), stdout=subprocess.DEVNULL)  # noqa: S603 - fixed
    )
