"""The retention worker deletes all that is old, in portions."""

import asyncio

from relay.ledger import Ledger, journal
from relay.ledger.retention import RetentionWorker
from tests.support.clock import Clock
from tests.support.samples import RECEIVED_AT, make_event_row

DAY = 86_400 * 1_000_000


async def test_old_events_are_deleted_at_the_start(ledger_url: str) -> None:
    clock = Clock()
    clock.now = RECEIVED_AT + 31 * DAY
    ledger = Ledger(ledger_url, clock=clock)
    await ledger.open()
    rows = [make_event_row(at=number, name=str(number)) for number in range(1_201)]
    seqs = await ledger.write(lambda c: journal.append(c, rows))
    await ledger.write(lambda c: journal.mark_folded(c, [(seq, "cloudtalk-1") for seq in seqs]))
    running = asyncio.create_task(RetentionWorker(ledger, events_days=30, calls_days=730).run())
    async with asyncio.timeout(10):
        while await ledger.read(journal.count) != (0, 0, 0):
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running], timeout=5)
    await ledger.close()
