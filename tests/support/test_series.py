"""Two good series of three are required."""

import pytest

from tests.support.series import two_of_three_are_good


@pytest.mark.parametrize("slow", ["001", "010", "100", "000"])
def test_one_slow_series_is_accepted(slow: str) -> None:
    seconds = iter(slow)
    two_of_three_are_good(lambda: [float(next(seconds))], lambda series: max(series) < 1)


@pytest.mark.parametrize("slow", ["011", "101", "110"])
def test_two_slow_series_fail(slow: str) -> None:
    seconds = iter(slow)
    with pytest.raises(AssertionError, match=r"\[1\.0\]"):
        two_of_three_are_good(lambda: [float(next(seconds))], lambda series: max(series) < 1)
