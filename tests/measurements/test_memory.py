"""The memory that the processes of a relay share."""

import os
from contextlib import suppress
from typing import Any

import pytest

from relay.measurements.memory import MAX_VALUES, Region, Series, SharedMemory


def first_region() -> Region:
    return SharedMemory(1).regions[0]


def test_a_new_region_has_no_process_and_no_series() -> None:
    region = first_region()
    assert (region.pid, list(region.series())) == (0, [])
    region.claim()
    assert region.pid == os.getpid()


def test_each_series_has_values_of_its_own_and_is_found_again() -> None:
    region = first_region()
    events = region.add_series(("events", "mission", "started"), 1)
    lag = region.add_series(("lag",), 3)
    other = region.add_series(("events", "mission", ""), 1)
    assert len({events, lag, lag + 1, lag + 2, other}) == 5
    assert region.add_series(("lag",), 3) == lag
    region.values[lag + 2] += 1.5
    assert list(region.series()) == [
        Series(("events", "mission", "started"), events, 1),
        Series(("lag",), lag, 3),
        Series(("events", "mission", ""), other, 1),
    ]
    assert region.values[lag + 2] == 1.5


def test_a_name_of_any_characters_is_kept() -> None:
    region = first_region()
    region.add_series(("pushes", "ñandú"), 1)
    region.add_series(("pushes", "half\udcff"), 1)
    assert [series.key[1] for series in region.series()] == ["ñandú", "half?"]


def test_a_full_region_counts_further_series_nowhere() -> None:
    region = first_region()
    region.add_series(("large",), MAX_VALUES - 40)
    beyond = region.add_series(("beyond",), 20)
    assert [series.key for series in region.series()] == [("large",)]
    region.values[beyond] += 1
    (large,) = region.series()
    assert not any(region.values[large.start : large.start + large.length])


def test_a_forked_process_writes_what_the_others_read() -> None:
    memory = SharedMemory(2)
    pid = os.fork()
    if pid == 0:
        memory.regions[1].claim()
        memory.regions[1].values[memory.regions[1].add_series(("events",), 1)] += 7
        os._exit(0)
    os.waitpid(pid, 0)
    first, second = memory.regions
    ((key, start, _),) = second.series()
    assert (key, second.values[start], second.pid) == (("events",), 7, pid)
    assert list(first.series()) == []


class HeaderOfKilled:
    """The header of a region whose process is killed after some writes."""

    def __init__(self, header: Any, writes: int) -> None:
        self._header, self._writes = header, writes

    def __getitem__(self, index: int) -> int:
        return int(self._header[index])

    def __setitem__(self, index: int, value: int) -> None:
        if self._writes == 0:
            raise ProcessLookupError
        self._writes -= 1
        self._header[index] = value


@pytest.mark.parametrize("writes", [0, 1])
def test_a_process_that_is_killed_while_it_adds_a_series_moves_no_other(
    monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    region = first_region()
    with monkeypatch.context() as killed, suppress(ProcessLookupError):
        killed.setattr(region, "_header", HeaderOfKilled(region._header, writes))
        region.add_series(("lag",), 16)
    pushes = region.add_series(("pushes",), 1)
    region.values[pushes] = 7
    assert region.add_series(("pushes",), 1) == pushes
    assert [region.values[s.start] for s in region.series() if s.key == ("pushes",)] == [7]
