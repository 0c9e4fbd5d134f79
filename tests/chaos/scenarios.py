"""The chaos runs: relays under load are killed and frozen, and their database restarts."""

import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from relay.simulator import Message
from tests.chaos.audit import Audit, compare, count_states, read_ledger
from tests.chaos.engines import ENGINES, Database
from tests.chaos.load import Load, SentCall, event_key
from tests.chaos.relays import ChaosRelay, running_relays
from tests.fakes.faulty_crm import Fault, FaultyCrm, running_faulty_crm
from tests.support.relay import eventually

RATE: Final = 700.0
"""Messages per second, downtime included; so while a relay is up it receives more."""

_MIX: Final = {
    Fault.RESET: 0.02,
    Fault.CUT: 0.03,
    Fault.LATE: 0.03,
    Fault.ERROR: 0.02,
    Fault.GATEWAY: 0.01,
    Fault.THROTTLED_AFTER: 0.005,
}
"""The faults of the CRM during a run. Faults that pause the destination for a minute would only idle it."""

_SLOW_SECONDS: Final = 0.03
_KILL_IN_PUSH: Final = 0.8
"""The share of kills that wait for a push. The CRM counts those that interrupted one."""

_DRAIN_SECONDS: Final = 60.0


class Outcome(msgspec.Struct):
    """The disturbances of a run, and its result.

    `rate`: acknowledged messages per second, without the time in which no relay ran. `kills_in_push`: kills
    that disconnected a client of the CRM during a push. `late_writes`: rows that the CRM received after a
    newer version. `crm_requests`, `crm_faults`: the requests to the CRM and its faults. `errors`: errors in
    the logs of the relays. `memory_mb`: the most memory (RSS) of a relay. `notes`: what was done to the
    machine.
    """

    scenario: str
    engine: str
    seed: int
    audit: Audit
    rate: float
    seconds: float
    sent: int
    kills: int
    kills_in_push: int
    freezes: int
    restarts: int
    crm_requests: int
    late_writes: int
    crm_faults: dict[str, int]
    errors: dict[str, int]
    memory_mb: float
    notes: list[str]

    def __str__(self) -> str:
        disturbances = f"{self.kills} kills, {self.kills_in_push} of them during a push"
        disturbances += f", {self.freezes} freezes, {self.restarts} restarts of the database"
        load = (
            f"{self.sent:,} requests in {self.seconds:.0f} s, {self.rate:.0f} events acknowledged per second"
        )
        crm = f"{self.crm_requests:,} requests to the CRM, {self.late_writes} rows of older versions ignored"
        crm += f", faults {self.crm_faults}, errors {self.errors}"
        title = f"{self.scenario}, {self.engine}, seed {self.seed}"
        notes = "; ".join([f"{self.memory_mb:.0f} MB", *self.notes])
        return f"{title}: {disturbances}\n{load}\n{crm}\n{notes}\n{self.audit}"


class Run:
    """A database, a CRM, relays and a load, and the number of each disturbance."""

    def __init__(
        self, database: Database, crm: FaultyCrm, relays: Sequence[ChaosRelay], load: Load, random: Random
    ) -> None:
        self.database = database
        self.crm = crm
        self.relays = relays
        self.load = load
        self.random = random
        self.kills = self.kills_in_push = self.freezes = self.restarts = 0
        self.downtime_seconds = 0.0
        """How long no relay could store events."""
        self.notes: list[str] = []
        self.extra_messages: list[Message] = []
        """Acknowledged messages that a scenario sent besides the load."""
        self.extra_calls: list[SentCall] = []

    def kill(self, relay: ChaosRelay) -> None:
        """Kill a relay and start it again; usually during a push, at a random moment of it."""
        before = self.crm.tally().abandoned  # not later: the push may end during another request
        if self.random.random() < _KILL_IN_PUSH and self.crm.wait_for_push(10.0):
            time.sleep(self.random.uniform(0, _SLOW_SECONDS / 2))
        with self.downtime():
            relay.kill()
            relay.start()
        self.kills += 1
        # A start takes longer than a response, so the CRM has already counted the interrupted push.
        self.kills_in_push += self.crm.tally().abandoned > before

    def stop(self, relay: ChaosRelay) -> tuple[int, float]:
        """Stop a relay with SIGTERM and start it again; return its exit code and the seconds of the stop."""
        with self.downtime():
            began = time.monotonic()
            code = relay.stop()
            seconds = time.monotonic() - began
            relay.start()
        return code, seconds

    @contextmanager
    def downtime(self) -> Iterator[None]:
        """Count the time of the block, in which the only relay stores no events."""
        began = time.monotonic()
        yield
        if len(self.relays) == 1:
            self.downtime_seconds += time.monotonic() - began

    def wait(self, least: float, most: float) -> None:
        time.sleep(self.random.uniform(least, most))


