import pytest

from relay.standards.intervals import format_interval


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (3_600, "1 h"),
        (3_660, "1 h 1 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d"),
        (86_400 + 3_599, "1 d"),
        (7 * 86_400 + 3_600, "7 d 1 h"),
    ],
)
def test_an_interval_has_its_two_largest_units(seconds: int, text: str) -> None:
    assert format_interval(seconds) == text
