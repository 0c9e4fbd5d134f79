"""Units of time, and the words around them."""

from typing import Final

import msgspec


class UnitTexts(msgspec.Struct, frozen=True, kw_only=True):
    """The units. `months`: twelve abbreviations, separated by spaces. `clock_on_day`: a time of another day."""

    second: str
    minute: str
    hour: str
    day: str
    ago: str
    just_now: str
    months: str
    clock_on_day: str


ENGLISH: Final = UnitTexts(
    second="s",
    minute="min",
    hour="h",
    day="d",
    ago="{duration} ago",
    just_now="just now",
    months="Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    clock_on_day="{clock} on {day}",
)

SPANISH: Final = UnitTexts(
    second="s",
    minute="min",
    hour="h",
    day="d",
    ago="hace {duration}",
    just_now="ahora mismo",
    months="ene feb mar abr may jun jul ago sep oct nov dic",
    clock_on_day="{clock} del {day}",
)
