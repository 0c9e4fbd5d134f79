"""Units of time, and the words around them."""

from typing import Final

import msgspec


class UnitTexts(msgspec.Struct, frozen=True, kw_only=True):
    """The units. `months`: twelve abbreviations, separated by spaces."""

    second: str
    minute: str
    hour: str
    day: str
    ago: str
    just_now: str
    months: str


ENGLISH: Final = UnitTexts(
    second="s",
    minute="min",
    hour="h",
    day="d",
    ago="{duration} ago",
    just_now="just now",
    months="Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
)

SPANISH: Final = UnitTexts(
    second="s",
    minute="min",
    hour="h",
    day="d",
    ago="hace {duration}",
    just_now="ahora mismo",
    months="ene feb mar abr may jun jul ago sep oct nov dic",
)
