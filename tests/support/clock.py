"""Clocks that stop until a test moves them."""

from relay.instants import SECOND, Instant


class Clock:
    """A ledger's clock: microseconds since 1970 UTC. Set `now` to move it, backwards too."""

    def __init__(self, now: int = 1_800_000_000 * SECOND) -> None:
        self.now = now

    def __call__(self) -> Instant:
        return Instant(self.now)

    def advance(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


class MonotonicClock:
    """A process's clock in seconds, as `time.monotonic`. Set `time` to move it."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time
