"""Counters, gauges and histograms."""

import pytest

from relay.measurements import (
    COMMIT_SECONDS,
    EVENTS,
    LAST_EVENT,
    PUSHES,
    SharedMemory,
    attach,
    list_instruments,
)
from relay.measurements.instruments import Histogram, list_regions
from relay.measurements.memory import Region


def values_of(region: Region) -> dict[tuple[str, ...], list[float]]:
    return {key: list(region.values[start : start + length]) for key, start, length in region.series()}


def test_a_counter_adds_to_the_series_of_its_labels(memory: SharedMemory) -> None:
    for kind in ("started", "ended", "started"):
        EVENTS.add(("mission", kind))
    PUSHES.add(("crm", "delivered"), 20)
    assert values_of(memory.regions[0]) == {
        ("relay_events_total", "mission", "started"): [2],
        ("relay_events_total", "mission", "ended"): [1],
        ("relay_pushes_total", "crm", "delivered"): [20],
    }


@pytest.mark.parametrize(
    ("value", "bucket"), [(0, 0), (0.0005, 0), (0.00051, 1), (10, 13), (10.1, 14), (float("inf"), 14)]
)
def test_a_histogram_counts_a_value_below_the_first_bound_that_is_not_smaller(
    memory: SharedMemory, value: float, bucket: int
) -> None:
    COMMIT_SECONDS.observe(value)
    ((*numbers, total),) = values_of(memory.regions[0]).values()
    assert (len(numbers), numbers.index(1), sum(numbers), total) == (15, bucket, 1, value)


def test_a_gauge_has_its_last_value(memory: SharedMemory) -> None:
    LAST_EVENT.set(5)
    LAST_EVENT.set(3)
    assert list(values_of(memory.regions[0]).values()) == [[3]]


def test_a_process_that_replaces_another_continues_its_counters(memory: SharedMemory) -> None:
    EVENTS.add(("mission", "started"))
    COMMIT_SECONDS.observe(1)
    attach(memory, 0)
    EVENTS.add(("mission", "started"))
    assert values_of(memory.regions[0])["relay_events_total", "mission", "started"] == [2]
    attach(memory, 1)
    EVENTS.add(("mission", "started"))
    assert values_of(memory.regions[1]) == {("relay_events_total", "mission", "started"): [1]}
    assert [number for number, _ in list_regions()] == [0, 1]


def test_a_wrong_number_of_labels_is_an_error(memory: SharedMemory) -> None:
    with pytest.raises(ValueError, match=r"relay_events_total has the labels \('dialect', 'kind'\)"):
        EVENTS.add(("mission",))
    assert list(memory.regions[0].series()) == []


def test_every_histogram_fits_into_the_memory() -> None:
    with pytest.raises(ValueError, match="at most 32"):
        Histogram("too_many", "", bounds=range(31))
    assert all(len(each.bounds) < 31 for each in list_instruments() if isinstance(each, Histogram))
