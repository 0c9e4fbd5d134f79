"""The rows that began about the time of another one and have its number: they may fit the same call."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from relay.call import CallEvent
from relay.fold.ambiguous import NEAR
from relay.fold.matching import customer_number
from relay.instants import Instant

_FIRST: Final = Instant(-(2**62))
_LAST: Final = Instant(2**62)


class NearbyRows:
    """The rows of a page, and the last rows of the page before, which are newer.

    `newer`: None if they exist and are not known, because another process read that page. `has_older`:
    whether older rows follow, on another page or in another window. `last`: the rows that may fit the same
    calls as those of the next page.
    """

    def __init__(
        self, page: Sequence[CallEvent], newer: Sequence[CallEvent] | None, *, has_older: bool
    ) -> None:
        starts = [start for event in page if (start := _start(event)) is not None]
        oldest = min(starts, default=_LAST)
        self._known_from = oldest + NEAR if has_older else _FIRST
        self._known_until = max(starts, default=_FIRST) - NEAR if newer is None else _LAST
        self._by_number: defaultdict[str, list[CallEvent]] = defaultdict(list)
        for event in (*(newer or ()), *page):
            if (number := customer_number(event)) is not None:
                self._by_number[number].append(event)
        self.last = [event for event in page if (at := _start(event)) is not None and at <= oldest + NEAR]

    def around(self, group: Sequence[CallEvent]) -> list[CallEvent]:
        """Return the other rows that may fit the same calls as a row of the group."""
        own = {id(event) for event in group}
        found = {
            id(other): other
            for event in group
            if (number := customer_number(event)) is not None
            for other in self._by_number[number]
            if id(other) not in own and _are_near(event, other)
        }
        return list(found.values())

    def edges(self, group: Iterable[CallEvent]) -> list[int]:
        """Return the indexes of the rows for which there may be other ones on a page that is not known."""
        return [
            index
            for index, event in enumerate(group)
            if (at := _start(event)) is not None and not self._known_from <= at <= self._known_until
        ]


def _start(event: CallEvent) -> Instant | None:
    start: Instant | None = event.fact("started_at")
    return start


def _are_near(event: CallEvent, other: CallEvent) -> bool:
    start, other_start = _start(event), _start(other)
    return start is not None and other_start is not None and abs(start - other_start) <= NEAR
