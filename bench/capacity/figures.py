"""The measured figures that the simulation uses, read from the report of a run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from bench.cost import DISK_CALL, DISK_EVENT
from bench.publish import OUTPUT, PUBLISHED, read_report
from bench.result import Report

_FRESHNESS_RATES: Final = (10, 200, 1_000)
_MICROSECONDS: Final = 1_000_000
_MILLISECONDS: Final = 1_000


class FiguresMissing(Exception):
    """There is no report, or it lacks a figure, or a figure is impossible. The message says what to do."""


class Service(msgspec.Struct, frozen=True):
    """CPU seconds that one event costs. `alone`: without others to share a transaction with; `full`: at load.

    `accept`: until the response; `work`: the fold and the delivery. `database`: of PostgreSQL itself.
    """

    accept: float
    work: float
    alone: float
    database: float

    @property
    def full(self) -> float:
        """The cost at load, received to delivered."""
        return self.accept + self.work


class Latency(msgspec.Struct, frozen=True):
    """Seconds from event to row: percentiles 50, 95 and 99. `load`: a share of what the process holds."""

    load: float
    percentiles: tuple[float, float, float]


class Figures(msgspec.Struct, frozen=True):
    """What was measured. `two_workers`: CPU seconds per event of two processes on one SQLite file.

    `latencies`: of one process, at growing loads. `rates`: events per second, by case. `drain_rates`: calls
    per second of a backlog, by CRM.
    """

    measured_on: str
    sqlite: Service
    postgres: Service
    two_workers: float
    rates: dict[str, float]
    latencies: tuple[Latency, ...]
    event_bytes: float
    call_bytes: float
    drain_rates: dict[str, float]
    memory_idle: float
    memory_pending: float


def find_report(path: Path | None) -> Report:
    """Read this report, or the published one, or that of the last run. Raises `FiguresMissing`."""
    for candidate in [path] if path else [PUBLISHED, OUTPUT]:
        if candidate.exists():
            try:
                return read_report(candidate)
            except msgspec.MsgspecError as error:
                raise FiguresMissing(f"{candidate} is no report of `make bench`: {error}") from None
    raise FiguresMissing(
        f"There are no figures in {path or f'{PUBLISHED} or {OUTPUT}'}: run `make bench` first."
    )


def read_figures(report: Report) -> Figures:
    """Find the figures in a report. Raises `FiguresMissing`."""
    known = dict(_all_figures(report))

    def find(result: str, case: str, column: str) -> float:
        try:
            return known[result, case, column]
        except KeyError:
            raise FiguresMissing(
                f"The report lacks “{column}” of “{case}” ({result}): run `make bench` without arguments."
            ) from None

    def service(engine: str) -> Service:
        def cpu(work: str, connections: str) -> float:
            return find("accept", f"{engine}, mission, {work}, {connections}", "CPU µs/event") / _MICROSECONDS

        accept, everything = cpu("accept only", "64 connections"), cpu("everything on", "64 connections")
        database = find("processes", "PostgreSQL, 3 relays", "PostgreSQL CPU µs/event") / _MICROSECONDS
        if everything <= accept:
            raise FiguresMissing(
                f"On {engine}, accepting alone cost more than accepting, folding and delivering together: "
                "the machine was busy with other work. Run `make bench` again."
            )
        return Service(
            accept=accept,
            work=everything - accept,
            alone=cpu("everything on", "1 connection"),
            database=database if engine == "PostgreSQL" else 0.0,
        )

    def latency(rate: int) -> Latency:
        p50, p95, p99 = (
            find("freshness", f"PostgREST, {rate:,} events/s", f"p{percent} ms") / _MILLISECONDS
            for percent in (50, 95, 99)
        )
        return Latency(rate * sqlite.full, (p50, p95, p99))

    sqlite = service("SQLite")
    return Figures(
        measured_on=report.measured_on,
        sqlite=sqlite,
        postgres=service("PostgreSQL"),
        two_workers=find("processes", "SQLite, 2 workers", "CPU µs/event") / _MICROSECONDS,
        rates={
            case: find("processes", case, "events/s")
            for case in ("SQLite, 1 worker", "SQLite, 2 workers", "PostgreSQL, 3 relays")
        },
        latencies=tuple(map(latency, _FRESHNESS_RATES)),
        event_bytes=find("cost", DISK_EVENT, "figure"),
        call_bytes=find("cost", DISK_CALL, "figure"),
        drain_rates={
            case: find("backlog", case, "calls/s") for case in ("PostgREST", "HubSpot, with contacts")
        },
        memory_idle=find("cost", "memory, idle after the load (MB)", "figure"),
        memory_pending=find("cost", "memory, the most with 1 million pending calls (MB)", "figure"),
    )


def _all_figures(report: Report) -> Iterator[tuple[tuple[str, str, str], float]]:
    for result in report.results:
        for row in result.rows:
            for column, figure in zip(result.columns, row.figures, strict=True):
                if figure is not None:
                    yield (result.name, row.case, column), figure
