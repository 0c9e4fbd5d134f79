"""Memory that the processes of one relay share: each writes its own region, and any reads all.

The memory is anonymous: it is mapped before the processes are forked. It has no file that others could read
or that could be left behind, and never waits for a disk. A process that replaces a dead one continues with
its region, so that no counter goes back.

A region has a header, the values (64-bit floats), and the names of the series that they belong to. A series
is complete before the header counts it. A region is written by the event loop of one process alone.
"""

import mmap
import os
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

Key = tuple[str, ...]
"""The name of a series: the name of its metric, and the values of its labels."""

MAX_VALUES: Final = 16_384
"""In one region. Pages that no series uses take no memory."""

LONGEST_SERIES: Final = 32
"""The first values belong to no series: what does not fit into the region is counted there."""

_HEADER: Final = 64
_PID, _USED_NAMES = 0, 1
_VALUE_BYTES: Final = 8
_NAME_BYTES: Final = 512 * 1024
_REGION: Final = _HEADER + MAX_VALUES * _VALUE_BYTES + _NAME_BYTES
_ENTRY: Final = struct.Struct("=HH")
"""The head of a name: its length, and the number of its values."""


class Series(NamedTuple):
    """One series of a region. `start`: the index of the first of its values."""

    key: Key
    start: int
    length: int


class Region:
    """The values of one process. `values` is indexed by `add_series`."""

    def __init__(self, memory: memoryview) -> None:
        self._header = memory[:_HEADER].cast("q")
        self.values = memory[_HEADER : _HEADER + MAX_VALUES * _VALUE_BYTES].cast("d")
        self._names = memory[_HEADER + MAX_VALUES * _VALUE_BYTES :]

    @property
    def pid(self) -> int:
        """The process that writes the region, or that wrote it last; 0 if none did."""
        return self._header[_PID]

    def claim(self) -> None:
        """Write the region from this process."""
        self._header[_PID] = os.getpid()

    def series(self) -> Iterator[Series]:
        """Yield the series in the order in which they were added."""
        start, position, end = LONGEST_SERIES, 0, self._header[_USED_NAMES]
        while position < end:
            size, length = _ENTRY.unpack_from(self._names, position)
            position += _ENTRY.size
            name = bytes(self._names[position : position + size]).decode()
            yield Series(tuple(name.split("\0")), start, length)
            start, position = start + length, position + size

    def add_series(self, key: Key, length: int) -> int:
        """Return the index of the first of `length` values: those of this series if the region has it.

        A region that is full counts the series nowhere.
        """
        start = LONGEST_SERIES
        for series in self.series():
            if series.key == key:
                return series.start
            start = series.start + series.length
        return self._append(key, start, length)

    def _append(self, key: Key, start: int, length: int) -> int:
        name = "\0".join(key).encode("utf-8", "replace")
        position = self._header[_USED_NAMES]
        end = position + _ENTRY.size + len(name)
        if end > _NAME_BYTES or start + length > MAX_VALUES:
            return 0
        _ENTRY.pack_into(self._names, position, len(name), length)
        self._names[position + _ENTRY.size : end] = name
        # The last step: a process that is killed before it has added nothing.
        self._header[_USED_NAMES] = end
        return start


class SharedMemory:
    """The regions of `processes` processes, by their number from 0 on. Create it before they are forked."""

    def __init__(self, processes: int) -> None:
        memory = memoryview(mmap.mmap(-1, processes * _REGION))
        self.regions = [
            Region(memory[number * _REGION : (number + 1) * _REGION]) for number in range(processes)
        ]
