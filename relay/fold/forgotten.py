"""Which events are about a call that was forgotten. Pure, apart from `find_forgotten`."""

from collections.abc import Container, Iterator, Sequence

from relay.call import CallEvent, external_number
from relay.fold.links import leg_keys
from relay.fold.matching import PRIORITY, namespace_of, namespaces_of
from relay.instants import Instant
from relay.ledger import forgotten
from relay.ledger.connection import Connection
from relay.ledger.forgotten import Forgotten, ForgottenHash
from relay.ledger.journal import UnfoldedEvent


def find_forgotten(connection: Connection, key: str, batch: Sequence[UnfoldedEvent]) -> Forgotten | None:
    """Read the hashes that concern these events; None if no event is about anything that was forgotten."""
    events = [unfolded.parsed for unfolded in batch]
    return forgotten.find(
        connection,
        key,
        aliases={
            (alias, number)
            for event in events
            for alias in (*event.aliases, *leg_keys(event))
            for number in (None, *_numbers(event))
        },
        numbers={number for event in events for number in _numbers(event)},
        starts=[
            (number, at, namespace)
            for event in events
            for number, at in _starts(event)
            for namespace in namespaces_of(event.aliases)
        ],
    )


def is_forgotten(unfolded: UnfoldedEvent, known: Forgotten, owned: Container[str] = ()) -> bool:
    """Whether the event is about a forgotten call: by its ids, or by its number and its start.

    A number is forgotten for the calls that began before the erasure. An event without a start counts by its
    own time. A call that begins later is a new one.

    A call_id counts only for the number of the forgotten call: with another number it was typed as a
    constant, and the event is about another person.

    `owned`: aliases of calls that the ledger has. An event with one of them is not about a call that is
    forgotten by its start alone, and a call_id among them is a constant.
    """
    event = unfolded.parsed
    began_at = event.fact("started_at") or event.occurred_at or unfolded.received_at
    numbers = list(_numbers(event))
    by_number = (known.find_number(number) for number in numbers)
    return (
        _is_forgotten_by_ids(event, numbers, known, owned)
        or any(_find_id(key, numbers, known) is not None for key in leg_keys(event))
        or any(found is not None and began_at < found.forgotten_at for found in by_number)
        or _is_forgotten_by_start(event, known, owned)
    )


def _is_forgotten_by_start(event: CallEvent, known: Forgotten, owned: Container[str]) -> bool:
    namespaces = namespaces_of(event.aliases)
    return not any(alias in owned for alias in event.aliases) and any(
        known.has_call(number, at, namespaces) for number, at in _starts(event)
    )


def _is_forgotten_by_ids(
    event: CallEvent, numbers: Sequence[str], known: Forgotten, owned: Container[str]
) -> bool:
    """Whether an id is that of a forgotten call, and no more reliable id contradicts it.

    A constant that was typed for the call_id must not make every later call of the company forgotten.
    """
    aliases = event.aliases
    found = {
        alias: hash_
        for alias in aliases
        if (hash_ := _find_id(alias, numbers, known)) is not None
        and (alias not in owned or namespace_of(alias) == "uuid")
    }
    return any(
        all(
            other in found or namespace_of(other) not in hash_.namespaces
            for other in aliases
            if PRIORITY[namespace_of(other)] < PRIORITY[namespace_of(alias)]
        )
        for alias, hash_ in found.items()
    )


def _find_id(alias: str, numbers: Sequence[str], known: Forgotten) -> ForgottenHash | None:
    """Return the hash of this id, unless its call had a number and the event has another one.

    CloudTalk makes each uuid, so its number does not matter.
    """
    found = known.find_id(alias)
    if found is None or not found.has_number or not numbers or namespace_of(alias) == "uuid":
        return found
    return found if any(known.has_id_with_number(alias, number) for number in numbers) else None


def _numbers(event: CallEvent) -> Iterator[str]:
    """Yield the customer's number, or both numbers if no event says whose is whose."""
    external = external_number(event)
    numbers = (external,) if external else (event.fact("from"), event.fact("to"))
    yield from (number for number in numbers if number and number.startswith("+"))


def _starts(event: CallEvent) -> Iterator[tuple[str, Instant]]:
    if (started_at := event.fact("started_at")) is not None:
        yield from ((number, started_at) for number in _numbers(event))
