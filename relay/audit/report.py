"""What an audit found, as numbers: they are stored, logged, printed and sent."""

from enum import StrEnum
from typing import Any, Final

import msgspec

from relay.audit.comparing import Presence
from relay.instants import Instant
from relay.ledger.audits import Finding


class CloudTalkSide(msgspec.Struct):
    """What CloudTalk's history has of the range. `problem`: why it was not read to its end; None if it was.

    `calls`: a transfer has one for each leg. `unknown`: the ledger had not. `incomplete`: the ledger had less
    about them. `postponed`: CloudTalk does not know yet which calls they are. `unreadable`: rows without an
    id.
    """

    calls: int = 0
    unknown: int = 0
    incomplete: int = 0
    postponed: int = 0
    unreadable: int = 0
    requests: int = 0
    problem: str | None = None


class Reading(StrEnum):
    """Whether the records of a destination could be compared."""

    COMPARED = "compared"
    NO_READING = "no_reading"
    """Its client cannot read."""
    DISABLED = "disabled"
    PAUSED = "paused"
    FAILED = "failed"
    """The CRM could not be read to the end."""


UNPROVEN: Final = frozenset({Reading.PAUSED, Reading.FAILED})


class CrmSide(msgspec.Struct):
    """What a CRM has of the range. `problem`: why it could not be read; None if it was.

    `calls`: those of the ledger that were compared, which is the sum of all presences and of `changing`:
    calls that changed at each reading. `records`: what was found of them. `forgotten`: records of
    forgotten calls. `repaired`: those of the missing, outdated, left over and forgotten ones that will be
    written, removed or erased again.
    """

    reading: Reading = Reading.COMPARED
    problem: str | None = None
    calls: int = 0
    records: int = 0
    right: int = 0
    changed: int = 0
    other_settings: int = 0
    missing: int = 0
    removed: int = 0
    outdated: int = 0
    doubled: int = 0
    left_over: int = 0
    pending: int = 0
    dead: int = 0
    dropped: int = 0
    filtered: int = 0
    not_sent: int = 0
    changing: int = 0
    forgotten: int = 0
    repaired: int = 0

    def count(self, presence: Presence, records: int) -> None:
        """Count one call."""
        self.calls += 1
        self.records += records
        setattr(self, presence, getattr(self, presence) + 1)

    @property
    def for_person(self) -> int:
        """How many calls a person has to look at: with dead letters, which have a page of their own."""
        found = self.missing + self.outdated + self.doubled + self.left_over + self.forgotten
        return found - self.repaired + self.dead


class Result(msgspec.Struct):
    """The result of an audit of the calls that began at `since` or later, before `until`.

    `cloudtalk`: None without an API key. `calls`: what the ledger has of the range. `young`: those of them
    that may still change by themselves, and were not compared. `only_here`: those that CloudTalk's history
    does not have; None if that is unknown. `repairs`: whether what was found was to be repaired.
    """

    since: Instant
    until: Instant
    repairs: bool = True
    cloudtalk: CloudTalkSide | None = None
    calls: int = 0
    young: int = 0
    only_here: int | None = None
    crms: dict[str, CrmSide] = {}

    @property
    def repaired(self) -> int:
        """How many calls were imported or filled, or will be written or removed again."""
        source = self.cloudtalk
        imported = 0 if source is None or not self.repairs else source.unknown + source.incomplete
        return imported + sum(side.repaired for side in self.crms.values())

    @property
    def for_person(self) -> int:
        """How many calls a person has to look at. A call counts once for each destination."""
        source = self.cloudtalk
        in_ledger = source.unknown + source.incomplete if source is not None and not self.repairs else 0
        return in_ledger + sum(side.for_person for side in self.crms.values())

    @property
    def unproven(self) -> list[str]:
        """The sides that were not read to the end: CloudTalk as `cloudtalk`, destinations by their names."""
        source = ["cloudtalk"] if self.cloudtalk is not None and self.cloudtalk.problem else []
        return source + [name for name, side in self.crms.items() if side.reading in UNPROVEN]

    @property
    def is_good(self) -> bool:
        """Whether no person has to do anything."""
        return not self.for_person and not self.unproven


class Outcome(msgspec.Struct, frozen=True):
    """A result, and the calls behind its numbers."""

    result: Result
    findings: list[Finding]


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Result).decode


def without_zeros(side: msgspec.Struct) -> dict[str, Any]:
    """Return the numbers of a side, for a log line."""
    fields: dict[str, Any] = msgspec.to_builtins(side)
    return {name: value for name, value in fields.items() if value or name in {"calls", "records"}}
