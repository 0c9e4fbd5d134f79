"""The result of a benchmark: figures with their units and limits, and the conditions."""

from typing import Final

import msgspec

_NO_DECIMALS_FROM: Final = 100
_ONE_DECIMAL_FROM: Final = 10


class BenchError(Exception):
    """The benchmark failed, or the relay did not do its work correctly while it was measured."""


class Figure(msgspec.Struct, frozen=True):
    """One number. `label` distinguishes several figures of a result. It must be below its `limit`."""

    label: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def is_within_limit(self) -> bool:
        return self.limit is None or self.value < self.limit

    def __str__(self) -> str:
        shown = f"{self.label} {_format(self.value)} {self.unit}".lstrip()
        if self.limit is None:
            return shown
        return f"{shown} ({'limit' if self.is_within_limit else 'EXCEEDS LIMIT'} {self.limit:g} {self.unit})"


class Result(msgspec.Struct, frozen=True):
    """The figures of one benchmark, and under which conditions they were measured."""

    title: str
    figures: tuple[Figure, ...]
    conditions: str

    @property
    def is_within_limits(self) -> bool:
        return all(figure.is_within_limit for figure in self.figures)

    def __str__(self) -> str:
        return f"{self.title}: {', '.join(map(str, self.figures))} — {self.conditions}"


def _format(value: float) -> str:
    """Format with about three digits; more would not be repeatable."""
    if value >= _NO_DECIMALS_FROM:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= _ONE_DECIMAL_FROM else f"{value:.2f}"
