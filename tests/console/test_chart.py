"""The chart of the overview."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from relay.console.chart import draw_chart, round_up
from relay.console.formats import Formats
from relay.console.texts import ENGLISH
from relay.instants import SECOND, Instant
from relay.operations.activity import Hour

FORMATS = Formats(ENGLISH.units, ZoneInfo("UTC"), datetime(2026, 11, 27, 3, tzinfo=UTC))
START = 1_795_737_600  # 2026-11-27 00:00 UTC


def hours(*numbers: tuple[int, int]) -> list[Hour]:
    return [Hour(Instant((START + n * 3_600) * SECOND), *each) for n, each in enumerate(numbers)]


@pytest.mark.parametrize(
    ("value", "top"), [(0, 2), (2, 2), (3, 4), (10, 10), (11, 20), (40, 40), (41, 60), (999, 1_000)]
)
def test_the_top_of_the_scale_is_an_even_round_number(value: int, top: int) -> None:
    assert round_up(value) == top


def test_bars_and_points_have_the_same_scale() -> None:
    chart = draw_chart(hours((0, 0), (5, 10), (10, 20)), FORMATS)
    assert [line.label for line in chart.grid] == ["0", "10", "20"]
    assert [bar.height for bar in chart.bars] == [0.0, 33.5, 67.0]
    points = [point.split(",") for point in chart.events.split()]
    assert [float(y) for _, y in points] == [144.0, 77.0, 10.0]
    middles = [bar.x + bar.width / 2 for bar in chart.bars]
    assert [float(x) for x, _ in points] == pytest.approx(middles, abs=0.06)
    assert (chart.calls_total, chart.events_total) == (15, 30)


def test_every_third_hour_has_a_label() -> None:
    chart = draw_chart(hours(*[(0, 0)] * 7), FORMATS)
    assert [bar.label for bar in chart.bars] == ["00", "", "", "03", "", "", "06"]
    assert chart.bars[4].hour == "27 Nov 04:00"
