"""What is done to the relays while calls are told: kills, machines that hang, a database that restarts."""

import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from tests.chaos.account import Account, account_of, journal_of, open_ends
from tests.chaos.engines import ENGINES, Database
from tests.chaos.load import Load
from tests.chaos.relays import ChaosRelay, relays
from tests.fakes.faulty_crm import Fault, FaultyCrm, running_faulty_crm
from tests.support.relay import eventually

RATE: Final = 700.0
"""Messages a second, downtime included: so while a relay is up it takes more."""

LEAST_RATE: Final = 200
"""Below this there was no load to speak of, even on a machine that does other things besides."""

_MIX: Final = {
    Fault.RESET: 0.02,
    Fault.CUT: 0.03,
    Fault.LATE: 0.03,
    Fault.ERROR: 0.02,
    Fault.GATEWAY: 0.01,
    Fault.THROTTLED_AFTER: 0.005,
}
"""What befalls pushes meanwhile. What makes a destination wait for a minute would only keep it idle."""

_SLOW_SECONDS: Final = 0.03
_IN_A_PUSH: Final = 0.8
"""The share of kills that wait for a push. Whether they fell into it is counted by the CRM."""

_DRAIN_SECONDS: Final = 60.0


class Outcome(msgspec.Struct):
    """What was done, and how it came out. `in_push`: kills in which the CRM lost a client that was pushing;
    `rate`: messages acknowledged a second, of those in which there was a relay; `late_writes`: rows that
    came to the CRM after a newer version of them.
    """

    scenario: str
    engine: str
    seed: int
    account: Account
    rate: float
    seconds: float
    sent: int
    kills: int
    in_push: int
    freezes: int
    restarts: int
    requests: int
    late_writes: int
    faults: dict[str, int]
    troubles: dict[str, int]

    def __str__(self) -> str:
        done = f"{self.kills} kills, {self.in_push} of them in a push"
        done += f", {self.freezes} freezes, {self.restarts} restarts of the database"
        pace = f"{self.sent:,} requests in {self.seconds:.0f} s, {self.rate:.0f} events acknowledged a second"
        seen = f"{self.requests:,} requests to the CRM, {self.late_writes} rows of older versions refused"
        seen += f", faults {self.faults}, troubles {self.troubles}"
        return f"{self.scenario}, {self.engine}, seed {self.seed}: {done}\n{pace}\n{seen}\n{self.account}"


class Stage:
    """A database, a CRM, relays and a load, and what is counted while they are mistreated."""

    def __init__(
        self, database: Database, crm: FaultyCrm, all_of: Sequence[ChaosRelay], load: Load, random: Random
    ) -> None:
        self.database = database
        self.crm = crm
        self.relays = all_of
        self.load = load
        self.random = random
        self.kills = self.in_push = self.freezes = self.restarts = 0
        self.dark_seconds = 0.0
        """In which no relay was there."""

    def kill(self, relay: ChaosRelay) -> None:
        """Kill it, and start it again; most often as soon as a push has begun, and somewhere within it."""
        if self.random.random() < _IN_A_PUSH and self.crm.wait_for_push(1.0):
            time.sleep(self.random.uniform(0, _SLOW_SECONDS / 2))
        before = self.crm.tally().abandoned
        with self._dark():
            relay.kill()
            relay.start()
        self.kills += 1
        # What the dead process had under way is over by now: a start takes longer than an answer.
        self.in_push += self.crm.tally().abandoned > before

    def stop(self, relay: ChaosRelay) -> tuple[int, float]:
        """Stop it in order, and start it again; its exit code, and the seconds that the stop took."""
        with self._dark():
            began = time.monotonic()
            code = relay.stop()
            seconds = time.monotonic() - began
            relay.start()
        return code, seconds

    @contextmanager
    def _dark(self) -> Iterator[None]:
        began = time.monotonic()
        yield
        if len(self.relays) == 1:
            self.dark_seconds += time.monotonic() - began

    def wait(self, least: float, most: float) -> None:
        time.sleep(self.random.uniform(least, most))


