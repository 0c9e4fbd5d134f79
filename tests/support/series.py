"""Measurements of time that hold on a machine which stalls now and then."""

from collections.abc import Callable, Sequence


def two_of_three_are_good(
    measure: Callable[[], Sequence[float]], is_good: Callable[[Sequence[float]], bool]
) -> None:
    """Measure series of seconds until two are good, and fail at the second that is not.

    A machine that stalls once delays one series. A fault of the code that comes and goes delays several.
    """
    series: list[Sequence[float]] = []
    good = 0
    while good < 2:
        series.append(measure())
        good += is_good(series[-1])
        assert len(series) - good < 2, series
