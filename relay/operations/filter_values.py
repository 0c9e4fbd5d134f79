"""Reads what a person writes into the fields of a filter: times, statuses, directions, states of deliveries.

All functions raise `FilterError`, whose text says what is expected.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from crm_clients.settings import DEFAULT_LABELS, DestinationSettings
from relay.call import Status
from relay.instants import Instant
from relay.ledger.states import DeliveryState
from relay.operations.call_list import FilterError
from relay.standards.words import fold_words

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
UNKNOWN: Final = "unknown"
DIRECTIONS: Final = ("inbound", "outbound", "internal", UNKNOWN)


def parse_time(field: str, written: str, zone: ZoneInfo) -> Instant:
    """Return the time; a date is its midnight. Without an offset it is in this zone.

    When the clocks change, a time exists twice or not at all. Then `since` is the earlier and `until` the
    later of both readings, so that no call is left out.
    """
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise FilterError(
            field, "expected a date such as 2024-11-28, or a time such as 2024-11-28T10:30:00"
        ) from None
    if moment.tzinfo is not None:
        return _instant(moment)
    readings = [_instant(moment.replace(tzinfo=zone, fold=fold)) for fold in (0, 1)]
    return max(readings) if field == "until" else min(readings)


def _instant(moment: datetime) -> Instant:
    return Instant((moment - _EPOCH) // _MICROSECOND)


def parse_statuses(
    written: Iterable[str], destinations: Mapping[str, DestinationSettings]
) -> frozenset[Status]:
    """Return the statuses that these words mean: the status itself, or its label in any CRM.

    A label may be that of several statuses: "Completada" is answered or completed.
    """
    return frozenset(status for word in written for status in _parse_status(word, destinations))


def _parse_status(written: str, destinations: Mapping[str, DestinationSettings]) -> set[Status]:
    words = fold_words(written)
    meant = {status for status in Status if words in _words_of(status, destinations)}
    if not meant:
        expected = ", ".join(Status)
        raise FilterError(
            "status", f"no status is called {written!r}; expected {expected}, or a label of a CRM"
        )
    return meant


def _words_of(status: Status, destinations: Mapping[str, DestinationSettings]) -> set[tuple[str, ...]]:
    labels = {DEFAULT_LABELS[status]}
    labels |= {settings.label(status) for settings in destinations.values()}
    return {fold_words(text) for text in (status, *labels)}


def parse_directions(written: Iterable[str]) -> frozenset[str]:
    """Return the directions as `CallFilter` has them."""
    return frozenset(_parse_direction(word) for word in written)


def _parse_direction(written: str) -> str:
    direction = written.strip().lower()
    if direction not in DIRECTIONS:
        raise FilterError(
            "direction", f"no direction is called {written!r}; expected {', '.join(DIRECTIONS)}"
        )
    return "" if direction == UNKNOWN else direction


def parse_delivery_states(written: Iterable[str]) -> frozenset[DeliveryState]:
    return frozenset(_parse_delivery_state(word) for word in written)


def _parse_delivery_state(written: str) -> DeliveryState:
    try:
        return DeliveryState(written.strip().lower())
    except ValueError:
        expected = ", ".join(DeliveryState)
        raise FilterError(
            "delivery", f"no state of a delivery is called {written!r}; expected {expected}"
        ) from None
