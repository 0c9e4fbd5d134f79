"""What a benchmark measured: one table of figures for each question."""

import msgspec


class BenchError(Exception):
    """The benchmark failed, or the relay did not do its work correctly while it was measured."""


class Row(msgspec.Struct, frozen=True):
    """The figures of one case, in the order of the columns. None: not measured in this case."""

    case: str
    figures: tuple[float | None, ...]


class Result(msgspec.Struct, frozen=True):
    """The figures that answer one question. `columns`: their names with units. `conditions`: how measured."""

    name: str
    question: str
    conditions: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


class Report(msgspec.Struct, frozen=True):
    """The results of one run. `machine`: what they were measured on, each fact with its name."""

    measured_on: str
    machine: dict[str, str]
    results: tuple[Result, ...]
