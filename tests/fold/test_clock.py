"""Edits that arrive after the clock was set back: the order of the journal counts."""

import pytest

from relay.call import Kind
from relay.fold.options import FoldOptions
from relay.fold.rebuild import rebuild_calls
from relay.instants import Instant
from relay.ledger import calls, journal
from tests.support.folding import FoldingRelay, parser_in
from tests.support.samples import RECEIVED_AT, make_event

DAY = 86_400 * 1_000_000


async def receive(relay: FoldingRelay, number: int, *, at: int) -> None:
    """Receive an edit that states no time, by a relay whose clock is `at` microseconds from `RECEIVED_AT`."""
    event = make_event(
        Kind.MODIFIED if number else Kind.STARTED, tags=[f"tag {number}"], notes=f"note {number}"
    )
    raw = b'{"event":"call.%s","data":{"id":"1","tags":["tag %d"],"notes":"note %d"}}' % (
        b"modified" if number else b"started",
        number,
        number,
    )
    row = journal.NewEvent(Instant(RECEIVED_AT + at), "application/json", "/", "", raw, event)
    await relay.ledger.write(lambda c: journal.append(c, [row]))
    await relay.fold()


@pytest.mark.parametrize(
    "clocks",
    [
        (0, 3_600_000_000, 1, 2),  # set back by an hour
        (0, 1, -DAY, -DAY + 5),
        (0, 800 * DAY, 5, 6),  # far ahead once
        (800 * DAY, 5, 900 * DAY, 6),
        (0, 7, 7, 7),
        (40_000 * DAY, 0, -1, -2),
    ],
)
async def test_the_edit_that_arrived_last_wins_whatever_the_clock_said(
    relay: FoldingRelay, clocks: tuple[int, ...]
) -> None:
    for number, at in enumerate(clocks):
        await receive(relay, number, at=at)
        record = (await relay.row("cloudtalk-1")).record
        assert (record.tags, record.notes) == ([f"tag {number}"], f"note {number}")
    before = await relay.row("cloudtalk-1")
    await rebuild_calls(relay.ledger, parser_in(), FoldOptions(), lambda *_: None)
    rows = await relay.ledger.read(lambda c: calls.get_many(c, ["cloudtalk-1"]))
    assert rows["cloudtalk-1"].record.tags == before.record.tags
