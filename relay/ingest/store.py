"""Store what an authenticated request contains: its events in the journal, other bodies in quarantine."""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from relay.call import CallEvent
from relay.cloudtalk.errors import InvalidPayload
from relay.instants import SECOND
from relay.ledger import Ledger, quarantine
from relay.ledger.errors import EventNotStorable
from relay.ledger.group_commit import GroupCommit
from relay.ledger.journal import NewEvent
from relay.ledger.quarantine import NewQuarantinedBody
from relay.logs import get_logger
from relay.measurements import EVENTS, LAST_EVENT

log = get_logger("relay.ingest")

_LOGGED_AT_ONCE: Final = 50


class Envelope(msgspec.Struct, frozen=True):
    """What is stored of a request beside its body, without secrets."""

    content_type: str
    path: str
    query: str


class EventStore:
    """The journal and the quarantine, as the endpoint writes them. Each method raises `LedgerUnavailable`."""

    def __init__(self, ledger: Ledger, group_commit: GroupCommit) -> None:
        self._ledger = ledger
        self._group_commit = group_commit

    async def append(self, envelope: Envelope, parsed: Sequence[tuple[bytes, CallEvent]]) -> None:
        """Append events, each with its part of the body, and return once all of them are on disk.

        Raises `InvalidPayload` if the ledger cannot store one of them.
        """
        new_events = [self._new_event(envelope, raw, event) for raw, event in parsed]
        if not new_events:
            return
        try:
            seqs = await self._group_commit.append(new_events)
        except EventNotStorable as error:
            raise InvalidPayload("unstorable", str(error)) from error
        for index, (seq, (_, event)) in enumerate(zip(seqs, parsed, strict=True), start=1):
            _log_accepted(seq, event)
            EVENTS.add((event.dialect, event.kind))
            if index % _LOGGED_AT_ONCE == 0:
                await asyncio.sleep(0)  # so that a large array does not delay other requests
        LAST_EVENT.set(new_events[-1].received_at / SECOND)

    def _new_event(self, envelope: Envelope, raw: bytes, event: CallEvent) -> NewEvent:
        return NewEvent(
            received_at=self._group_commit.next_received_at(),
            content_type=envelope.content_type,
            path=envelope.path,
            query=envelope.query,
            raw=raw,
            parsed=event,
        )

    async def quarantine(
        self, envelope: Envelope, raw: bytes, reason: str, message: str, pointer: str
    ) -> int:
        """Store a body for a person to look at, and return its id in quarantine."""
        row = NewQuarantinedBody(
            received_at=self._group_commit.next_received_at(),
            reason=reason,
            message=message,
            pointer=pointer,
            content_type=envelope.content_type,
            path=envelope.path,
            query=envelope.query,
            raw=raw,
        )
        return await self._ledger.write(lambda connection: quarantine.add(connection, row))


def _log_accepted(seq: int, event: CallEvent) -> None:
    if event.warnings or event.missing:
        log.warning("ingest.unclear", event_seq=seq, warnings=_describe_unclear(event))
    kind = event.kind.value
    log.info(
        f"CloudTalk Webhook Event: call.{kind}",  # noqa: G004 - the name that users look for
        event_seq=seq,
        call_id=event.facts.get("call_id"),
        call_uuid=event.facts.get("call_uuid"),
        dialect=event.dialect,
        kind=kind,
    )


def _describe_unclear(event: CallEvent) -> list[str]:
    if event.missing is None:
        return list(event.warnings)
    return [*event.warnings, f"{event.missing}: missing or empty, so a missed call would look completed"]
