"""The figures that matter most, with their goals. Each is a figure of one of the results."""

from collections.abc import Iterator
from typing import Final

import msgspec

from bench.result import Report
from bench.table import format_figure


class Highlight(msgspec.Struct, frozen=True):
    """A figure: its name for people, where it is in the results, and its goal."""

    name: str
    result: str
    case: str
    column: str
    at_most: float | None = None
    at_least: float | None = None

    def is_reached(self, value: float) -> bool:
        """Return whether the goal is reached."""
        too_large = self.at_most is not None and value > self.at_most
        return not too_large and (self.at_least is None or value >= self.at_least)

    @property
    def goal(self) -> str:
        """The goal, as `≤ 30`."""
        return f"≥ {self.at_least:,g}" if self.at_most is None else f"≤ {self.at_most:,g}"


_EVERYTHING: Final = "SQLite, mission, everything on, 64 connections"
_ACCEPT: Final = "SQLite, mission, accept only, 64 connections"

GOAL_COLUMNS: Final = ("", "measured", "goal", "reached")

HIGHLIGHTS: Final = (
    Highlight(
        "CPU time per event, received to delivered, a bare endpoint's request = 1",
        "accept",
        _EVERYTHING,
        "CPU / bare",
        at_most=4.5,
    ),
    Highlight("the same, accepting only", "accept", _ACCEPT, "CPU / bare", at_most=2.5),
    Highlight(
        "events accepted per second while it folds and delivers, a bare endpoint's = 1",
        "accept",
        _EVERYTHING,
        "rate / bare",
        at_least=0.2,
    ),
    Highlight(
        "response at full speed over 64 connections, p99 (ms)", "accept", _EVERYTHING, "p99 ms", at_most=30
    ),
    Highlight(
        "from event to row in Supabase at 200 events/s, p95 (ms)",
        "freshness",
        "PostgREST, 200 events/s",
        "p95 ms",
        at_most=5,
    ),
    Highlight(
        "from event to row in Supabase at 1,000 events/s, p95 (ms)",
        "freshness",
        "PostgREST, 1,000 events/s",
        "p95 ms",
        at_most=15,
    ),
    Highlight(
        "end to end into Supabase (events/s)",
        "end_to_end",
        "SQLite → PostgREST",
        "events/s",
        at_least=5_000,
    ),
    Highlight("backlog into Supabase (calls/s)", "backlog", "PostgREST", "calls/s", at_least=10_000),
    Highlight("the same, rows in a request", "backlog", "PostgREST", "calls/request", at_least=50),
    Highlight(
        "requests per call, backlog into HubSpot",
        "backlog",
        "HubSpot, without contacts",
        "requests/call",
        at_most=0.03,
    ),
    Highlight("the same, with contacts", "backlog", "HubSpot, with contacts", "requests/call", at_most=0.08),
    Highlight(
        "CPU time with 1 million events in the ledger, with 10 thousand = 1",
        "growth",
        "1 million events",
        "CPU / smallest",
        at_most=1.11,
    ),
    Highlight(
        "CPU time with 5 million events in the ledger, with 10 thousand = 1",
        "growth",
        "5 million events",
        "CPU / smallest",
        at_most=1.11,
    ),
    Highlight(
        "memory, idle after a load (MB)", "cost", "memory, idle after the load (MB)", "figure", at_most=90
    ),
    Highlight(
        "memory, 1 million calls pending (MB)",
        "cost",
        "memory, the most with 1 million pending calls (MB)",
        "figure",
        at_most=200,
    ),
    Highlight(
        "start to ready, existing ledger (s)",
        "cost",
        "start to ready, existing ledger (s)",
        "figure",
        at_most=0.6,
    ),
)


def goal_rows(report: Report) -> list[tuple[str, str, str, str]]:
    """Return the cells of the table of goals: name, figure, goal, and "no" if it is not reached."""
    return [
        (highlight.name, format_figure(figure), highlight.goal, "" if highlight.is_reached(figure) else "no")
        for highlight, figure in find_highlights(report)
    ]


def find_highlights(report: Report) -> Iterator[tuple[Highlight, float]]:
    """Yield the highlights that were measured, with their figures."""
    figures = {
        (result.name, row.case, column): figure
        for result in report.results
        for row in result.rows
        for column, figure in zip(result.columns, row.figures, strict=True)
    }
    for highlight in HIGHLIGHTS:
        figure = figures.get((highlight.result, highlight.case, highlight.column))
        if figure is not None:
            yield highlight, figure
