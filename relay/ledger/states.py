"""The states of events and deliveries, and how statements compare them."""

from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Text, literal_column


class EventState(StrEnum):
    """The state of an event in the journal."""

    NEW = "new"
    WAITING = "waiting"
    """Its only id cannot begin a call: it waits for an event that links the id to a call."""
    FOLDED = "folded"
    ASIDE = "aside"
    """The fold failed on it and goes on without it."""


class DeliveryState(StrEnum):
    """The state of a delivery, which is one call at one destination."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    """A dead letter: it waits for a decision of a person."""
    DROPPED = "dropped"
    """A dead letter that a person gave up. A newer version of the call makes it pending again."""
    FILTERED = "filtered"
    """The CRM never received the call, which is internal or excluded by the filter. It may change yet."""
    RETRACTED = "retracted"
    """The record was removed from the CRM, or its call was merged before the CRM received it."""


class RecordingState(StrEnum):
    """The state of a recording that is to be archived."""

    PENDING = "pending"
    ARCHIVED = "archived"
    MISSING = "missing"
    """CloudTalk does not have it, or it cannot be read."""
    EXPIRED = "expired"
    """Retention deleted it from the archive."""


class EnrichmentState(StrEnum):
    """The state of a question about a call for CloudTalk's analytics or AI."""

    PENDING = "pending"
    SETTLED = "settled"
    """It was answered, or the answer is not needed any more."""
    GIVEN_UP = "given_up"
    """CloudTalk has no answer, or none that can be used."""


def sql_state(state: StrEnum) -> ColumnElement[str]:
    """Return the state as a literal: with a bound value no engine would choose a partial index."""
    return literal_column(f"'{state}'", Text)


def has_state(column: ColumnElement[Any], *states: StrEnum) -> ColumnElement[bool]:
    """Return the condition that the column has one of these states."""
    literals = [sql_state(state) for state in states]
    return column == literals[0] if len(literals) == 1 else column.in_(literals)
