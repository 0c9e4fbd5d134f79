"""The chart of the overview: bars for calls and a line for events, hour by hour."""

from collections.abc import Sequence
from typing import Final

import msgspec

from relay.console.formats import Formats
from relay.instants import iso
from relay.operations.activity import Hour

WIDTH: Final = 720
HEIGHT: Final = 168
_TOP: Final = 10
_BOTTOM: Final = 24
LEFT: Final = 64
"""The place of the numbers of the scale; a narrow chart has larger ones."""
_GAP: Final = 4


class Bar(msgspec.Struct, frozen=True):
    """One hour: the bar of its calls, the point of its events, and the label below; empty for most hours."""

    hour: str
    calls: int
    events: int
    x: float
    y: float
    width: float
    height: float
    label: str
    is_odd: bool
    """Whether a narrow chart leaves out the label."""


class GridLine(msgspec.Struct, frozen=True):
    y: float
    label: str


class Chart(msgspec.Struct, frozen=True):
    """`events`: the points of the line of events, as SVG has them."""

    bars: list[Bar]
    grid: list[GridLine]
    events: str
    calls_total: int
    events_total: int
    left: int = LEFT
    width: int = WIDTH
    height: int = HEIGHT


def draw_chart(hours: Sequence[Hour], formats: Formats) -> Chart:
    """Place the hours in a chart. Both numbers have the same scale."""
    top = round_up(max((max(hour.calls, hour.events) for hour in hours), default=0))
    slot = (WIDTH - LEFT) / max(len(hours), 1)
    usable = HEIGHT - _TOP - _BOTTOM

    def y_of(value: float) -> float:
        return round(_TOP + usable * (1 - value / top), 1)

    bars = []
    for number, hour in enumerate(hours):
        local = formats.local(iso(hour.began_at) or "")
        bars.append(
            Bar(
                hour=f"{formats.day(local.date())} {local:%H:%M}",
                calls=hour.calls,
                events=hour.events,
                x=round(LEFT + slot * number + _GAP / 2, 1),
                y=y_of(hour.calls),
                width=round(slot - _GAP, 1),
                height=round(HEIGHT - _BOTTOM - y_of(hour.calls), 1),
                label=f"{local:%H}" if local.hour % 3 == 0 else "",
                is_odd=local.hour % 6 != 0,
            )
        )
    return Chart(
        bars=bars,
        grid=[GridLine(y_of(top * part), formats.number(round(top * part))) for part in (0, 0.5, 1)],
        events=" ".join(f"{bar.x + bar.width / 2:.1f},{y_of(bar.events)}" for bar in bars),
        calls_total=sum(hour.calls for hour in hours),
        events_total=sum(hour.events for hour in hours),
    )


def round_up(value: int) -> int:
    """Return the top of a scale: an even number with one digit and zeros, at least as large as the value."""
    power = 1
    while True:
        for step in (2, 4, 6, 8, 10):
            if step * power >= value:
                return step * power
        power *= 10
