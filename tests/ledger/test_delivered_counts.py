"""The counts of calls that each destination got for the first time."""

from relay.instants import Instant
from relay.ledger import Ledger, delivered_counts
from relay.ledger.delivered_counts import QUARTER


async def add(ledger: Ledger, destination: str, calls: int, *, quarter: float) -> None:
    now = Instant(int(quarter * QUARTER))
    await ledger.write(lambda c: delivered_counts.add(c, destination, calls, now=now))


async def count(ledger: Ledger, *, since: int) -> dict[str, int]:
    return await ledger.read(lambda c: delivered_counts.count_since(c, Instant(since * QUARTER)))


async def test_calls_of_a_quarter_are_added_up_by_destination(ledger: Ledger) -> None:
    await add(ledger, "crm", 2, quarter=8)
    await add(ledger, "crm", 3, quarter=8.9)
    await add(ledger, "crm", 4, quarter=9)
    await add(ledger, "other", 1, quarter=8)
    await add(ledger, "other", 0, quarter=9)
    assert await count(ledger, since=8) == {"crm": 9, "other": 1}
    assert await count(ledger, since=9) == {"crm": 4}
    assert await count(ledger, since=10) == {}


async def test_old_counts_are_deleted(ledger: Ledger) -> None:
    for quarter in (8, 9, 10):
        await add(ledger, "crm", 1, quarter=quarter)
    await ledger.write(lambda c: delivered_counts.delete_old(c, before=Instant(9 * QUARTER + 1)))
    assert await count(ledger, since=0) == {"crm": 2}
