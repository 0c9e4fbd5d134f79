"""Dead letters as a person sees them. The fields of the structs are the keys of their JSON."""

from collections.abc import Collection, Sequence

import msgspec

from relay.instants import Instant
from relay.ledger import actions, dead_letters, deliveries, destinations, leases
from relay.ledger.actions import ActionRow
from relay.ledger.connection import Connection
from relay.ledger.dead_letters import DeadLetter, Group
from relay.ledger.deliveries import DeliveryRow
from relay.operations.calls import find_call
from relay.operations.explanation import Explanation, Situation, explain_delivery
from relay.operations.explanation_texts import Cause

Key = tuple[str, str]
"""(destination, id of the call)."""


class DeadLetterView(msgspec.Struct, frozen=True):
    """A dead letter, and one sentence that explains it. `id` is the id of the call."""

    id: str
    destination: str
    explanation: str
    explanation_code: Cause
    version: int
    delivered_version: int | None
    attempts: int
    attempted_at: str | None
    outcome: str
    code: str | None
    message: str | None


def view_dead_letters(
    connection: Connection, found: Sequence[DeadLetter], situation: Situation
) -> list[DeadLetterView]:
    """Return the views of these dead letters, in their order."""
    registered = {row.name: row for row in destinations.list_all(connection)}
    served = leases.list_names(connection, now=situation.now)
    rows = _read_rows(connection, found)
    return [
        _view(
            dead_letter,
            explain_delivery(
                rows[dead_letter.key],
                dead_letter.call,
                registered[dead_letter.destination],
                situation,
                is_served=leases.delivery_lease(dead_letter.destination) in served,
            ),
            situation,
        )
        for dead_letter in found
    ]


def _read_rows(connection: Connection, found: Sequence[DeadLetter]) -> dict[tuple[str, str], DeliveryRow]:
    ids: dict[str, list[str]] = {}
    for dead_letter in found:
        ids.setdefault(dead_letter.destination, []).append(dead_letter.call.id)
    return {
        (destination, call): row
        for destination, calls in ids.items()
        for call, row in deliveries.get_many(connection, destination, calls).items()
    }


def _view(dead_letter: DeadLetter, explanation: Explanation, situation: Situation) -> DeadLetterView:
    return DeadLetterView(
        id=dead_letter.call.id,
        destination=dead_letter.destination,
        explanation=explanation.text.read(situation.language),
        explanation_code=explanation.code,
        version=dead_letter.version,
        delivered_version=dead_letter.delivered_version or None,
        attempts=dead_letter.attempts,
        attempted_at=situation.time(dead_letter.attempted_at),
        outcome=dead_letter.outcome,
        code=dead_letter.code,
        message=dead_letter.message,
    )


def find_dead_letters(connection: Connection, id_: str, destination: str | None = None) -> list[DeadLetter]:
    """Return the dead letters of one call, whose id is as in `find_call`.

    The record's id is searched first: a merged call may have the dead letter of its own retraction.
    """
    if found := dead_letters.find(connection, destination=destination, ids=[id_]):
        return found
    call = find_call(connection, id_)
    return [] if call is None else dead_letters.find(connection, destination=destination, ids=[call.id])


def replay(connection: Connection, keys: Collection[Key], *, who: str, now: Instant) -> None:
    """Deliver these dead letters again, in the newest version of their calls. `who`: see `ActionRow`."""
    dead_letters.replay(connection, keys, now=now)
    actions.add(connection, (ActionRow(now, who, "dead.replay", *key) for key in sorted(keys)))


def drop(connection: Connection, keys: Collection[Key], *, who: str, now: Instant) -> None:
    """Give up these dead letters. A later change of a call is still delivered. `who`: see `ActionRow`."""
    dead_letters.drop(connection, keys)
    actions.add(connection, (ActionRow(now, who, "dead.drop", *key) for key in sorted(keys)))


def replay_group(connection: Connection, group: Group, *, who: str, now: Instant) -> int:
    """Deliver all dead letters of a group again, and return their number. `who`: see `ActionRow`."""
    actions.add(connection, [ActionRow(now, who, "dead.replay", group.destination, None)])
    return dead_letters.replay_group(connection, group, now=now)


def drop_group(connection: Connection, group: Group, *, who: str, now: Instant) -> int:
    """Give up all dead letters of a group, and return their number. `who`: see `ActionRow`."""
    actions.add(connection, [ActionRow(now, who, "dead.drop", group.destination, None)])
    return dead_letters.drop_group(connection, group)


class DeadLetterGroup(msgspec.Struct, frozen=True):
    """The dead letters that a destination answered in the same way. `example`: the one that failed last."""

    destination: str
    outcome: str | None
    code: str | None
    members: int
    latest_at: str | None
    example: DeadLetterView


def list_groups(connection: Connection, situation: Situation) -> list[DeadLetterGroup]:
    """Return the dead letters by destination, outcome and code, the largest group first."""
    groups = []
    for group, members, latest_at in dead_letters.count_groups(connection):
        example = dead_letters.find_latest(connection, group, limit=1)
        (view,) = view_dead_letters(connection, example, situation)
        groups.append(DeadLetterGroup(*group, members, situation.time(latest_at), view))
    return groups
