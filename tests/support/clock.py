"""A clock that stops until a test moves it."""

from relay.instants import SECOND, Instant


class Clock:
    """A ledger's clock: microseconds since 1970 UTC. Set `now` to move it, backwards too."""

    def __init__(self, now: int = 1_800_000_000 * SECOND) -> None:
        self.now = now

    def __call__(self) -> Instant:
        return Instant(self.now)

    def advance(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)
