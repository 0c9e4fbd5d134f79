"""The cursors of imports that are not finished."""

from relay.instants import Instant
from relay.ledger import Ledger, history_cursors
from relay.ledger.history_cursors import HistoryCursor

SINCE = Instant(1)


async def save(ledger: Ledger, until: int, progress: str, *, is_open: bool = False, now: int = 100) -> None:
    cursor = HistoryCursor(SINCE, Instant(until), is_open, progress)
    await ledger.write(lambda c: history_cursors.save(c, cursor, now=Instant(now)))


async def find(ledger: Ledger, until: int | None) -> str | None:
    found = await ledger.read(
        lambda c: history_cursors.find(c, SINCE, None if until is None else Instant(until))
    )
    return None if found is None else found.progress


async def test_a_cursor_belongs_to_its_range(ledger: Ledger) -> None:
    await save(ledger, 10, "a")
    await save(ledger, 20, "b")
    await save(ledger, 10, "c")
    assert [await find(ledger, until) for until in (10, 20, 30, None)] == ["c", "b", None, None]
    await ledger.write(lambda c: history_cursors.remove(c, SINCE, Instant(10)))
    assert [await find(ledger, until) for until in (10, 20)] == [None, "b"]


async def test_without_an_end_the_newest_import_without_an_end_is_found(ledger: Ledger) -> None:
    await save(ledger, 30, "ended")
    await save(ledger, 20, "newest", is_open=True)
    await save(ledger, 10, "older", is_open=True)
    assert await find(ledger, None) == "newest"
    found = await ledger.read(lambda c: history_cursors.find(c, SINCE, None))
    expected = HistoryCursor(SINCE, Instant(20), is_open=True, progress="newest", updated_at=Instant(100))
    assert found == expected
    listed = await ledger.read(history_cursors.list_all)
    assert sorted(cursor.progress for cursor in listed) == ["ended", "newest", "older"]


async def test_an_import_that_nobody_continued_is_forgotten(ledger: Ledger) -> None:
    await save(ledger, 10, "old", now=100)
    await save(ledger, 20, "new", now=200)
    await ledger.write(lambda c: history_cursors.delete_old(c, before=Instant(200)))
    assert [await find(ledger, until) for until in (10, 20)] == [None, "new"]
