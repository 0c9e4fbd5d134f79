import pytest

from bench.capacity.traffic import (
    CAMPAIGN_DAYS,
    DAYS,
    HOURS,
    MONTHS,
    OUTAGE_DAY,
    STEPS_OF_DAY,
    generate_events,
    share_of_peak,
)


def test_the_same_seed_gives_the_same_year() -> None:
    days = [list(generate_events(2.0, range(3))) for _ in range(2)]
    assert days[0] == days[1]
    assert len(days[0]) == 3 * STEPS_OF_DAY


def test_the_day_week_and_year_have_their_curves() -> None:
    assert (len(HOURS), len(MONTHS)) == (24, 12)
    assert share_of_peak(0, 10) == 1.0
    assert share_of_peak(0, 3) < 0.02
    assert share_of_peak(6, 10) == 0.1  # a Sunday
    assert share_of_peak(14, 11) == 3 * share_of_peak(7, 11)  # a campaign
    assert share_of_peak(14, 15) == share_of_peak(7, 15)


def test_the_outage_is_on_the_busiest_day() -> None:
    assert OUTAGE_DAY in CAMPAIGN_DAYS
    sums = [sum(share_of_peak(day, hour) for hour in range(24)) for day in range(DAYS)]
    assert sums[OUTAGE_DAY] == max(sums)


@pytest.mark.parametrize("peak_rate", [0.02, 5.0])
def test_the_events_follow_the_curve_at_low_and_at_high_rates(peak_rate: float) -> None:
    days = range(60)
    events = sum(generate_events(peak_rate, days))
    expected = sum(share_of_peak(day, hour) for day in days for hour in range(24)) * 3_600 * peak_rate
    assert events == pytest.approx(expected, rel=0.05)
