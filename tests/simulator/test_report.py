import pytest

from relay.simulator.report import percentiles_ms


@pytest.mark.parametrize(
    ("latencies", "percentiles"),
    [([], (None, None)), ([0.002], (2.0, 2.0)), ([n / 1000 for n in range(101)], (50.0, 95.0))],
)
def test_percentiles_are_in_milliseconds(
    latencies: list[float], percentiles: tuple[float | None, float | None]
) -> None:
    assert percentiles_ms(latencies) == percentiles