@contextmanager
def _stage(folder: Path, engine: str, number: int, *, rate: float, seed: int) -> Iterator[Stage]:
    kept = folder / "acknowledged"
    with ENGINES[engine](folder) as database, running_faulty_crm(seed) as crm:
        crm.set_faults(slow=_SLOW_SECONDS, mix=_MIX)
        section = crm.settings(timeout_seconds=5)
        with relays(folder, number, database.url, section) as all_of:
            patience = {"patience": 2.0} if number > 1 else {}
            load = Load([relay.port for relay in all_of], kept, rate=rate, seed=seed, **patience)
            load.start()
            try:
                yield Stage(database, crm, all_of, load, Random(seed))
            finally:
                load.abandon()


def _come_out(stage: Stage, scenario: str, engine: str, seed: int) -> Outcome:
    """Let all calls be told to their end and all be brought, and make the account."""
    stage.load.stop()
    stage.crm.set_faults()
    url = stage.database.url
    with suppress(AssertionError):  # then the account says what is left
        eventually(
            lambda: open_ends(url),
            lambda found: not found[0] and not found[1].get("pending"),
            seconds=_DRAIN_SECONDS,
        )
    rows = stage.crm.rows()
    tally = stage.crm.tally()
    acknowledged = stage.load.kept.read_bytes().splitlines()
    for relay in stage.relays:
        relay.stop()
    return Outcome(
        scenario,
        engine,
        seed,
        account_of(acknowledged, stage.load.told, journal_of(url), rows),
        rate=stage.load.acknowledged / (stage.load.seconds - stage.dark_seconds),
        seconds=stage.load.seconds,
        sent=stage.load.sent,
        kills=stage.kills,
        in_push=stage.in_push,
        freezes=stage.freezes,
        restarts=stage.restarts,
        requests=tally.requests,
        late_writes=sum(written.stale for written in stage.crm.written().values()),
        faults=tally.faults,
        troubles=dict(sum((relay.troubles for relay in stage.relays), Counter())),
    )


def one_relay_killed(folder: Path, engine: str, *, kills: int, seed: int, rate: float = RATE) -> Outcome:
    """One relay, killed again and again as soon as it has worked for a moment."""
    with _stage(folder, engine, 1, rate=rate, seed=seed) as stage:
        (relay,) = stage.relays
        for _ in range(kills):
            stage.wait(0.1, 0.9)
            stage.kill(relay)
        return _come_out(stage, "One relay killed", engine, seed)


def three_relays_mistreated(
    folder: Path, engine: str, *, blows: int, seed: int, rate: float = RATE
) -> Outcome:
    """Three relays share one database. Every second or two one is killed or hangs for a while, and twice
    the database restarts: once as an administrator does it, once as after a crash.
    """
    with _stage(folder, engine, 3, rate=rate, seed=seed) as stage:
        restarts = {blows // 3: signal.SIGINT, 2 * blows // 3: signal.SIGQUIT}
        hanging: dict[ChaosRelay, float] = {}
        for blow in range(blows):
            stage.wait(0.5, 2.0)
            _thaw(hanging)
            relay = stage.random.choice([r for r in stage.relays if r not in hanging])
            if len(hanging) < 1 and stage.random.random() < 0.5:
                relay.freeze()
                stage.freezes += 1
                hanging[relay] = time.monotonic() + stage.random.choice((1, 3, 10, 25))
            else:
                stage.kill(relay)
            if blow in restarts and stage.database.restart is not None:
                stage.database.restart(restarts[blow])
                stage.restarts += 1
        _thaw(hanging, now=float("inf"))
        return _come_out(stage, "Three relays killed and frozen", engine, seed)


def _thaw(hanging: dict[ChaosRelay, float], *, now: float | None = None) -> None:
    for relay, until in list(hanging.items()):
        if until <= (time.monotonic() if now is None else now):
            relay.thaw()
            del hanging[relay]


def stopped_in_order(
    folder: Path, engine: str, *, seed: int, rate: float = RATE
) -> tuple[Outcome, int, float]:
    """One relay under load, stopped by SIGTERM and started again; besides, its exit code and the seconds
    that the stop took.
    """
    with _stage(folder, engine, 1, rate=rate, seed=seed) as stage:
        (relay,) = stage.relays
        stage.wait(1.5, 2.5)
        code, seconds = stage.stop(relay)
        stage.wait(0.5, 1.0)
        return _come_out(stage, "One relay stopped in order", engine, seed), code, seconds
