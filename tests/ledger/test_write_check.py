"""The ledger is writable only if it takes events."""

import pytest
from sqlalchemy import text

from relay.ledger import Ledger, LedgerUnavailable, counters, journal
from relay.ledger.write_check import check_writable
from tests.support.journal import count_events
from tests.support.samples import make_event_row


async def test_the_check_of_writing_leaves_no_event_behind(ledger: Ledger) -> None:
    for _ in range(2):
        await check_writable(ledger)
    assert await ledger.read(count_events) == (0, 0, 0)
    assert await ledger.read(lambda c: counters.get(c, counters.WRITE_CHECKS)) == 2


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE events",
        "DROP TABLE bodies",
        "DROP TABLE counters",
        "ALTER TABLE bodies RENAME TO old_bodies",
        "ALTER TABLE events RENAME COLUMN missing TO absent",
        "ALTER TABLE bodies ADD COLUMN owner text NOT NULL DEFAULT 'x' CHECK (owner <> 'x')",
        "CREATE UNIQUE INDEX one_event ON events (state)",
    ],
)
async def test_a_ledger_is_not_writable_if_it_takes_no_event(ledger: Ledger, change: str) -> None:
    await ledger.write(lambda c: journal.append(c, [make_event_row()]))
    await ledger.write(lambda c: c.execute(text("DELETE FROM bodies")))
    await ledger.write(lambda c: c.execute(text(change)))
    with pytest.raises(LedgerUnavailable, match="cannot be used"):
        await check_writable(ledger)
