"""Removing one call from the ledger without a trace."""

from typing import Any

from sqlalchemy import select

from relay.ledger import Ledger, aliases, calls, dedup, deliveries, journal, removal
from relay.ledger.aliases import Alias, AliasReason
from relay.ledger.connection import Connection
from relay.ledger.states import DeliveryState
from relay.ledger.tables import call_terms, metadata
from tests.support.deliveries import delivered_update, enqueue, get_delivery, settle
from tests.support.samples import make_call_row, make_event_row


def find_all(connection: Connection, text: str) -> list[str]:
    """Return the tables that have a row with this text in any column."""
    return [
        table.name
        for table in metadata.sorted_tables
        for row in connection.execute(select(table))
        if any(text in str(value) for value in row)
    ]


async def test_a_removed_call_leaves_no_row(two_destinations: Ledger) -> None:
    ledger = two_destinations
    await enqueue(ledger, ("cloudtalk-test-1", 1), ("cloudtalk-2", 1))

    def write(connection: Connection) -> None:
        seqs = journal.append(connection, [make_event_row(at=1), make_event_row(at=2)])
        journal.mark_folded(connection, list(zip(seqs, ["cloudtalk-test-1", "cloudtalk-2"], strict=True)))
        dedup.record(connection, [("key-1", seqs[0]), ("key-2", seqs[1])])
        names = {"other:test-1": "cloudtalk-test-1", "other:2": "cloudtalk-2"}
        aliases.add(connection, [Alias(alias, id_, AliasReason.STATED) for alias, id_ in names.items()])

    await ledger.write(write)
    await ledger.write(lambda c: removal.remove_call(c, "cloudtalk-test-1"))

    def read(connection: Connection) -> Any:
        return (
            find_all(connection, "test-1"),
            sorted(dedup.first_seen(connection, ["key-1", "key-2"])),
            [event.call for event in journal.get_many(connection, [1, 2])],
            list(calls.get_many(connection, ["cloudtalk-2"])),
            [row.destination for row in deliveries.list_for_call(connection, "cloudtalk-2")],
            [alias.alias for alias in aliases.get_many(connection, ["other:2"])],
        )

    assert await ledger.read(read) == (
        [],
        ["key-2"],
        ["cloudtalk-2"],
        ["cloudtalk-2"],
        ["crm", "other"],
        ["other:2"],
    )


async def test_only_ids_with_the_prefix_are_listed(ledger: Ledger) -> None:
    await enqueue(ledger, *((id_, 1) for id_ in ("test-b", "test-a", "test", "test.", "tesu", "x-test-a")))
    assert await ledger.read(lambda c: removal.list_ids(c, "test-")) == ["test-a", "test-b"]


async def test_only_pending_deliveries_of_the_call_are_dropped(two_destinations: Ledger) -> None:
    ledger = two_destinations
    await enqueue(ledger, ("cloudtalk-1", 1), ("cloudtalk-2", 1))
    await settle(ledger, delivered_update(), name="other")
    await ledger.write(lambda c: removal.drop_pending(c, "cloudtalk-1"))
    states = [
        (await get_delivery(ledger, call, name)).state
        for call in ("cloudtalk-1", "cloudtalk-2")
        for name in ("crm", "other")
    ]
    assert states == [
        DeliveryState.DROPPED,
        DeliveryState.DELIVERED,
        DeliveryState.PENDING,
        DeliveryState.PENDING,
    ]


async def test_a_removed_call_leaves_no_search_term(ledger: Ledger) -> None:
    rows = [make_call_row(id_, contact_name="Ana") for id_ in ("cloudtalk-1", "cloudtalk-2")]
    await ledger.write(lambda c: calls.write(c, rows, []))
    await ledger.write(lambda c: removal.remove_call(c, "cloudtalk-1"))
    found = await ledger.read(lambda c: c.execute(select(call_terms.c.term, call_terms.c.call)).all())
    assert found == [("cana", "cloudtalk-2")]
