"""Time for a unit test: it moves only when something sleeps."""


class FakeTime:
    """`clock` and `sleep` for classes that take both; `slept` lists the requested waits in seconds."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
