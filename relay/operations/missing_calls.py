"""One sentence that explains why no call has an id: what arrived with it, and where that is."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from relay.cloudtalk.identity import alias_of_id
from relay.ledger import aliases, calls, deliveries, journal, leases, quarantine, tombstones
from relay.ledger.connection import Connection
from relay.ledger.quarantine import QuarantinedBody
from relay.ledger.states import DeliveryState, EventState
from relay.operations import explanation_texts as texts
from relay.operations.calls import record_ids
from relay.operations.explanation import Explanation, Situation
from relay.operations.explanation_texts import Cause

_MOST_EVENTS: Final = 500
_MOST_BODIES: Final = 1_000
_MOST_BYTES: Final = 20 * 1024 * 1024
"""So much of the newest is searched, so that the answer comes at once."""

_PORTION: Final = 10
_PREFIX: Final = "cloudtalk-"
_MOST_CHARACTERS: Final = 200


class _Searched(msgspec.Struct):
    """How many bodies of the quarantine were searched, of how many."""

    bodies: int = 0
    of: int = 0


def explain_missing_call(connection: Connection, id_: str, situation: Situation) -> Explanation:
    """Explain why `find_call` finds no call with this id."""
    searched = _Searched()
    return (
        _explain_forgotten(connection, id_)
        or _explain_deleted(connection, id_, situation)
        or _explain_event(connection, id_, situation)
        or _explain_quarantined(connection, id_, situation, searched)
        or _explain_unknown(connection, id_, situation, searched)
    )


def _aliases(id_: str) -> set[str]:
    return {alias_of_id(id_), alias_of_id(id_.removeprefix(_PREFIX))}


def _explain_forgotten(connection: Connection, id_: str) -> Explanation | None:
    """Explain what a CRM still has of a forgotten call. A refusal comes first: it needs a person."""
    left = deliveries.list_open_erasures(connection, record_ids(id_))
    for erasure in sorted(left, key=lambda each: each.state is not DeliveryState.DEAD):
        refused = erasure.state is DeliveryState.DEAD
        return _explanation(
            Cause.NOT_ERASED if refused else Cause.FORGOTTEN,
            id=id_,
            destination=erasure.destination,
            record=erasure.remote_id or erasure.call,
            answer=(erasure.message or erasure.code or "")[:_MOST_CHARACTERS],
        )
    return None


def _explain_deleted(connection: Connection, id_: str, situation: Situation) -> Explanation | None:
    owners = [found.call for found in aliases.get_many(connection, _aliases(id_))]
    deleted = tombstones.pruned_at(connection, [*record_ids(id_), *owners])
    for pruned_at in deleted.values():
        return _explanation(Cause.PRUNED, id=id_, at=situation.show_time(pruned_at))
    return None


def _explain_event(connection: Connection, id_: str, situation: Situation) -> Explanation | None:
    wanted = _aliases(id_)
    causes = {
        EventState.WAITING: Cause.WAITING_FOR_LINK,
        EventState.NEW: Cause.NOT_FOLDED,
        EventState.ASIDE: Cause.SET_ASIDE,
    }
    for event in journal.list_unmatched(connection, _MOST_EVENTS):
        if wanted.intersection(event.aliases):
            is_folding = "fold" in leases.list_names(connection, now=situation.now)
            return _explanation(
                causes[event.state],
                id=id_,
                at=situation.show_time(event.received_at),
                until=situation.show_time(event.waits_until),
                entry=event.name,
                again=texts.RELAY_FOLDS if is_folding else texts.NO_RELAY,
            )
    return None


def _explain_quarantined(
    connection: Connection, id_: str, situation: Situation, searched: _Searched
) -> Explanation | None:
    # The id as a value of its own: "12" is not in "123" and not in "a-12".
    bare = re.escape(id_.removeprefix(_PREFIX).encode())
    pattern = re.compile(rb"(?<![\w-])" + bare + rb"(?![\w-])", re.IGNORECASE)
    for body in _newest_bodies(connection, searched):
        if any(map(pattern.search, (body.raw, body.query.encode(), body.path.encode()))):
            return _explanation(
                Cause.QUARANTINED,
                id=id_,
                at=situation.show_time(body.received_at),
                entry=body.id,
                reason=body.reason,
                message=body.message[:_MOST_CHARACTERS],
            )
    return None


def _newest_bodies(connection: Connection, searched: _Searched) -> Iterator[QuarantinedBody]:
    all_ids = quarantine.list_ids(connection)
    ids = all_ids[: -_MOST_BODIES - 1 : -1]
    searched.of = len(all_ids)
    size = 0
    for at in range(0, len(ids), _PORTION):
        bodies = quarantine.get_many(connection, ids[at : at + _PORTION])
        searched.bodies += len(bodies)
        yield from reversed(bodies)
        size += sum(len(body.raw) for body in bodies)
        if size >= _MOST_BYTES:
            return


def _explain_unknown(
    connection: Connection, id_: str, situation: Situation, searched: _Searched
) -> Explanation:
    times = (
        journal.last_received_at(connection),
        calls.last_changed_at(connection),
        quarantine.last_received_at(connection),
    )
    last_at = max((time for time in times if time is not None), default=None)
    if last_at is None:
        return _explanation(Cause.NOTHING_ARRIVED)
    is_whole = searched.bodies == searched.of
    limit = "" if is_whole else texts.SEARCHED.fill(bodies=searched.bodies, of=searched.of)
    return _explanation(Cause.UNKNOWN_ID, id=id_, at=situation.show_time(last_at), limit=limit)


def _explanation(cause: Cause, **fields: object) -> Explanation:
    return Explanation(cause, texts.CALL[cause].fill(**fields))
