"""What was erased, and what is left to do. It has no number and no name, so it can be filed."""

from enum import StrEnum

import msgspec


class CrmState(StrEnum):
    """How far the erasure in a CRM is."""

    ERASED = "erased"
    PENDING = "pending"
    """The relay does it as soon as the CRM takes it."""
    REFUSED = "refused"
    UNSERVED = "unserved"
    """The settings have no such destination any more."""


class CrmReceipt(msgspec.Struct, frozen=True):
    """What a CRM erased. `records`: their ids, of those that are not erased. `advice`: what to do."""

    destination: str
    state: CrmState
    calls: int
    records: list[str] = []
    advice: str | None = None


class SourceReceipt(msgspec.Struct, frozen=True):
    """CloudTalk's recordings. `absent`: there was none any more. `failed`: call_ids, with the reason."""

    deleted: int = 0
    absent: int = 0
    failed: list[str] = []
    advice: str | None = None


class Preview(msgspec.Struct, frozen=True):
    """What would be erased. `destinations`: name → calls that the CRM has or may have."""

    subject: str
    calls: int
    events: int
    recordings: int
    destinations: dict[str, int]


class Receipt(msgspec.Struct, frozen=True):
    """What was erased. `subject`: number or call. `events`: of the calls, and not folded ones. `recordings`:
    files of the cache and the archive. `at_source`: None if it was not asked for. `mentions`: other calls in
    whose texts the number is. `left`: files that could not be deleted, and other places. `complete`: nothing
    is left to do.
    """

    subject: str
    forgotten_at: str
    calls: int
    events: int
    quarantined: int
    recordings: int
    destinations: list[CrmReceipt]
    at_source: SourceReceipt | None
    mentions: list[str]
    left: list[str]
    complete: bool
