"""Counters, gauges and histograms. One of them costs a fraction of a microsecond: no lock, no system call.

Only the event loop's thread may write: two threads that add at the same time could lose one of the additions.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from relay.measurements.memory import LONGEST_SERIES, Key, Region, SharedMemory

Labels = tuple[str, ...]


class Kind(StrEnum):
    """The type of a metric, as Prometheus calls it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Definition(msgspec.Struct, frozen=True):
    """A metric: its name with its unit, its type, its meaning, and the names of its labels."""

    name: str
    kind: Kind
    meaning: str
    labels: Labels = ()


_memory = SharedMemory(1)
_region = _memory.regions[0]
_region.claim()


class Instrument:
    """The series of one metric in the region of this process."""

    def __init__(self, definition: Definition, length: int = 1) -> None:
        if length > LONGEST_SERIES:
            raise ValueError(f"{definition.name} has {length} values; at most {LONGEST_SERIES} are possible")
        self.definition = definition
        self._length = length
        self.use(_region)
        _instruments.append(self)

    def use(self, region: Region) -> None:
        """Write to this region from now on."""
        self._region = region
        self._values = region.values
        self._starts: dict[Labels, int] = {}

    def _start_of(self, labels: Labels) -> int:
        if len(labels) != len(self.definition.labels):
            raise ValueError(f"{self.definition.name} has the labels {self.definition.labels}, not {labels}")
        key: Key = (self.definition.name, *labels)
        start = self._starts[labels] = self._region.add_series(key, self._length)
        return start


class Counter(Instrument):
    """A number that only grows."""

    def __init__(self, name: str, meaning: str, labels: Labels = ()) -> None:
        super().__init__(Definition(name, Kind.COUNTER, meaning, labels))

    def add(self, labels: Labels = (), amount: float = 1) -> None:
        """Add an amount to the series with the values of the labels."""
        start = self._starts.get(labels)
        if start is None:
            start = self._start_of(labels)
        self._values[start] += amount


class LatestGauge(Instrument):
    """A time. Of several processes the latest counts."""

    def __init__(self, name: str, meaning: str) -> None:
        super().__init__(Definition(name, Kind.GAUGE, meaning))

    def set(self, value: float) -> None:
        start = self._starts.get(())
        if start is None:
            start = self._start_of(())
        self._values[start] = value


class Histogram(Instrument):
    """Numbers of observations at most as large as each bound, and their sum.

    Its values in the memory are one for each bound, the observations above all bounds, and the sum.
    """

    def __init__(self, name: str, meaning: str, labels: Labels = (), *, bounds: Sequence[float]) -> None:
        super().__init__(Definition(name, Kind.HISTOGRAM, meaning, labels), len(bounds) + 2)
        self.bounds = tuple(bounds)

    def observe(self, value: float, labels: Labels = ()) -> None:
        """Count one observation."""
        start = self._starts.get(labels)
        if start is None:
            start = self._start_of(labels)
        values = self._values
        values[start + bisect_left(self.bounds, value)] += 1
        values[start + self._length - 1] += value


_instruments: Final[list[Instrument]] = []


def list_instruments() -> list[Instrument]:
    """Return every instrument, in the order of their declaration."""
    return list(_instruments)


def attach(memory: SharedMemory, number: int) -> None:
    """Write all measurements of this process to its region of the shared memory."""
    global _memory, _region  # instruments are constants of their modules, as loggers are
    _memory, _region = memory, memory.regions[number]
    _region.claim()
    for instrument in _instruments:
        instrument.use(_region)


def list_regions() -> Iterator[tuple[int, Region]]:
    """Yield the regions of all processes of this relay that have started once, with their numbers."""
    return ((number, region) for number, region in enumerate(_memory.regions) if region.pid)
