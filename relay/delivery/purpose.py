"""What is to be done about a mark. Pure."""

from enum import Enum, auto
from typing import ClassVar

from crm_clients.base import Outcome
from crm_clients.settings import DeliveryFilter
from relay.call import DELIVERED_FIELDS, is_wanted
from relay.ledger.deliveries import DueDelivery


class Action(Enum):
    """Why a mark is taken."""

    UPSERT = auto()
    VERIFY = auto()
    """The CRM has this version; a replay asks whether it still does."""
    RETRACT = auto()
    SKIP = auto()
    """It should not be there, and never was."""
    FILTER = auto()
    """It was never there, and the destination does not want it as it is now."""


class Found(Outcome, frozen=True, kw_only=True):
    """The CRM still has what was looked for. Whether it would take a call, this does not say."""

    name: ClassVar[str] = "found"


def choose_action(mark: DueDelivery, when: DeliveryFilter, *, forward_internal: bool) -> Action:
    """The filter looks at the newest version, and only until the call was first brought."""
    untried = mark.outcome is None and not mark.delivered_version
    if not is_wanted(mark.call, forward_internal=forward_internal):
        return Action.SKIP if untried else Action.RETRACT
    if untried and not when.matches(mark.call):
        return Action.FILTER
    return Action.UPSERT if changed_in(mark) else Action.VERIFY


def changed_in(mark: DueDelivery) -> frozenset[str]:
    """The fields that the CRM lacks of a call that it has."""
    if not mark.delivered_version:
        return frozenset(DELIVERED_FIELDS)
    return frozenset(field for field, version in mark.changed.items() if version > mark.delivered_version)
