"""A report of `make bench` with figures that are easy to compute with."""

from typing import Final

from bench.result import Report, Result, Row
from bench.table import Cells

CPU: Final = {"everything on, 1 connection": 2_000.0, "everything on, 64": 500.0, "accept only, 64": 300.0}
"""µs per event: of which the fold and the delivery need 200 at load."""


def make_report(*, without: str = "", **changes: float) -> Report:
    """Make a report without the case of this name. `changes`: CPU µs per event, as `everything_on_64`."""
    cpu = {
        case: changes.get(case.replace(", ", "_").replace(" ", "_"), figure) for case, figure in CPU.items()
    }
    accept = [
        Row(f"{engine}, mission, {case}{'' if case.endswith('connection') else ' connections'}", (figure,))
        for engine in ("SQLite", "PostgreSQL")
        for case, figure in cpu.items()
    ]
    results = [
        _result("accept", ("CPU µs/event",), accept),
        _result(
            "freshness",
            ("p50 ms", "p95 ms", "p99 ms"),
            [
                Row(f"PostgREST, {rate} events/s", figures)
                for rate, figures in {
                    "10": (4.0, 5.0, 6.0),
                    "200": (5.0, 7.0, 9.0),
                    "1,000": (10.0, 20.0, 30.0),
                }.items()
            ],
        ),
        _result(
            "backlog",
            ("calls/s",),
            [Row("PostgREST", (5_000.0,)), Row("HubSpot, with contacts", (400.0,))],
        ),
        _result(
            "cost",
            ("figure",),
            [
                Row("disk, per event, without its call (bytes)", (700.0,)),
                Row("disk, per call with one delivery, without events (bytes)", (4_000.0,)),
                Row("memory, idle after the load (MB)", (90.0,)),
                Row("memory, the most with 1 million pending calls (MB)", (100.0,)),
            ],
        ),
        _result(
            "processes",
            ("events/s", "CPU µs/event", "PostgreSQL CPU µs/event"),
            [
                Row("SQLite, 1 worker", (1_500.0, 550.0, None)),
                Row("SQLite, 2 workers", (1_900.0, 600.0, None)),
                Row("PostgreSQL, 3 relays", (2_400.0, 500.0, 100.0)),
            ],
        ),
    ]
    kept = [
        Result(each.name, "", "", each.columns, tuple(row for row in each.rows if row.case != without))
        for each in results
    ]
    return Report("2026-01-02", {}, tuple(kept))


def _result(name: str, columns: Cells, rows: list[Row]) -> Result:
    return Result(name, "", "", columns, tuple(rows))