@contextmanager
def running(
    folder: Path,
    engine: str,
    number: int,
    *,
    rate: float,
    seed: int,
    ledger_folder: Path | None = None,
    **options: Any,
) -> Iterator[Run]:
    """Run this number of relays on one database, under load. `options` are those of `ChaosRelay`.

    `ledger_folder`: where an SQLite file is; `folder` by default.
    """
    acknowledged_file = folder / "acknowledged"
    with ENGINES[engine](ledger_folder or folder) as database, running_faulty_crm(seed) as crm:
        crm.set_faults(slow=_SLOW_SECONDS, mix=_MIX)
        section = crm.settings(timeout_seconds=5)
        with running_relays(folder, number, database.url, section, **options) as relays:
            # With several relays one may be frozen: do not wait for its response for long.
            limit = {"response_seconds": 2.0} if number > 1 else {}
            ports = [relay.port for relay in relays]
            load = Load(ports, acknowledged_file, rate=rate, seed=seed, **limit)
            load.start()
            try:
                yield Run(database, crm, relays, load, Random(seed))
            finally:
                load.abort()


def finish(run: Run, scenario: str, engine: str, seed: int) -> Outcome:
    """Stop the load, wait until everything is delivered, stop the relays and audit the run."""
    run.load.stop()
    run.crm.set_faults()
    url = run.database.url
    with suppress(AssertionError):  # then the audit reports what is left
        eventually(
            lambda: count_states(url),
            lambda counts: not counts[0] and not counts[1].get("pending"),
            seconds=_DRAIN_SECONDS,
        )
    rows = run.crm.rows()
    tally = run.crm.tally()
    acknowledged = run.load.acknowledged_file.read_bytes().splitlines()
    acknowledged += map(event_key, run.extra_messages)
    for relay in run.relays:
        relay.stop()
    return Outcome(
        scenario,
        engine,
        seed,
        compare(acknowledged, [*run.load.sent_calls, *run.extra_calls], read_ledger(url), rows),
        rate=run.load.acknowledged / (run.load.seconds - run.downtime_seconds),
        seconds=run.load.seconds,
        sent=run.load.requests,
        kills=run.kills,
        kills_in_push=run.kills_in_push,
        freezes=run.freezes,
        restarts=run.restarts,
        crm_requests=tally.requests,
        late_writes=sum(written.stale for written in run.crm.written().values()),
        crm_faults=tally.faults,
        errors=dict(sum((relay.errors for relay in run.relays), Counter())),
        memory_mb=max(relay.peak_mb for relay in run.relays),
        notes=run.notes,
    )


def one_relay_killed(folder: Path, engine: str, *, kills: int, seed: int, rate: float = RATE) -> Outcome:
    """Kill one relay again and again, each time after a short moment."""
    with running(folder, engine, 1, rate=rate, seed=seed) as run:
        (relay,) = run.relays
        for _ in range(kills):
            run.wait(0.1, 0.9)
            run.kill(relay)
        return finish(run, "One relay killed", engine, seed)


def three_relays_killed_and_frozen(
    folder: Path, engine: str, *, disturbances: int, seed: int, rate: float = RATE
) -> Outcome:
    """Kill or freeze one of three relays on one database every one or two seconds.

    The database restarts twice: once as by an administrator, once as after a crash.
    """
    with running(folder, engine, 3, rate=rate, seed=seed) as run:
        restarts = {disturbances // 3: signal.SIGINT, 2 * disturbances // 3: signal.SIGQUIT}
        frozen: dict[ChaosRelay, float] = {}
        for number in range(disturbances):
            run.wait(0.5, 2.0)
            _thaw_due(frozen)
            relay = run.random.choice([r for r in run.relays if r not in frozen])
            if len(frozen) < 1 and run.random.random() < 0.5:
                relay.freeze()
                run.freezes += 1
                frozen[relay] = time.monotonic() + run.random.choice((1, 3, 10, 25))
            else:
                run.kill(relay)
            if number in restarts and run.database.restart is not None:
                run.database.restart(restarts[number])
                run.restarts += 1
        _thaw_due(frozen, now=float("inf"))
        return finish(run, "Three relays killed and frozen", engine, seed)


def _thaw_due(frozen: dict[ChaosRelay, float], *, now: float | None = None) -> None:
    for relay, until in list(frozen.items()):
        if until <= (time.monotonic() if now is None else now):
            relay.thaw()
            del frozen[relay]


def stopped_in_order(
    folder: Path, engine: str, *, seed: int, rate: float = RATE
) -> tuple[Outcome, int, float]:
    """Stop one relay under load with SIGTERM and start it again.

    Returns the outcome, the relay's exit code, and the seconds that the stop took.
    """
    with running(folder, engine, 1, rate=rate, seed=seed) as run:
        (relay,) = run.relays
        run.wait(1.5, 2.5)
        code, seconds = run.stop(relay)
        run.wait(0.5, 1.0)
        return finish(run, "One relay stopped in order", engine, seed), code, seconds
