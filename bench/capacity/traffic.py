"""A year of a call centre's events. The same seed gives the same year."""

import math
import random
from collections.abc import Iterator
from typing import Final

STEP_SECONDS: Final = 300
STEPS_OF_HOUR: Final = 3_600 // STEP_SECONDS
STEPS_OF_DAY: Final = 24 * STEPS_OF_HOUR
DAYS: Final = 365

HOURS: Final = (
    *(0.01, 0.01, 0.01, 0.01, 0.01, 0.02, 0.05, 0.15, 0.45, 0.80, 1.00, 1.00),
    *(0.90, 0.70, 0.65, 0.85, 0.95, 0.90, 0.70, 0.45, 0.25, 0.12, 0.05, 0.02),
)
"""The rate in each hour of a day, as a share of the busiest hour."""

WEEKDAYS: Final = (1.0, 0.95, 0.9, 0.9, 0.85, 0.25, 0.1)
"""The rate on each day of the week, as a share of Monday's."""

MONTHS: Final = (1.0, 0.95, 1.0, 0.95, 1.0, 0.9, 0.75, 0.6, 1.0, 1.05, 1.25, 1.2)
"""The rate in each month: November and December are busy, the summer is calm."""

CAMPAIGN_DAYS: Final = tuple(range(14, DAYS, 28))
"""A campaign in every fourth week, on a Monday."""

CAMPAIGN_HOURS: Final = range(10, 13)
CAMPAIGN_FACTOR: Final = 3.0
OUTAGE_DAY: Final = 322
"""The CRM is down for this whole day, a Monday in November with a campaign: the busiest of the year."""

HOURLY_SPREAD: Final = 0.15
"""How much an hour differs from its curve: the standard deviation of its factor."""

_SEED: Final = 2026
_NORMAL_FROM: Final = 50.0
"""From this mean on, independent events are distributed like a normal distribution, which is drawn faster."""


def generate_events(peak_rate: float, days: range) -> Iterator[int]:
    """Yield the number of events of each step. `peak_rate`: events per second in the busiest normal hour."""
    generator = random.Random(_SEED)  # noqa: S311 - a simulation
    for day in days:
        for hour in range(24):
            spread = max(generator.gauss(1.0, HOURLY_SPREAD), 0.0)
            mean = STEP_SECONDS * peak_rate * share_of_peak(day, hour) * spread
            for _ in range(STEPS_OF_HOUR):
                yield _draw(generator, mean)


def share_of_peak(day: int, hour: int) -> float:
    """Return the rate in an hour of the year, as a share of the busiest normal hour."""
    campaign = CAMPAIGN_FACTOR if day in CAMPAIGN_DAYS and hour in CAMPAIGN_HOURS else 1.0
    return HOURS[hour] * WEEKDAYS[day % 7] * MONTHS[day * 12 // DAYS] * campaign


def _draw(generator: random.Random, mean: float) -> int:
    """Draw the number of independent events with this mean."""
    if mean >= _NORMAL_FROM:
        return max(round(generator.gauss(mean, math.sqrt(mean))), 0)
    limit, product, number = math.exp(-mean), generator.random(), 0
    while product > limit:
        product *= generator.random()
        number += 1
    return number
