"""Events that were folded without an id: what is quarantined and logged of them."""

from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from relay.call import CallEvent, Kind
from relay.fold.conflicts import Conflict, quarantine_conflicts
from relay.instants import Instant
from relay.ledger import Ledger, journal, quarantine
from relay.ledger.journal import NewEvent
from relay.ledger.quarantine import QuarantinedBody
from tests.support.ledgers import open_ledger
from tests.support.samples import make_event_with_ids

ENDED = make_event_with_ids(Kind.ENDED, "uuid:u", "id:1")


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Ledger]:
    async with open_ledger(ledger_url) as ledger:
        yield ledger


async def quarantine_all(ledger: Ledger, *conflicts: Conflict) -> list[QuarantinedBody]:
    """Append one event for each conflict, quarantine the conflicts, and return the quarantine."""
    rows = [
        NewEvent(Instant(70 + seq), "text/plain", "/path", "q=1", b'{"n":%d}' % seq, conflict.event)
        for seq, conflict in enumerate(conflicts, 1)
    ]
    await ledger.write(lambda c: journal.append(c, rows))
    await ledger.write(lambda c: quarantine_conflicts(c, conflicts))
    return await ledger.read(lambda c: quarantine.get_many(c, quarantine.list_ids(c)))


async def test_a_conflict_is_quarantined_with_its_body_and_the_dropped_ids(ledger: Ledger) -> None:
    with capture_logs() as logs:
        bodies = await quarantine_all(ledger, Conflict(1, ENDED, ("id:1", "other:x")))
    message = "id:1, other:x belongs to another call: the event was folded without it (a typed constant?)"
    assert bodies == [
        QuarantinedBody(
            1, Instant(71), "conflicting_ids", message, "", "text/plain", "/path", "q=1", b'{"n":1}'
        )
    ]
    assert logs == [
        {
            "event": "fold.conflict",
            "log_level": "warning",
            "event_seq": 1,
            "kind": "ended",
            "dropped": ["id:1", "other:x"],
        }
    ]


@pytest.mark.parametrize(
    ("event", "dropped", "is_new"),
    [
        (make_event_with_ids(Kind.ENDED, "uuid:another", "id:1"), ("id:1",), False),
        (ENDED, ("id:2",), True),
        (ENDED, ("id:1", "id:2"), True),
        (make_event_with_ids(Kind.MISSED, "uuid:u", "id:1"), ("id:1",), True),
        (make_event_with_ids(Kind.ENDED, "uuid:u", "id:1", dialect="flow"), ("id:1",), True),
    ],
)
async def test_one_conflict_of_each_dialect_kind_and_id_is_quarantined(
    ledger: Ledger, event: CallEvent, dropped: tuple[str, ...], is_new: bool
) -> None:
    first, third = Conflict(1, ENDED, ("id:1",)), Conflict(3, ENDED, ("id:3",))
    with capture_logs() as logs:
        bodies = await quarantine_all(ledger, first, Conflict(2, event, dropped), third)
    seqs = [1, 2, 3] if is_new else [1, 3]
    assert [body.received_at for body in bodies] == [70 + seq for seq in seqs]
    assert [line["event_seq"] for line in logs] == seqs
