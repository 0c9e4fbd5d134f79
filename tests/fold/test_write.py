"""What one transaction writes of the changes of a batch. Tests of the ledger show how."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from crm_clients.conformance.sample_calls import call
from relay.call import Kind
from relay.fold.changes import Changes
from relay.fold.conflicts import Conflict
from relay.fold.options import FoldOptions
from relay.fold.write import write_changes
from relay.instants import Duration, Instant
from relay.ledger import (
    Ledger,
    aliases,
    calls,
    dedup,
    deliveries,
    destinations,
    journal,
    quarantine,
    recordings,
)
from relay.ledger.aliases import Alias, AliasReason
from relay.ledger.journal import NewEvent
from relay.ledger.tables import events
from tests.support.ledgers import open_ledger
from tests.support.samples import make_call_row, make_event_with_ids

NOW, GRACE = Instant(1_000), Duration(300)


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Ledger]:
    """A ledger with one destination, and four events to fold."""
    async with open_ledger(ledger_url) as ledger:
        await ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
        event = make_event_with_ids(Kind.ENDED, "id:1")
        rows = [NewEvent(Instant(number), "", "/", "", b"{}", event) for number in range(4)]
        await ledger.write(lambda c: journal.append(c, rows))
        yield ledger


async def write(ledger: Ledger, changes: Changes, *, archives_recordings: bool = False) -> int:
    options = FoldOptions(grace=GRACE, archives_recordings=archives_recordings)
    written = await ledger.write(lambda c: write_changes(c, changes, options, now=NOW))
    return written.requeued


async def states(ledger: Ledger) -> list[tuple[str, str | None]]:
    """The state of each event, and its call."""
    rows = await ledger.read(
        lambda c: list(c.execute(select(events.c.state, events.c.call).order_by(events.c.seq)))
    )
    return [(row.state, row.call) for row in rows]


async def test_calls_aliases_dedup_keys_and_deliveries_are_written(ledger: Ledger) -> None:
    alias = Alias("id:1", "a", AliasReason.STATED)
    changes = Changes(
        new_rows=[make_call_row("a")],
        updated=[call("a", 7)],
        aliases=[alias],
        dedup_keys=[("key", 1)],
        folded=[(1, "a")],
    )
    assert await write(ledger, changes) == 0
    assert list(await ledger.read(lambda c: calls.get_many(c, ["a"]))) == ["a"]
    assert await ledger.read(lambda c: aliases.get_many(c, ["id:1"])) == [alias]
    assert await ledger.read(lambda c: dedup.first_seen(c, ["key"])) == {"key": 1}
    (delivery,) = await ledger.read(lambda c: deliveries.list_for_call(c, "a"))
    assert (delivery.state, delivery.version) == ("pending", 7)
    assert await states(ledger) == [("folded", "a"), *[("new", None)] * 3]
    folded_at = select(events.c.folded_at).where(events.c.seq == 1)
    assert await ledger.read(lambda c: c.execute(folded_at).scalar()) == 1_000


async def test_an_event_waits_for_its_alias_and_the_batch_that_adds_it_ends_the_wait(ledger: Ledger) -> None:
    assert await write(ledger, Changes(waiting=[(1, "id:1"), (2, "id:2")])) == 0
    waiting = select(events.c.seq, events.c.waits_until).where(events.c.state == "waiting")
    rows = await ledger.read(lambda c: list(c.execute(waiting.order_by(events.c.seq))))
    assert [tuple(row) for row in rows] == [(1, 1_300), (2, 1_300)]
    added = Changes(aliases=[Alias("id:1", "a", AliasReason.STATED)], waiting=[(3, "id:1")])
    assert await write(ledger, added) == 2
    assert [state for state, _ in await states(ledger)] == ["new", "waiting", "new", "new"]


async def test_events_and_aliases_of_a_merged_call_get_the_call_that_it_became_part_of(
    ledger: Ledger,
) -> None:
    first = Changes(aliases=[Alias("id:1", "old", AliasReason.STATED)], folded=[(1, "old"), (2, "other")])
    await write(ledger, first)
    await write(ledger, Changes(merged={"old": "new"}))
    assert [found for _, found in await states(ledger)] == ["new", "other", None, None]
    (alias,) = await ledger.read(lambda c: aliases.get_many(c, ["id:1"]))
    assert alias.call == "new"


async def test_an_event_that_cannot_be_folded_is_set_aside_with_its_problem(ledger: Ledger) -> None:
    await write(ledger, Changes(failed=[(2, ValueError("no call"))]))
    rows = await ledger.read(lambda c: list(c.execute(select(events.c.seq, events.c.problem))))
    assert {row.seq: row.problem for row in rows if row.problem} == {2: "ValueError('no call')"}


async def test_a_conflict_is_quarantined(ledger: Ledger) -> None:
    conflict = Conflict(1, make_event_with_ids(Kind.ENDED, "id:1"), ("id:2",))
    await write(ledger, Changes(conflicts=[conflict]))
    bodies = await ledger.read(lambda c: quarantine.get_many(c, quarantine.list_ids(c)))
    assert [body.reason for body in bodies] == ["conflicting_ids"]


async def test_a_call_that_retention_had_deleted_is_written_as_pruned(ledger: Ledger) -> None:
    await write(ledger, Changes(new_rows=[make_call_row("a"), make_call_row("b")], continued=["a"]))
    assert await ledger.read(lambda c: calls.list_pruned_ids(c, ["a", "b"])) == {"a"}


@pytest.mark.parametrize(("archives", "expected"), [(True, [("a", 1_000)]), (False, [])])
async def test_a_recording_is_enqueued_only_for_the_archive(
    ledger: Ledger, expected: list[tuple[str, int]], *, archives: bool
) -> None:
    changes = Changes(new_rows=[make_call_row("a")], updated=[call("a", recording_url="https://r/1")])
    await write(ledger, changes, archives_recordings=archives)
    due = await ledger.read(lambda c: recordings.list_due(c, busy=(), now=Instant(2_000), limit=9))
    assert [(each.call, each.enqueued_at) for each in due] == expected
