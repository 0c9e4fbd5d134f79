"""The tables of docs/capacity.md."""

import math
from collections.abc import Iterable
from statistics import mean
from typing import Final

import msgspec

from bench.accept import EVENTS_PER_CALL
from bench.capacity import traffic
from bench.capacity.figures import Figures
from bench.capacity.installations import DATABASE_CORES, Installation, installations
from bench.capacity.traffic import DAYS, OUTAGE_DAY, generate_events, share_of_peak
from bench.capacity.year import Year, replay
from bench.result import Result, Row
from relay.settings.models import Privacy

CALLS_OF_AGENT: Final = 5
"""Calls of an agent in the busiest hour of a normal day."""

COMPANY_AGENTS: Final = 1_000
CUSTOMERS: Final = 5_000
AGENTS_OF_CUSTOMER: Final = 20
EVENTS_OF_CALL: Final = EVENTS_PER_CALL["mission"]
_RETENTION: Final = Privacy()
_LARGER_DATABASE_CORES: Final = (8, 32)
_MICROSECONDS: Final = 1_000_000
_MILLION: Final = 1_000_000
_GB: Final = 1_000_000_000
_EVENTS_SECONDS: Final = _RETENTION.events_days * 24 * 3_600
_SHARES: Final = [share_of_peak(day, hour) for day in range(DAYS) for hour in range(24)]


class Load(msgspec.Struct, frozen=True):
    """The events of so many agents."""

    name: str
    agents: int

    @property
    def peak_rate(self) -> float:
        """Events per second in the busiest hour of a normal day."""
        return self.agents * CALLS_OF_AGENT * EVENTS_OF_CALL / 3_600


COMPANY: Final = Load("a company", COMPANY_AGENTS)
EVERYBODY: Final = Load("all customers", CUSTOMERS * AGENTS_OF_CUSTOMER)


def build_tables(figures: Figures, days: range = range(DAYS)) -> tuple[Result, ...]:
    """Return all tables. `days`: of the year that is replayed."""
    small, one, two, three = found = installations(figures)
    runs = [
        (COMPANY, small, "HubSpot, with contacts"),
        (COMPANY, small, "PostgREST"),
        *((EVERYBODY, each, "PostgREST") for each in (small, one, two, three)),
    ]
    events = {each.name: list(generate_events(each.peak_rate, days)) for each in (COMPANY, EVERYBODY)}
    years = {
        (f"{load.name}, {installation.name}", crm): replay(
            events[load.name],
            installation,
            figures.latencies,
            crm_rate=figures.drain_rates[crm],
            events_per_call=EVENTS_OF_CALL,
            outage_day=OUTAGE_DAY - days.start,
        )
        for load, installation, crm in runs
    }
    return (
        _assumptions(),
        _service_times(figures),
        _limits(figures, found),
        _years({name: year for (name, crm), year in years.items() if crm == "PostgREST"}),
        _outages({f"{name} → {crm}": year for (name, crm), year in years.items()}),
        _growth(figures),
        _ledgers(figures, {name: sum(counts) / len(days) for name, counts in events.items()}),
        _ends(figures, three),
    )


def _assumptions() -> Result:
    campaign = len(traffic.CAMPAIGN_HOURS)
    rows = {
        "calls of an agent in the busiest hour of a normal day": CALLS_OF_AGENT,
        "events of a call, in the mission's dialect": EVENTS_OF_CALL,
        "agents of one large company": COMPANY_AGENTS,
        "customers of CloudTalk": CUSTOMERS,
        "agents of a customer": AGENTS_OF_CUSTOMER,
        "Saturday and Sunday together, a Monday = 1": sum(traffic.WEEKDAYS[5:]),
        "the busiest month, January = 1": max(traffic.MONTHS),
        "the calmest month, January = 1": min(traffic.MONTHS),
        "campaigns in a year": len(traffic.CAMPAIGN_DAYS),
        "hours of a campaign": campaign,
        "rate during a campaign, without = 1": traffic.CAMPAIGN_FACTOR,
        "standard deviation of an hour from its curve": traffic.HOURLY_SPREAD,
        "hours of the CRM's outage, on the busiest day": 24,
        "cores of PostgreSQL": DATABASE_CORES,
        "days for which events are kept (default setting)": _RETENTION.events_days,
        "days for which calls are kept (default setting)": _RETENTION.calls_days,
    }
    return _table(
        "What is assumed?",
        "The reasons are in docs/capacity.md, under Assumptions.",
        ("value",),
        [Row(name, (value,)) for name, value in rows.items()],
    )


def _service_times(figures: Figures) -> Result:
    return _table(
        "What does an event cost?",
        "CPU time of all processes of the relay, measured by `make bench`. Alone: one connection, so each "
        "event has transactions of its own. At load: 64 connections, whose events share transactions.",
        ("alone µs", "at load µs", "of which accept µs", "of which fold and delivery µs", "PostgreSQL µs"),
        [
            Row(
                name,
                (
                    *(seconds * _MICROSECONDS for seconds in (each.alone, each.full, each.accept, each.work)),
                    each.database * _MICROSECONDS or None,
                ),
            )
            for name, each in (("SQLite", figures.sqlite), ("PostgreSQL", figures.postgres))
        ],
    )


