"""What is to be done about a mark. Pure."""

from enum import Enum, auto
from typing import ClassVar

from crm_clients.base import Outcome
from crm_clients.settings import When
from relay.call import DELIVERED_FIELDS, is_wanted
from relay.ledger.deliveries import Due


class Purpose(Enum):
    """Why a mark is taken."""

    BRING = auto()
    LOOK = auto()
    """The CRM has this version; a replay asks whether it still does."""
    TAKE_BACK = auto()
    SKIP = auto()
    """It should not be there, and never was."""
    FILTER = auto()
    """It was never there, and the destination does not want it as it is now."""


class Found(Outcome, frozen=True, kw_only=True):
    """The CRM still has what was looked for. Whether it would take a call, this does not say."""

    word: ClassVar[str] = "found"


def purpose_of(mark: Due, when: When, *, forward_internal: bool) -> Purpose:
    """The filter looks at the newest version, and only until the call was first brought."""
    untried = mark.outcome is None and not mark.delivered_version
    if not is_wanted(mark.call, forward_internal=forward_internal):
        return Purpose.SKIP if untried else Purpose.TAKE_BACK
    if untried and not when.admits(mark.call):
        return Purpose.FILTER
    return Purpose.BRING if changed_in(mark) else Purpose.LOOK


def changed_in(mark: Due) -> frozenset[str]:
    """The fields that the CRM lacks of a call that it has."""
    if not mark.delivered_version:
        return frozenset(DELIVERED_FIELDS)
    return frozenset(field for field, version in mark.changed.items() if version > mark.delivered_version)
