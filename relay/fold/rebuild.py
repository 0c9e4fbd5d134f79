"""Reading again what was kept, after an upgrade or a change of settings: quarantine and journal.

A rebuild computes facts anew. Ids, aliases and merges stay: they were told to CRMs.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Final

import msgspec
from sqlalchemy import Connection

from relay.call import CallEvent, CallState, join, state_from_event
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.parser import Ignored, ParsedItem, Parser, RawRequest, parse_body
from relay.fold.matching import dedup_keys, keep_ids
from relay.fold.planning import newer
from relay.ledger import Ledger, calls, dedup, deliveries, journal, quarantine
from relay.ledger.calls import CallRow
from relay.ledger.journal import EventRow, StoredEvent
from relay.ledger.lease import Lease, run_in_slices
from relay.ledger.quarantine import QuarantinedBody

_PORTION: Final = 50


# --- the quarantine -----------------------------------------------------------------------------


class Retried(msgspec.Struct, frozen=True):
    """What became of a body in quarantine: `events` it gave, or the `problem` that it still has."""

    id: int
    events: int
    problem: str | None = None


def retry(connection: Connection, reader: Parser, row: QuarantinedBody) -> Retried:
    """Read this body again; what can be read now goes into the journal and leaves the quarantine."""
    if row.reason == quarantine.CONFLICTING_IDS:
        return Retried(row.id, 0, f"{row.message}; mend it there, then drop this")
    received = _received(row)
    try:
        parts = reader.parts(parse_body(received), received)
    except InvalidPayload as refused:
        return Retried(row.id, 0, f"{refused.pointer} {refused.message}".strip())
    events = [_event(row, part, number) for number, part in enumerate(parts)]
    rows = [event for event in events if event is not None]
    if not rows:
        return Retried(row.id, 0, "no event of a call that is known")
    journal.append(connection, rows)
    quarantine.delete_body(connection, row.id)
    return Retried(row.id, len(rows))


def _received(row: QuarantinedBody | StoredEvent, message_id: str | None = None) -> RawRequest:
    return RawRequest(
        row.raw, content_type=row.content_type, path=row.path, query=row.query, message_id=message_id
    )


def _event(row: QuarantinedBody, part: ParsedItem, number: int) -> EventRow | None:
    """It arrived when it arrived; the events of one body are told apart by a microsecond."""
    if isinstance(part.reading, Ignored):
        return None
    raw = row.raw if part.whole else msgspec.json.encode(part.value)
    return EventRow(row.received_at + number, row.content_type, row.path, row.query, raw, part.reading)


# --- the journal --------------------------------------------------------------------------------


class Rebuilt(msgspec.Struct):
    """How many calls were read again, how many of them changed, how many events could not be.

    `skipped`: calls whose events were dropped for their age; they stay as they are.
    """

    calls: int = 0
    changed: int = 0
    unread: int = 0
    skipped: int = 0


async def rebuild(ledger: Ledger, reader: Parser, on_progress: Callable[[int, int], None]) -> Rebuilt:
    """Read the whole journal again, a portion of calls at a time, beside a relay that serves."""
    lease = Lease(ledger, "fold", seconds=15)
    total = await ledger.read(calls.count)
    done = Rebuilt()
    after = ""

    async def portion() -> bool:
        nonlocal after
        ids = await ledger.read(lambda connection: calls.ids_after(connection, after, _PORTION))
        await ledger.write(lambda connection: _rebuild(connection, lease, reader, ids, done))
        on_progress(done.calls + done.skipped, total)
        after = ids[-1] if ids else after
        return len(ids) == _PORTION

    await run_in_slices(lease, portion)
    return done


def _rebuild(connection: Connection, lease: Lease, reader: Parser, ids: Sequence[str], done: Rebuilt) -> None:
    lease.check(connection)
    updated: list[tuple[str, int]] = []
    pruned = calls.without_events(connection, ids)
    done.skipped += len(pruned)
    for known in calls.by_id(connection, [call for call in ids if call not in pruned]).values():
        done.calls += 1
        state = _state(connection, reader, known, done)
        if state is not None and state != known.state:
            row = newer(known, state)
            calls.write(connection, [], [row])
            if row.version > known.version:
                updated.append((row.id, row.version))
    done.changed += len(updated)
    deliveries.enqueue(connection, updated, now=lease.now())


def _state(connection: Connection, reader: Parser, known: CallRow, done: Rebuilt) -> CallState | None:
    rows = journal.list_for_call(connection, known.id)
    readings = [(row, _reread(connection, reader, row, done)) for row in rows]
    states = [
        state_from_event(
            keep_ids(reading, [alias for alias in reading.aliases if alias in known.state.aliases]),
            seq=row.seq,
            received_at=row.received_at,
        )
        for row, reading in without_redeliveries(connection, readings)
    ]
    if not states:
        return None
    state = reduce(join, states)
    state.aliases = known.state.aliases
    return state


def _reread(connection: Connection, reader: Parser, row: StoredEvent, done: Rebuilt) -> CallEvent:
    """The newer reading of this event, or the one that it has where there is none any more."""
    reading = _reading(reader, row)
    if reading is None:
        done.unread += 1
        return row.parsed
    journal.replace_parsed(connection, row.seq, reading)
    return reading


def without_redeliveries(
    connection: Connection, readings: Sequence[tuple[StoredEvent, CallEvent]]
) -> list[tuple[StoredEvent, CallEvent]]:
    """The events of a call that were news when they came, as the fold took them."""
    first = dedup.first_seen(connection, {key for _, reading in readings for key in dedup_keys(reading)})
    return [
        (row, reading)
        for row, reading in readings
        if all(first.get(key, row.seq) == row.seq for key in dedup_keys(reading))
    ]


def _reading(reader: Parser, row: StoredEvent) -> CallEvent | None:
    try:
        found = reader.read(_received(row, _message_id(row.parsed)))
    except InvalidPayload:
        return None
    return found[0] if isinstance(found, list) and len(found) == 1 else None


def _message_id(reading: CallEvent) -> str | None:
    """The id under which the message came: its headers are not kept, and it tells a signed body."""
    found = (key.removeprefix("msg:") for key in reading.keys if key.startswith("msg:"))
    return next(found, None)