def _limits(figures: Figures, found: Iterable[Installation]) -> Result:
    cases = ("SQLite, 1 worker", "SQLite, 1 worker", "SQLite, 2 workers", "PostgreSQL, 3 relays")
    return _table(
        "What does an installation hold?",
        "Events per second, received to delivered. The first four columns are computed from the costs, "
        "for cores of its own: what all cores, the processes that accept, the one process that folds, "
        "and PostgreSQL suffice for. The lowest counts. Measured: on the machine of the benchmarks, "
        "shared with the load generator and PostgreSQL. Agents: so many that the busiest hour of the "
        "year, on a campaign day, is held.",
        ("all cores", "accept", "fold", "PostgreSQL", "holds", "measured", "agents"),
        [
            Row(
                each.name,
                (
                    each.cpu_limit(),
                    each.accept_limit(),
                    each.fold_limit(),
                    _finite(each.database_limit()),
                    each.rate(),
                    figures.rates[case],
                    _agents(each.rate()),
                ),
            )
            for each, case in zip(found, cases, strict=True)
        ],
    )


def _years(years: dict[str, Year]) -> Result:
    return _table(
        "A year without the outage",
        "Latency from event to row in the CRM: the one that was measured for one process on SQLite at the "
        "same load, and the wait in the queues. Waiting: the most events that were accepted and not "
        "folded. Busy: the mean of all hours.",
        ("million events", "peak events/s", "cores busy", "p50 s", "p95 s", "p99 s", "longest s", "waiting"),
        [
            Row(
                name,
                (
                    year.events / _MILLION,
                    year.peak_rate,
                    year.busy_cores,
                    *(year.latencies.percentile(percent) for percent in (50, 95, 99)),
                    year.latencies.longest,
                    round(year.most_waiting),
                ),
            )
            for name, year in years.items()
        ],
    )


def _outages(years: dict[str, Year]) -> Result:
    return _table(
        "The CRM is down for a day",
        "Pending: the most calls that waited for the CRM. Drained: from the end of the outage until "
        "nothing is pending, while events continue to arrive. Longest: from an event to its row.",
        ("calls pending", "drained s", "longest h"),
        [
            Row(name, (year.most_pending, year.drain_seconds, year.longest_of_outage / 3_600))
            for name, year in years.items()
        ],
    )


def _growth(figures: Figures) -> Result:
    return _table(
        "What grows?",
        "Disk: as SQLite uses it after a vacuum.",
        ("figure",),
        [
            Row("disk of an event, until events are deleted (bytes)", (figures.event_bytes,)),
            Row("disk of a call with one delivery, until calls are deleted (bytes)", (figures.call_bytes,)),
            Row("memory, idle after a load (MB)", (figures.memory_idle,)),
            Row("memory, with a million pending calls (MB)", (figures.memory_pending,)),
        ],
    )


def _ledgers(figures: Figures, events_of_day: dict[str, float]) -> Result:
    rows = []
    for name, events in events_of_day.items():
        of_events = _RETENTION.events_days * events * figures.event_bytes / _GB
        of_calls = _RETENTION.calls_days * events / EVENTS_OF_CALL * figures.call_bytes / _GB
        rows.append(Row(name, (events, of_events + of_calls, of_events, of_calls)))
    return _table(
        "How large does the ledger become?",
        "From the day on which the first calls are deleted, it grows no more. Without backups.",
        ("events of a mean day", "GB", "of which events", "of which calls"),
        rows,
    )


def _ends(figures: Figures, relays: Installation) -> Result:
    service = relays.service
    rates = {
        "one process that folds, and accepts nothing": 1 / service.work,
        "fold sharded by call over 4 processes": 4 / service.work,
        f"PostgreSQL with {DATABASE_CORES} cores": DATABASE_CORES / service.database,
        **{f"PostgreSQL with {cores} cores": cores / service.database for cores in _LARGER_DATABASE_CORES},
    }
    return _table(
        "Where does it end?",
        "Computed from the costs on PostgreSQL. All customers: their busiest hour of the year = 1. Events "
        "GB: what the ledger has of events if this is the rate of that hour.",
        ("events/s", "all customers = 1", "agents", "events GB"),
        [
            Row(
                name,
                (
                    rate,
                    rate / (EVERYBODY.peak_rate * max(_SHARES)),
                    _agents(rate),
                    rate * mean(_SHARES) / max(_SHARES) * _EVENTS_SECONDS * figures.event_bytes / _GB,
                ),
            )
            for name, rate in rates.items()
        ],
    )


def _agents(rate: float) -> float:
    """Return for how many agents this rate suffices in the busiest hour of the year."""
    return rate * 3_600 / (CALLS_OF_AGENT * EVENTS_OF_CALL * max(_SHARES))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _table(question: str, conditions: str, columns: tuple[str, ...], rows: Iterable[Row]) -> Result:
    return Result("capacity", question, conditions, columns, tuple(map(_round, rows)))


def _round(row: Row) -> Row:
    """Round to three digits: more would pretend that the assumptions are exact."""
    return Row(
        row.case,
        tuple(float(f"{each:.3g}") if isinstance(each, float) else each for each in row.figures),
    )
