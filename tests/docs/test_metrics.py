"""docs/metrics.md lists every metric as it is in the code."""

import re
from pathlib import Path
from typing import NamedTuple

from prometheus_client.process_collector import ProcessCollector

from relay.measurements import list_instruments
from relay.measurements.instruments import Definition
from relay.metrics.exposition import PROCESS
from relay.metrics.gauges import GAUGES

TEXT = (Path(__file__).parents[2] / "docs/metrics.md").read_text()


class Row(NamedTuple):
    kind: str
    labels: tuple[str, ...]
    meaning: str


def documented() -> dict[str, Row]:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\| (.+) \|$", TEXT, re.MULTILINE)
    assert len({name for name, *_ in rows}) == len(rows)
    return {name: Row(kind, tuple(re.findall(r"`(\w+)`", labels)), text) for name, kind, labels, text in rows}


def row_of(definition: Definition) -> Row:
    return Row(definition.kind, definition.labels, definition.meaning)


def of_processes() -> dict[str, Row]:
    families = ProcessCollector(registry=None).collect()
    names = {f.name: f"{f.name}_total" if f.type == "counter" else f.name for f in families}
    return {names[f.name]: Row(f.type, (PROCESS,), f.documentation) for f in families}


def test_every_metric_is_documented_with_its_type_labels_and_meaning() -> None:
    definitions = [*(instrument.definition for instrument in list_instruments()), *GAUGES]
    assert documented() == {each.name: row_of(each) for each in definitions} | of_processes()


def test_a_name_ends_in_its_unit() -> None:
    for name, row in documented().items():
        assert name.endswith("_total") == (row.kind == "counter"), name
        if row.meaning.startswith(("Seconds", "Unix time")):
            assert name.endswith("_seconds"), name
        if row.meaning.startswith(("Size", "Free space")):
            assert name.endswith("_bytes"), name
