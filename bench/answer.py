"""What a bench says: figures with their units, what they were measured on, the bounds they keep."""

from typing import Final

import msgspec

_WHOLE_FROM: Final = 100
_TENTHS_FROM: Final = 10


class BenchError(Exception):
    """Nothing could be measured, or what was measured was not the relay at its work; says why."""


class Figure(msgspec.Struct, frozen=True):
    """One number. `of` says which one where there are several; it keeps its bound while it is below."""

    of: str
    value: float
    unit: str
    bound: float | None = None

    @property
    def holds(self) -> bool:
        """Whether it keeps its bound; without one it always does."""
        return self.bound is None or self.value < self.bound

    def __str__(self) -> str:
        shown = f"{self.of} {_rounded(self.value)} {self.unit}".lstrip()
        if self.bound is None:
            return shown
        return f"{shown} ({'bound' if self.holds else 'BROKEN, bound'} < {self.bound:g} {self.unit})"


class Answer(msgspec.Struct, frozen=True):
    """The answer to one question, a line."""

    question: str
    figures: tuple[Figure, ...]
    measured_on: str

    @property
    def holds(self) -> bool:
        """Whether every figure keeps its bound."""
        return all(figure.holds for figure in self.figures)

    def __str__(self) -> str:
        return f"{self.question}  {', '.join(map(str, self.figures))} — {self.measured_on}"


def _rounded(value: float) -> str:
    """To about three digits: more would be noise."""
    if value >= _WHOLE_FROM:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= _TENTHS_FROM else f"{value:.2f}"
