"""The replay of a year: what waits, and how long, in one installation."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import msgspec

from bench.capacity.figures import Latency
from bench.capacity.installations import Installation
from bench.capacity.queue import Queue
from bench.capacity.traffic import STEP_SECONDS, STEPS_OF_DAY

_SHARES: Final = (0.50, 0.45, 0.05)
"""The shares of the events of a step that count with its p50, its p95 and its p99."""

_ROUNDING: Final = 1e-9
"""A percentile at which the weights of several latencies end exactly is the last of these."""

_BUCKETS: Final = 100
"""For each factor of e."""


class Latencies:
    """A histogram of seconds, exact to one percent. `longest`: exactly."""

    def __init__(self) -> None:
        self._weights: dict[int, float] = {}
        self.longest = 0.0

    def add(self, seconds: float, weight: float) -> None:
        bucket = math.ceil(math.log(seconds) * _BUCKETS)
        self._weights[bucket] = self._weights.get(bucket, 0.0) + weight
        self.longest = max(self.longest, seconds)

    def percentile(self, percent: float) -> float:
        """Return the seconds that this percentage of the weight does not exceed."""
        total = sum(self._weights.values())
        left = total * (percent / 100 - _ROUNDING)
        for bucket, weight in sorted(self._weights.items()):
            left -= weight
            if left <= 0:
                return min(math.exp(bucket / _BUCKETS), self.longest)
        return self.longest


class Year(msgspec.Struct):
    """What a replay found. The day of the outage, and the draining of its backlog, count separately.

    `busy_seconds`: of all cores. `most_waiting`: events that were accepted and not folded.
    """

    events: int = 0
    seconds: float = 0.0
    peak_rate: float = 0.0
    busy_seconds: float = 0.0
    most_waiting: float = 0.0
    latencies: Latencies = msgspec.field(default_factory=Latencies)
    most_pending: float = 0.0
    drain_seconds: float = 0.0
    longest_of_outage: float = 0.0

    @property
    def busy_cores(self) -> float:
        """The mean number of cores in use."""
        return self.busy_seconds / self.seconds


def replay(
    traffic: Sequence[int],
    installation: Installation,
    latencies: Sequence[Latency],
    *,
    crm_rate: float,
    events_per_call: float,
    outage_day: int,
) -> Year:
    """Pass the events of each step through two queues: the relay, and the CRM, which is down for one day.

    `crm_rate`: calls per second that the CRM takes while a backlog drains. The second queue counts calls: the
    events of a call that is pending need one push.
    """
    year, relay, crm = Year(), Queue(STEP_SECONDS), Queue(STEP_SECONDS)
    rate = installation.rate()
    down = range(outage_day * STEPS_OF_DAY, (outage_day + 1) * STEPS_OF_DAY)
    is_affected = False
    for step, events in enumerate(traffic):
        is_down = step in down
        is_affected = is_down or (is_affected and crm.backlog > 0)
        waiting = crm.backlog
        folded = relay.step(events, rate)
        calls = folded.served / events_per_call
        stopped_for = (down.stop - step) * STEP_SECONDS if is_down else 0
        wait = folded.wait + crm.step(calls, crm_rate, stopped_for=stopped_for).wait
        if is_affected:
            year.most_pending = max(year.most_pending, crm.backlog)
            year.longest_of_outage = max(year.longest_of_outage, wait)
            year.drain_seconds += 0.0 if is_down else _seconds_to_drain(waiting, calls, crm_rate)
        elif events:
            for seconds, share in zip(
                _latency_at(latencies, events / STEP_SECONDS / rate), _SHARES, strict=True
            ):
                year.latencies.add(seconds + wait, events * share)
        _count(year, installation, events, relay.backlog)
    return year


def _count(year: Year, installation: Installation, events: int, waiting: float) -> None:
    rate = events / STEP_SECONDS
    year.events += events
    year.seconds += STEP_SECONDS
    year.peak_rate = max(year.peak_rate, rate)
    year.busy_seconds += installation.busy_cores(rate) * STEP_SECONDS
    year.most_waiting = max(year.most_waiting, waiting)


def _seconds_to_drain(waiting: float, arrived: float, rate: float) -> float:
    """Return the seconds of one step until nothing waits; the whole step if something is left."""
    gain = rate - arrived / STEP_SECONDS
    return min(waiting / gain, STEP_SECONDS) if gain > 0 else STEP_SECONDS


def _latency_at(latencies: Sequence[Latency], load: float) -> list[float]:
    """Return the percentiles at a load: a share of the rate that the installation holds.

    Between the measured loads they are interpolated, below the lowest they are those of the lowest. Above the
    highest the last slope continues up to a load of 1; from there on the queue adds its wait.
    """
    load = max(min(load, 1.0), latencies[0].load)
    lower, upper = next(
        ((low, high) for low, high in pairwise(latencies) if load <= high.load),
        (latencies[-2], latencies[-1]),
    )
    part = (load - lower.load) / (upper.load - lower.load)
    return [
        low + part * max(high - low, 0.0)
        for low, high in zip(lower.percentiles, upper.percentiles, strict=True)
    ]
