"""The totals of the overview."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.console import totals
from relay.console.totals import TotalsReader
from relay.ledger import Ledger, LedgerUnavailable, destinations
from relay.operations.status import Totals
from tests.support.deliveries import delivered_update, enqueue, settle
from tests.support.ledgers import open_ledger


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(f"sqlite:///{tmp_path / 'relay.db'}") as opened:
        await opened.write(lambda c: destinations.register(c, {"crm": "local"}))
        yield opened


async def deliver(ledger: Ledger, id_: str) -> None:
    await enqueue(ledger, (id_, 1))
    await settle(ledger, delivered_update(id_))


async def end_of_count() -> None:
    """Wait for the count that the last page has started."""
    pending = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*pending, return_exceptions=True)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a ledger of any size count as large."""
    monkeypatch.setattr(totals, "LARGE", -1)


async def test_a_small_ledger_is_counted_for_each_page(ledger: Ledger) -> None:
    reader = TotalsReader(ledger)
    assert await reader.get() == Totals(accepted=0, calls=0, delivered={})
    await deliver(ledger, "a")
    assert await reader.get() == Totals(accepted=0, calls=1, delivered={"crm": 1})


@pytest.mark.usefixtures("large")
async def test_a_page_gets_the_totals_of_a_large_ledger_at_once(ledger: Ledger) -> None:
    reader = TotalsReader(ledger)
    await deliver(ledger, "a")
    assert (await reader.get()).calls == 1
    await deliver(ledger, "b")
    assert (await reader.get()).calls == 1
    await end_of_count()
    assert (await reader.get()).calls == 1, "they are counted again after a minute only"


@pytest.mark.usefixtures("large")
async def test_old_totals_are_counted_again_beside_the_page(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = TotalsReader(ledger)
    await deliver(ledger, "a")
    await reader.get()
    await deliver(ledger, "b")
    monkeypatch.setattr(totals, "KEPT_SECONDS", -1)
    assert (await reader.get()).delivered == {"crm": 1}, "the page does not wait"
    await end_of_count()
    assert (await reader.get()).delivered == {"crm": 2}


async def test_pages_at_the_same_time_share_a_count(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = 0
    view = ledger.view

    async def count_views(work: object) -> object:
        nonlocal counted
        counted += 1
        return await view(work)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger, "view", count_views)
    reader = TotalsReader(ledger)
    await asyncio.gather(*(reader.get() for _ in range(5)))
    assert counted == 1


async def test_a_page_whose_reader_left_does_not_end_the_count_of_another(ledger: Ledger) -> None:
    reader = TotalsReader(ledger)
    first, second = asyncio.create_task(reader.get()), asyncio.create_task(reader.get())
    await asyncio.sleep(0)
    first.cancel()
    assert await second == Totals(accepted=0, calls=0, delivered={})


async def test_after_a_failure_the_next_page_counts_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = TotalsReader(ledger)

    async def fail(_work: object) -> object:
        raise LedgerUnavailable("no disk")

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "view", fail)
        with pytest.raises(LedgerUnavailable, match="no disk"):
            await reader.get()
    assert (await reader.get()).calls == 0
