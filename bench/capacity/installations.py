"""The installations that are compared, and how many events a second each of them holds."""

import math
from typing import Final

import msgspec

from bench.capacity.figures import Figures, Service

DATABASE_CORES: Final = 2


class Installation(msgspec.Struct, frozen=True):
    """So many processes of the relay on so many cores in all. `service`: what an event costs there.

    Each process uses at most one core, because Python has one interpreter lock in each. One process
    does the fold and the delivery of all events. `apart`: it accepts none; otherwise all accept their share.
    """

    name: str
    cores: int
    processes: int
    service: Service
    apart: bool = False
    database_cores: int = 0

    def cpu_limit(self) -> float:
        """Return the events per second for which the cores suffice."""
        return min(self.cores, self.processes) / self.service.full

    def fold_limit(self) -> float:
        """Return the events per second at which the process that folds uses a core."""
        is_apart = self.apart and self.processes > 1
        share = 0.0 if is_apart else 1 / self.processes
        return 1 / (self.service.accept * share + self.service.work)

    def accept_limit(self) -> float:
        """Return the events per second at which each process that accepts uses a core for it."""
        accepting = max(self.processes - 1, 1) if self.apart else self.processes
        return accepting / self.service.accept

    def database_limit(self) -> float:
        """Return the events per second for which the cores of PostgreSQL suffice; infinite with SQLite."""
        database = self.service.database
        return self.database_cores / database if database else math.inf

    def rate(self) -> float:
        """Return the events per second that it holds."""
        return min(self.cpu_limit(), self.accept_limit(), self.fold_limit(), self.database_limit())

    def busy_cores(self, rate: float) -> float:
        """Return the mean number of cores that it uses at a rate.

        At low rates each event has transactions of its own. Under load they share them, so that the cost of
        an event falls while the cores are already busy.
        """
        used = min(rate * self.service.alone, float(min(self.cores, self.processes)))
        return max(used, rate * self.service.full)


def installations(figures: Figures) -> tuple[Installation, ...]:
    """Return the installations of docs/capacity.md."""
    # Two processes on one SQLite file notify each other, which costs; it was measured in all, not by stage.
    one, more = figures.sqlite, figures.two_workers / figures.sqlite.full
    two_workers = Service(one.accept * more, one.work * more, one.alone * more, 0.0)
    return (
        Installation("1 core, 1 process, SQLite", 1, 1, one),
        Installation("2 cores, 1 process, SQLite", 2, 1, one),
        Installation("2 cores, 2 processes, SQLite", 2, 2, two_workers, apart=True),
        Installation("3 cores, 3 relays, PostgreSQL", 3, 3, figures.postgres, database_cores=DATABASE_CORES),
    )
