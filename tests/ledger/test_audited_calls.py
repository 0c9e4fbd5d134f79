"""Pages of the calls of a range."""

from functools import partial

import msgspec

from relay.instants import Instant
from relay.ledger import Ledger, audited_calls, calls
from relay.ledger.audited_calls import AuditedCall
from relay.ledger.replays import PageCursor
from tests.support.samples import make_call_row


async def write(ledger: Ledger, *began: tuple[str, int], merged_into: str | None = None) -> None:
    rows = [
        msgspec.structs.replace(
            row, began_at=Instant(at), record=msgspec.structs.replace(row.record, merged_into=merged_into)
        )
        for row, at in ((make_call_row(id_, 1), at) for id_, at in began)
    ]
    await ledger.write(lambda c: calls.write(c, rows, []))


async def read(ledger: Ledger, *, limit: int = 2, merged: bool = False) -> list[list[str]]:
    pages: list[list[str]] = []
    cursor: PageCursor | None = PageCursor()
    page_of = partial(
        audited_calls.list_page, since=Instant(10), until=Instant(20), limit=limit, merged=merged
    )
    while cursor is not None:
        page, cursor = await ledger.read(partial(page_of, after=cursor))
        pages.append([call.record.id for call in page])
    return pages


async def test_pages_have_each_call_of_the_range_once_in_the_order_of_their_starts(ledger: Ledger) -> None:
    await write(ledger, ("before", 9), ("c", 10), ("b", 15), ("a", 15), ("d", 19), ("after", 20))
    assert await read(ledger) == [["c", "a"], ["b", "d"], []]
    assert await ledger.read(lambda c: audited_calls.count(c, since=Instant(10), until=Instant(20))) == 4


async def test_merged_calls_have_pages_of_their_own(ledger: Ledger) -> None:
    await write(ledger, ("a", 11), ("c", 12))
    await write(ledger, ("b", 11), ("outside", 25), merged_into="a")
    assert await read(ledger) == [["a", "c"], []]
    assert await read(ledger, merged=True) == [["b"]]
    assert await ledger.read(lambda c: audited_calls.count(c, since=Instant(10), until=Instant(20))) == 2


async def test_calls_are_read_again_by_their_ids(ledger: Ledger) -> None:
    await write(ledger, ("a", 11))
    found = await ledger.read(lambda c: audited_calls.get_many(c, ["a", "gone"]))
    row = make_call_row("a", 1)
    assert found == {"a": AuditedCall(row.record, row.field_versions, Instant(11), from_history=False)}
