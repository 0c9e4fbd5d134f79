"""What the ledger has besides calls: events that are in no call yet, and bodies in quarantine."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Final

from relay.fold.forgotten import find_forgotten, is_forgotten
from relay.ledger import Ledger, epochs, journal, quarantine
from relay.ledger.connection import Connection
from relay.ledger.journal import UnfoldedEvent
from relay.ledger.lease_holder import Lease
from relay.ledger.quarantine import QuarantinedBody
from relay.operations.forget.subject import Subject
from relay.standards.phone_mentions import PhoneMention

_PORTION: Final = 200
_SHORTEST_ID: Final = 6
"""A shorter id, as 1, is in nearly every body."""


async def delete_unfolded(ledger: Ledger, lease: Lease) -> int:
    """Delete the events about forgotten calls that wait for a link, were set aside, or are not folded yet.

    Return their number. The lease of the fold must be held, so that no fold has read them.
    """
    deleted, after = 0, 0
    while page := await ledger.read(partial(journal.list_outside_calls, after=after, limit=_PORTION)):
        after = page[-1].seq
        deleted += await ledger.write(partial(_delete_forgotten, lease=lease, events=page))
    return deleted


def _delete_forgotten(connection: Connection, *, lease: Lease, events: Sequence[UnfoldedEvent]) -> int:
    lease.check(connection)
    _, key = epochs.floor_and_key(connection)
    known = None if key is None else find_forgotten(connection, key, events)
    about = [] if known is None else [event.seq for event in events if is_forgotten(event, known)]
    for seq in about:
        journal.remove(connection, seq)
    return len(about)


async def delete_quarantined(ledger: Ledger, subject: Subject, call_ids: Collection[str]) -> int:
    """Delete the bodies in quarantine that have the number in any spelling, or an id of a forgotten call.

    Return their number.
    """
    is_about = _matcher(subject, call_ids)
    deleted = 0
    ids = await ledger.read(quarantine.list_ids)
    for at in range(0, len(ids), _PORTION):
        portion = ids[at : at + _PORTION]
        bodies = await ledger.read(partial(quarantine.get_many, ids=portion))
        about = [body.id for body in bodies if is_about(body)]
        for id_ in about:
            await ledger.write(partial(quarantine.remove, id_=id_))
        deleted += len(about)
    return deleted


def _matcher(subject: Subject, call_ids: Collection[str]) -> Callable[[QuarantinedBody], bool]:
    mention = None if subject.number is None else PhoneMention(subject.number)
    written = {id_.removeprefix("cloudtalk-") for id_ in (*subject.ids, *call_ids)}
    parts = "|".join(re.escape(id_) for id_ in sorted(written) if len(id_) >= _SHORTEST_ID)
    # An id as a value of its own: "1234567" is not in "12345678".
    ids = re.compile(rf"(?<![\w-])(?:{parts})(?![\w-])", re.IGNORECASE) if parts else None

    def is_about(body: QuarantinedBody) -> bool:
        return any(
            (mention is not None and mention.is_in(text)) or (ids is not None and ids.search(text))
            for text in _texts(body)
        )

    return is_about


def _texts(body: QuarantinedBody) -> Iterator[str]:
    yield from (body.raw.decode(errors="replace"), body.path, body.query, body.message, body.pointer)
