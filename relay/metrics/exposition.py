"""All metrics of a relay in the format that the scraper accepts."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import accumulate
from typing import Final

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import CollectorRegistry

from relay.measurements.instruments import (
    Definition,
    Histogram,
    Instrument,
    Kind,
    Labels,
    list_instruments,
    list_regions,
)
from relay.metrics.gauges import GAUGES, GaugeValue

_Totals = dict[Labels, list[float]]

PROCESS: Final = "process"
"""The label of process metrics: with several processes each has its own series."""


class _Collector:
    """One scrape, as `prometheus_client` reads it."""

    def __init__(self, gauges: Iterable[GaugeValue]) -> None:
        self._gauges = list(gauges)

    def collect(self) -> Iterator[Metric]:
        totals = _read_totals()
        for instrument in list_instruments():
            yield _family(instrument, totals.get(instrument.definition.name, {}), self._gauges)
        for definition in GAUGES:
            yield _gauge_family(definition, self._gauges)
        yield from _process_families()


def expose(gauges: Iterable[GaugeValue], accept: str) -> tuple[bytes, str]:
    """Return the text of a scrape, and its content type. `accept`: what the scraper accepts."""
    registry = CollectorRegistry()
    registry.register(_Collector(gauges))
    encode: Callable[[CollectorRegistry], bytes]
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _read_totals() -> dict[str, _Totals]:
    """Return the values of each series over all processes: sums, and of a `LatestGauge` the latest."""
    latest = {i.definition.name for i in list_instruments() if i.definition.kind is Kind.GAUGE}
    found: dict[str, _Totals] = {}
    for _, region in list_regions():
        for (name, *labels), start, length in region.series():
            values = list(region.values[start : start + length])
            of_metric = found.setdefault(name, {})
            before = of_metric.get(tuple(labels), [0.0] * length)
            join = max if name in latest else float.__add__
            of_metric[tuple(labels)] = [join(a, b) for a, b in zip(before, values, strict=True)]
    return found


def _family(instrument: Instrument, totals: _Totals, gauges: Iterable[GaugeValue]) -> Metric:
    definition = instrument.definition
    if isinstance(instrument, Histogram):
        return _histogram_family(instrument, totals)
    if definition.kind is Kind.GAUGE:
        values = [GaugeValue(definition, value, labels) for labels, [value] in totals.items()]
        values += [gauge for gauge in gauges if gauge.definition == definition]
        return _gauge_family(definition, sorted(values, key=lambda gauge: gauge.value)[-1:])
    family = CounterMetricFamily(definition.name, definition.meaning, labels=definition.labels)
    for labels, [value] in _with_zero(definition, totals, 1).items():
        family.add_metric(labels, value)
    return family


def _histogram_family(histogram: Histogram, totals: _Totals) -> Metric:
    definition = histogram.definition
    family = HistogramMetricFamily(definition.name, definition.meaning, labels=definition.labels)
    bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
    for labels, [*numbers, sum_] in _with_zero(definition, totals, len(bounds) + 1).items():
        family.add_metric(labels, list(zip(bounds, accumulate(numbers), strict=True)), sum_)
    return family


def _with_zero(definition: Definition, totals: _Totals, length: int) -> _Totals:
    """A metric without labels has its series from the start, so that its first increase is seen."""
    return totals if definition.labels or totals else {(): [0.0] * length}


def _gauge_family(definition: Definition, gauges: Iterable[GaugeValue]) -> Metric:
    family = GaugeMetricFamily(definition.name, definition.meaning, labels=definition.labels)
    for gauge in gauges:
        if gauge.definition == definition:
            family.add_metric(gauge.labels, gauge.value)
    return family


def _process_families() -> list[Metric]:
    """Return the usual metrics of processes, with the number of the process as a label."""
    families: dict[str, Metric] = {}
    for number, region in list_regions():
        for family in ProcessCollector(pid=partial(int, region.pid), registry=None).collect():
            samples = [sample._replace(labels={PROCESS: str(number)}) for sample in family.samples]
            merged = families.setdefault(family.name, family)
            merged.samples = samples if merged is family else merged.samples + samples
    return list(families.values())
