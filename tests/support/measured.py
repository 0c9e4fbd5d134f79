"""What counters have counted in this process."""

from relay.measurements.instruments import Counter, Labels, list_regions


def read_counter(counter: Counter) -> dict[Labels, float]:
    """Return the values of the series of a counter, by their labels."""
    return {
        series.key[1:]: region.values[series.start]
        for _, region in list_regions()
        for series in region.series()
        if series.key[0] == counter.definition.name
    }
