"""The rows that the queries on the journal take and return."""

from typing import Final, NamedTuple

import msgspec

from relay.call import CallEvent
from relay.instants import Instant
from relay.ledger.json_rows import without_nul
from relay.ledger.states import EventState

ASIDE_PREFIX: Final = "e"
"""Before the sequence number of an event in quarantine, where bodies have numbers too."""

_encoder = msgspec.json.Encoder()
decode = msgspec.json.Decoder(CallEvent).decode


def encode(parsed: CallEvent) -> bytes:
    """Return the form in which a parsed event is stored."""
    return without_nul(_encoder.encode(parsed))


class NewEvent(msgspec.Struct, frozen=True):
    """An event to append: its raw body, secrets removed, and its parsed form.

    `received_at` must be unique within a process; see `GroupCommit.next_received_at`.
    """

    received_at: Instant
    content_type: str
    path: str
    query: str
    raw: bytes
    parsed: CallEvent


class StoredEvent(msgspec.Struct, frozen=True):
    """An event as it is stored. `parsed` is the cached form, not parsed again from `raw`.

    `call` is None until the event is folded; `problem` says why the fold failed on it.
    """

    seq: int
    received_at: Instant
    content_type: str
    path: str
    query: str
    raw: bytes
    parsed: CallEvent
    state: EventState
    call: str | None
    problem: str | None
    folded_at: Instant | None = None

    @property
    def name(self) -> str:
        """The id in `relay quarantine list` if the event was set aside."""
        return f"{ASIDE_PREFIX}{self.seq}"


class EventSize(NamedTuple):
    """An event of a call, and the bytes of its parsed form."""

    call: str
    seq: int
    size: int


class UnfoldedEvent(msgspec.Struct, frozen=True):
    """An event to fold. `waited`: its grace period ended without a link to a call."""

    seq: int
    received_at: Instant
    parsed: CallEvent
    waited: bool


class UnfoldedEvents(NamedTuple):
    """The next events to fold. `has_more`: whether others may be left, as far as the limits hid them."""

    events: list[UnfoldedEvent]
    has_more: bool


class UnmatchedEvent(NamedTuple):
    """An event that is in no call yet, and its ids. `waits_until`: None unless it waits for a link."""

    seq: int
    received_at: Instant
    state: EventState
    waits_until: Instant | None
    aliases: tuple[str, ...]

    @property
    def name(self) -> str:
        """The id in `relay quarantine list` if the event was set aside."""
        return f"{ASIDE_PREFIX}{self.seq}"
