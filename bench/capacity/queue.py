"""A queue that serves first in, first out, at a rate: in steps of time, not event by event."""

from typing import NamedTuple


class Step(NamedTuple):
    """What happened in one step. `wait`: seconds that what arrives in the middle of the step waits."""

    served: float
    wait: float


class Queue:
    """Counts what waits. `backlog`: what arrived and was not served yet."""

    def __init__(self, step_seconds: float) -> None:
        self._seconds = step_seconds
        self.backlog = 0.0

    def step(self, arrived: float, rate: float, *, stopped_for: float = 0.0) -> Step:
        """Serve at this rate per second during one step, in which arrivals are even.

        `stopped_for`: seconds from the begin of this step until it serves again; 0 if it is not stopped.
        """
        half, available = self._seconds / 2, self.backlog + arrived
        in_front = max(self.backlog + arrived / 2 - rate * max(half - stopped_for, 0.0), 0.0)
        served = min(available, rate * max(self._seconds - stopped_for, 0.0))
        self.backlog = available - served
        return Step(served, max(stopped_for - half, 0.0) + in_front / rate)
