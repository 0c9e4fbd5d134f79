"""Recompute calls from the journal, after an upgrade or a change of settings.

A rebuild recomputes facts. Ids, aliases and merges stay: CRMs have received them.
"""

from collections.abc import Callable, Collection, Sequence
from functools import reduce
from typing import Final

import msgspec
from sqlalchemy import Connection

from relay.call import CallEvent, CallState, join, state_from_event
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.parser import Parser
from relay.fold.dedup import drop_redeliveries
from relay.fold.matching import restrict_ids
from relay.fold.retry_quarantined import stored_request
from relay.fold.versions import next_version
from relay.ledger import Ledger, calls, deliveries, journal
from relay.ledger.calls import CallRow
from relay.ledger.journal import StoredEvent
from relay.ledger.lease_holder import Lease, run_in_slices

_PAGE: Final = 50


class RebuildResult(msgspec.Struct):
    """`calls`: how many calls were recomputed, `changed`: how many of them got a new version.

    `unread`: events whose body the parser does not accept any more; their stored parsed form was used.
    `skipped`: calls that stay as they are because some of their events were pruned.
    """

    calls: int = 0
    changed: int = 0
    unread: int = 0
    skipped: int = 0


async def rebuild_calls(
    ledger: Ledger, parser: Parser, on_progress: Callable[[int, int], None]
) -> RebuildResult:
    """Recompute all calls, one page per transaction; a relay may serve meanwhile.

    `on_progress` gets the number of calls so far and in all. Raises `LeaseLost`.
    """
    lease = Lease(ledger, "fold", seconds=15)
    total = await ledger.read(calls.count)
    result = RebuildResult()
    after = ""

    async def rebuild_next_page() -> bool:
        nonlocal after
        ids = await ledger.read(lambda connection: calls.list_ids_after(connection, after, _PAGE))
        await ledger.write(lambda connection: _rebuild_page(connection, lease, parser, ids, result))
        on_progress(result.calls + result.skipped, total)
        after = ids[-1] if ids else after
        return len(ids) == _PAGE

    await run_in_slices(lease, rebuild_next_page)
    return result


def _rebuild_page(
    connection: Connection, lease: Lease, parser: Parser, ids: Sequence[str], result: RebuildResult
) -> None:
    lease.check(connection)
    updated: list[tuple[str, int]] = []
    pruned = calls.list_pruned_ids(connection, ids)
    result.skipped += len(pruned)
    for row in calls.get_many(connection, [call for call in ids if call not in pruned]).values():
        result.calls += 1
        state = _recompute_state(connection, parser, row, result)
        if state is not None and state != row.state:
            changed = next_version(row, state)
            calls.write(connection, [], [changed])
            if changed.version > row.version:
                updated.append((changed.id, changed.version))
    result.changed += len(updated)
    deliveries.enqueue(connection, updated, now=lease.now())


def _recompute_state(
    connection: Connection, parser: Parser, row: CallRow, result: RebuildResult
) -> CallState | None:
    events = [
        _parse_again(connection, parser, event, result) for event in journal.list_for_call(connection, row.id)
    ]
    state = join_events(connection, events, row.state.aliases)
    if state is not None:
        state.aliases = row.state.aliases
    return state


def join_events(
    connection: Connection, events: Sequence[StoredEvent], aliases: Collection[str]
) -> CallState | None:
    """Join the events of one call; of their ids only `aliases` count. None without events."""
    states = [
        state_from_event(
            restrict_ids(event.parsed, [alias for alias in event.parsed.aliases if alias in aliases]),
            seq=event.seq,
            received_at=event.received_at,
        )
        for event in drop_redeliveries(connection, events)
    ]
    return reduce(join, states) if states else None


def _parse_again(
    connection: Connection, parser: Parser, event: StoredEvent, result: RebuildResult
) -> StoredEvent:
    parsed = _parse(parser, event)
    if parsed is None:
        result.unread += 1
        return event
    journal.replace_parsed(connection, event.seq, parsed)
    return msgspec.structs.replace(event, parsed=parsed)


def _parse(parser: Parser, event: StoredEvent) -> CallEvent | None:
    try:
        events = parser.parse(stored_request(event, message_id=_message_id(event.parsed)))
    except InvalidPayload:
        return None
    return events[0] if isinstance(events, list) and len(events) == 1 else None


def _message_id(event: CallEvent) -> str | None:
    """The id in the message's headers, from its keys: the journal has no headers, and the parser knows a
    signed message by this id.
    """
    ids = (key.removeprefix("msg:") for key in event.message_ids if key.startswith("msg:"))
    return next(ids, None)
