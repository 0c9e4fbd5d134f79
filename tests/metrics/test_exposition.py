"""The text of a scrape, read by the parsers of `prometheus_client`, and by promtool."""

import os

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from relay.measurements import COMMIT_SECONDS, EVENTS, LAST_EVENT, PUSHES, SharedMemory, attach
from relay.metrics.exposition import expose
from relay.metrics.gauges import DEAD, PENDING, GaugeValue
from tests.support.promtool import run_promtool

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(*gauges: GaugeValue) -> Samples:
    text, _ = expose(gauges, "")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse_text(text.decode())
        for sample in family.samples
    }


def count_in_both(memory: SharedMemory) -> None:
    for number in (1, 0):
        attach(memory, number)
        EVENTS.add(("mission", "started"), 2)
        COMMIT_SECONDS.observe(0.002)
        COMMIT_SECONDS.observe(20)
        LAST_EVENT.set(100 + number)
    PUSHES.add(("crm", "delivered"))


def test_counters_and_histograms_are_sums_over_all_processes(memory: SharedMemory) -> None:
    count_in_both(memory)
    found = scrape()
    assert found["relay_events_total", (("dialect", "mission"), ("kind", "started"))] == 4
    assert found["relay_pushes_total", (("destination", "crm"), ("outcome", "delivered"))] == 1
    buckets = {
        labels[0][1]: v for (n, labels), v in found.items() if n == "relay_ledger_commit_seconds_bucket"
    }
    assert (buckets["0.001"], buckets["0.0025"], buckets["10.0"], buckets["+Inf"]) == (0, 2, 2, 4)
    assert found["relay_ledger_commit_seconds_count", ()] == 4
    assert found["relay_ledger_commit_seconds_sum", ()] == pytest.approx(40.004)


def test_of_the_last_event_the_latest_time_counts(memory: SharedMemory) -> None:
    assert ("relay_last_event_timestamp_seconds", ()) not in scrape()
    count_in_both(memory)
    assert scrape()["relay_last_event_timestamp_seconds", ()] == 101
    assert scrape(GaugeValue(LAST_EVENT.definition, 90))["relay_last_event_timestamp_seconds", ()] == 101
    assert scrape(GaugeValue(LAST_EVENT.definition, 200))["relay_last_event_timestamp_seconds", ()] == 200


def test_a_metric_without_labels_is_zero_from_the_start(memory: SharedMemory) -> None:
    del memory
    found = scrape()
    assert found["relay_requests_ignored_total", ()] == 0
    assert found["relay_fold_lag_seconds_count", ()] == 0


def test_gauges_have_their_labels(memory: SharedMemory) -> None:
    del memory
    found = scrape(
        GaugeValue(PENDING, 3, ("crm",)), GaugeValue(PENDING, 4, ("far",)), GaugeValue(DEAD, 1, ("crm",))
    )
    pending = {labels: value for (name, labels), value in found.items() if name == "relay_deliveries_pending"}
    assert pending == {(("destination", "crm"),): 3, (("destination", "far"),): 4}
    assert found["relay_deliveries_dead", (("destination", "crm"),)] == 1


def test_each_process_has_its_own_process_metrics(memory: SharedMemory) -> None:
    count_in_both(memory)
    found = scrape()
    started = {labels for name, labels in found if name == "process_start_time_seconds"}
    assert started == {(("process", "0"),), (("process", "1"),)}
    assert found["process_resident_memory_bytes", (("process", "0"),)] > 10_000_000
    assert found["process_cpu_seconds_total", (("process", "0"),)] >= 0
    # A process that is gone has none, and does not disturb the others.
    memory.regions[1]._header[0] = 2**22 + 1
    assert os.getpid() == memory.regions[0].pid
    assert {labels for name, labels in scrape() if name == "process_open_fds"} == {(("process", "0"),)}


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
    ],
)
def test_the_scraper_gets_the_format_that_it_accepts(
    memory: SharedMemory, accept: str, content_type: str
) -> None:
    count_in_both(memory)
    text, found = expose([GaugeValue(PENDING, 3, ("crm",))], accept)
    assert found == content_type
    parse = parse_openmetrics if "openmetrics" in found else parse_text
    families = {family.name for family in parse(text.decode())}
    assert {"relay_events", "relay_ledger_commit_seconds", "relay_deliveries_pending"} <= families


def test_promtool_finds_no_fault_in_a_scrape(memory: SharedMemory) -> None:
    count_in_both(memory)
    text, _ = expose([GaugeValue(PENDING, 3, ("crm",))], "")
    assert run_promtool("check", "metrics", text=text.decode()) == ""
