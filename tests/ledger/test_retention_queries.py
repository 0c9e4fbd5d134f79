"""What retention deletes, and what it keeps at any age."""

from functools import partial
from typing import Any

import msgspec
import pytest
from sqlalchemy import Update, select

from relay.call import CallState, Kind, join, state_from_event
from relay.instants import Instant
from relay.ledger import (
    Ledger,
    aliases,
    attempts,
    calls,
    client_state,
    dedup,
    deliveries,
    destinations,
    journal,
    quarantine,
    retention_queries,
    tombstones,
)
from relay.ledger.aliases import Alias, AliasReason
from relay.ledger.attempts import AttemptRow
from relay.ledger.quarantine import NewQuarantinedBody
from relay.ledger.states import DeliveryState
from relay.ledger.tables import bodies as body_table
from relay.ledger.tables import call_keys, call_terms
from relay.ledger.tables import calls as call_table
from relay.ledger.tables import deliveries as delivery_table
from relay.ledger.tables import events as event_table
from relay.ledger.tombstones import Tombstone
from tests.support.deliveries import delivered_update, get_delivery, settle
from tests.support.journal import read_quarantine
from tests.support.samples import RECEIVED_AT, make_call_row, make_event, make_event_row, make_state

DAY = 86_400 * 1_000_000


@pytest.fixture
async def one_destination(ledger: Ledger) -> Ledger:
    await ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
    return ledger


async def add_event(ledger: Ledger, name: str, *, at: int = 0, folded: bool = True) -> int:
    """Append an event of the call `name`, received `at` microseconds after `RECEIVED_AT`."""
    (seq,) = await ledger.write(lambda c: journal.append(c, [make_event_row(at=at, name=name)]))
    if folded:
        await ledger.write(lambda c: journal.mark_folded(c, [(seq, f"cloudtalk-{name}")]))
    return seq


async def add_call(ledger: Ledger, name: str, state: str | None = None) -> None:
    """Insert a call with an alias and a delivery in this state (None: pending)."""
    row = make_call_row(f"cloudtalk-{name}")
    await ledger.write(lambda c: calls.write(c, [row], []))
    await ledger.write(lambda c: aliases.add(c, [Alias(f"id:{name}", row.id, AliasReason.STATED)]))
    await ledger.write(lambda c: deliveries.enqueue(c, [(row.id, 1)], now=Instant(1)))
    if state:
        await ledger.write(lambda c: c.execute(_set_state(row.id, state)))


def _set_state(call: str, state: str) -> Update:
    return delivery_table.update().where(delivery_table.c.call == call).values(state=state)


async def seqs(ledger: Ledger) -> list[int]:
    return list(
        await ledger.read(lambda c: c.execute(event_table.select().order_by(event_table.c.seq)).scalars())
    )


async def delete_old_events(
    ledger: Ledger, *, before: int, at_latest: int = 0, after: int = 0, limit: int = 500
) -> int | None:
    return await ledger.write(
        lambda c: retention_queries.delete_old_events(
            c,
            before=Instant(RECEIVED_AT + before),
            at_latest=Instant(RECEIVED_AT + at_latest),
            after=after,
            now=Instant(7),
            limit=limit,
        )
    )


async def test_old_events_are_deleted_and_younger_ones_stay(one_destination: Ledger) -> None:
    await add_event(one_destination, "1")
    young = await add_event(one_destination, "2", at=2 * DAY)
    assert await delete_old_events(one_destination, before=DAY) is None
    assert await seqs(one_destination) == [young]


@pytest.mark.parametrize(("before", "is_kept"), [(5, True), (6, False)])
async def test_an_event_is_old_if_it_was_received_before_the_instant(
    one_destination: Ledger, before: int, *, is_kept: bool
) -> None:
    seq = await add_event(one_destination, "1", at=5)
    await delete_old_events(one_destination, before=before)
    assert await seqs(one_destination) == [seq][:is_kept]
    bodies_left = await one_destination.read(lambda c: c.execute(select(body_table.c.seq)).scalars())
    assert bodies_left == [seq][:is_kept]


async def test_the_events_of_a_call_are_deleted_together(one_destination: Ledger) -> None:
    first, second = [await add_event(one_destination, "1", at=at) for at in (0, 1)]
    await add_event(one_destination, "2", at=2)
    last = await add_event(one_destination, "1", at=DAY)
    assert await delete_old_events(one_destination, before=DAY, limit=1) == first
    await delete_old_events(one_destination, before=DAY)
    assert await seqs(one_destination) == [first, second, last]
    await delete_old_events(one_destination, before=DAY + 1)
    assert await seqs(one_destination) == []


async def test_a_call_that_never_ends_keeps_no_event_for_ever(one_destination: Ledger) -> None:
    await add_event(one_destination, "1", at=0)
    kept = [await add_event(one_destination, "1", at=at) for at in (1, DAY)]
    await delete_old_events(one_destination, before=DAY, at_latest=1)
    assert await seqs(one_destination) == kept


async def test_a_portion_has_500_events(one_destination: Ledger) -> None:
    rows = [make_event_row(at=at) for at in range(501)]
    added = await one_destination.write(lambda c: journal.append(c, rows))
    await one_destination.write(lambda c: journal.mark_folded(c, [(seq, "cloudtalk-1") for seq in added]))
    last = await one_destination.write(
        lambda c: retention_queries.delete_old_events(
            c, before=Instant(RECEIVED_AT + DAY), at_latest=Instant(0), after=0, now=Instant(7)
        )
    )
    assert last == added[499]
    assert await seqs(one_destination) == [added[500]]


async def test_a_full_portion_without_an_old_event_is_the_last_one(one_destination: Ledger) -> None:
    for number in range(3):
        await add_event(one_destination, str(number), at=number)
    assert await delete_old_events(one_destination, before=0, limit=2) is None
    assert await delete_old_events(one_destination, before=1, limit=2) == 2
    assert await delete_old_events(one_destination, before=DAY, limit=3) is None


async def test_an_event_that_is_not_folded_stays_at_any_age(one_destination: Ledger) -> None:
    waiting = await add_event(one_destination, "1", folded=False)
    await delete_old_events(one_destination, before=DAY)
    assert await seqs(one_destination) == [waiting]


async def test_a_portion_returns_where_the_next_one_begins(one_destination: Ledger) -> None:
    seqs_before = [await add_event(one_destination, str(number), at=number) for number in range(4)]
    assert await delete_old_events(one_destination, before=DAY, limit=2) == seqs_before[1]
    assert (
        await delete_old_events(one_destination, before=DAY, after=seqs_before[1], limit=2) == seqs_before[3]
    )
    assert await delete_old_events(one_destination, before=DAY, after=seqs_before[3], limit=2) is None
    assert await seqs(one_destination) == []


async def test_a_portion_begins_after_events_that_stay(one_destination: Ledger) -> None:
    stays = await add_event(one_destination, "1", folded=False)
    folded = await add_event(one_destination, "2", at=1)
    assert await delete_old_events(one_destination, before=DAY, limit=1) == stays
    assert await delete_old_events(one_destination, before=DAY, after=stays, limit=1) == folded
    assert await seqs(one_destination) == [stays]


async def test_a_call_that_lost_events_is_listed_as_pruned(one_destination: Ledger) -> None:
    await add_call(one_destination, "1")
    await add_call(one_destination, "2")
    await add_event(one_destination, "1")
    await add_event(one_destination, "2", at=2 * DAY)
    await delete_old_events(one_destination, before=DAY)
    pruned = await one_destination.read(lambda c: calls.list_pruned_ids(c, ["cloudtalk-1", "cloudtalk-2"]))
    assert pruned == {"cloudtalk-1"}


async def test_dedup_keys_are_deleted_with_their_events(one_destination: Ledger) -> None:
    old = await add_event(one_destination, "1")
    older = await add_event(one_destination, "1", at=1)
    young = await add_event(one_destination, "2", at=2 * DAY)
    keys = [("msg:old", old), ("msg:older", older), ("msg:young", young)]
    await one_destination.write(lambda c: dedup.record(c, keys))
    await delete_old_events(one_destination, before=DAY)
    assert await one_destination.read(
        lambda c: dedup.first_seen(c, {"msg:old", "msg:older", "msg:young"})
    ) == {"msg:young": young}


async def test_what_a_crm_has_of_a_deleted_call_stays_and_counts_nowhere(one_destination: Ledger) -> None:
    await add_call(one_destination, "1")
    await settle(one_destination, delivered_update("cloudtalk-1"))
    assert await one_destination.read(lambda c: deliveries.count_other_renderings(c, "crm", "new")) == 1
    await one_destination.write(
        lambda c: retention_queries.delete_old_calls(c, before=Instant(RECEIVED_AT + DAY), now=Instant(7))
    )
    assert (await get_delivery(one_destination)).delivered_version == 1
    assert await one_destination.read(deliveries.counts_by_destination) == {}
    assert await one_destination.read(lambda c: deliveries.count_other_renderings(c, "crm", "new")) == 0


async def test_only_deliveries_of_deleted_calls_are_deleted_or_become_partial(
    one_destination: Ledger,
) -> None:
    await one_destination.write(lambda c: destinations.register(c, {"crm": "local", "other": "local"}))
    for name, at in (("old", RECEIVED_AT), ("young", RECEIVED_AT + 2 * DAY)):
        state = state_from_event(make_event(name=name), seq=1, received_at=Instant(at))
        row = msgspec.structs.replace(make_call_row(f"cloudtalk-{name}"), state=state)
        await one_destination.write(partial(calls.write, new=[row], changed=[]))
        await one_destination.write(partial(deliveries.enqueue, versions=[(row.id, 1)], now=Instant(1)))
        await settle(one_destination, delivered_update(row.id))
        filtered = delivered_update(row.id, state=DeliveryState.FILTERED, delivered_version=0)
        await settle(one_destination, filtered, name="other")
    await one_destination.write(
        lambda c: retention_queries.delete_old_calls(c, before=Instant(RECEIVED_AT + DAY), now=Instant(7))
    )
    rows = await one_destination.read(
        lambda c: [
            *deliveries.list_for_call(c, "cloudtalk-old"),
            *deliveries.list_for_call(c, "cloudtalk-young"),
        ]
    )
    assert [(row.call, row.destination, row.partial) for row in rows] == [
        ("cloudtalk-old", "crm", True),
        ("cloudtalk-young", "crm", False),
        ("cloudtalk-young", "other", False),
    ]


async def test_the_bodies_of_a_deleted_call_are_deleted(one_destination: Ledger) -> None:
    await add_call(one_destination, "1", "delivered")
    await add_event(one_destination, "1")
    other = await add_event(one_destination, "2")
    await one_destination.write(
        lambda c: retention_queries.delete_old_calls(c, before=Instant(RECEIVED_AT + DAY), now=Instant(7))
    )
    assert await seqs(one_destination) == [other]
    assert await one_destination.read(lambda c: c.execute(select(body_table.c.seq)).scalars()) == [other]


async def test_the_attempts_of_a_deleted_call_are_deleted_and_no_others(one_destination: Ledger) -> None:
    await add_call(one_destination, "1")
    rows = [
        AttemptRow("crm", call, Instant(5), 1, "upsert", "delivered", None, None, 40)
        for call in ("cloudtalk-1", "cloudtalk-2")
    ]
    await one_destination.write(lambda c: attempts.add(c, rows))
    await settle(one_destination, delivered_update("cloudtalk-1"))
    await one_destination.write(
        lambda c: retention_queries.delete_old_calls(c, before=Instant(RECEIVED_AT + DAY), now=Instant(7))
    )
    ids = ["cloudtalk-1", "cloudtalk-2"]
    left = await one_destination.read(lambda c: attempts.list_for_calls(c, ids))
    assert [row.call for row in left] == ["cloudtalk-2"]


async def test_old_calls_are_deleted_in_portions_the_oldest_first(one_destination: Ledger) -> None:
    for name, at in (("a", 3), ("b", 1), ("c", 4), ("d", 2)):
        state = state_from_event(make_event(name=name), seq=1, received_at=Instant(at))
        row = msgspec.structs.replace(make_call_row(name), state=state)
        await one_destination.write(partial(calls.write, new=[row], changed=[]))

    async def delete_before(instant: int) -> tuple[bool, list[str]]:
        more = await one_destination.write(
            lambda c: retention_queries.delete_old_calls(c, before=Instant(instant), now=Instant(7), limit=2)
        )
        return more, await one_destination.read(lambda c: calls.list_ids_after(c, "", 9))

    assert await delete_before(9) == (True, ["a", "c"])
    assert await delete_before(4) == (False, ["c"])
    assert await delete_before(4) == (False, ["c"])


@pytest.mark.parametrize(("state", "kept"), [("delivered", 0), ("filtered", 0), ("pending", 1), ("dead", 1)])
async def test_an_old_call_is_deleted_unless_a_delivery_is_pending_or_dead(
    one_destination: Ledger, state: str, kept: int
) -> None:
    await add_call(one_destination, "1", state)
    await add_event(one_destination, "1")
    assert not await one_destination.write(
        lambda c: retention_queries.delete_old_calls(c, before=Instant(RECEIVED_AT + DAY), now=Instant(7))
    )
    assert await one_destination.read(calls.count) == kept
    assert len(await one_destination.read(lambda c: deliveries.list_for_call(c, "cloudtalk-1"))) == kept
    assert len(await seqs(one_destination)) == kept


async def test_the_search_terms_of_a_deleted_call_are_deleted(ledger: Ledger) -> None:
    rows = [make_call_row(name, contact_name=name) for name in ("Ana", "Eva")]
    await ledger.write(lambda c: calls.write(c, rows, []))
    await ledger.write(
        lambda c: c.execute(call_table.update().where(call_table.c.id == "Ana").values(changed_at=1))
    )
    await ledger.write(lambda c: retention_queries.delete_old_calls(c, before=Instant(2), now=Instant(7)))
    assert await ledger.read(lambda c: c.execute(select(call_terms.c.call)).scalars()) == ["Eva"]
    assert await ledger.read(lambda c: c.execute(select(call_keys.c.call)).scalars()) == ["Eva"]


async def test_a_deleted_call_leaves_a_tombstone_and_its_aliases(one_destination: Ledger) -> None:
    await add_call(one_destination, "1", "delivered")
    await one_destination.write(lambda c: c.execute(call_table.update().values(version=5)))
    for _ in range(2):  # the second time nothing is left to delete
        await one_destination.write(
            lambda c: retention_queries.delete_old_calls(c, before=Instant(RECEIVED_AT + DAY), now=Instant(7))
        )
    found = await one_destination.read(lambda c: tombstones.get_many(c, {"cloudtalk-1", "cloudtalk-2"}))
    assert found == {"cloudtalk-1": Tombstone(5, ["id:1"])}


async def test_an_old_tombstone_is_deleted_with_its_aliases_unless_its_call_continues(
    one_destination: Ledger,
) -> None:
    for name in ("1", "2"):
        await add_call(one_destination, name, "delivered")
    await one_destination.write(
        lambda c: retention_queries.delete_old_calls(c, before=Instant(RECEIVED_AT + DAY), now=Instant(7))
    )
    continued = make_call_row("cloudtalk-2", version=2)
    await one_destination.write(lambda c: calls.write(c, [continued], []))
    assert (
        await one_destination.write(lambda c: tombstones.delete_old(c, before=Instant(7), limit=2)) is False
    )
    assert await one_destination.write(lambda c: tombstones.delete_old(c, before=Instant(8), limit=2)) is True
    assert (
        await one_destination.write(lambda c: tombstones.delete_old(c, before=Instant(8), limit=2)) is False
    )
    left = await one_destination.read(lambda c: aliases.get_many(c, ["id:1", "id:2"]))
    assert [(alias.alias, alias.call) for alias in left] == [("id:2", "cloudtalk-2")]


async def test_the_newest_sign_of_time_is_a_stated_start_if_there_is_one(one_destination: Ledger) -> None:
    assert await one_destination.read(retention_queries.newest_sign_of_time) is None
    await write_call(one_destination, make_state(), RECEIVED_AT - 800 * DAY)
    # CloudTalk states no times, so the arrival counts.
    arrival = max(make_state().seen.values())
    assert await one_destination.read(retention_queries.newest_sign_of_time) == arrival
    rows = []
    for name, days in (("2", 900), ("3", 901), ("4", -1)):
        row = make_call_row(f"cloudtalk-{name}")
        record = msgspec.structs.replace(row.record, started_at="2020-01-01T00:00:00Z")
        began_at = Instant(RECEIVED_AT - days * DAY)
        rows.append(msgspec.structs.replace(row, began_at=began_at, record=record))
    await one_destination.write(lambda c: calls.write(c, rows, []))
    newest = RECEIVED_AT - 900 * DAY
    assert await one_destination.read(retention_queries.newest_sign_of_time) == newest


@pytest.mark.parametrize(("began_after_arrival", "is_sign"), [(-1, True), (0, True), (1, False)])
async def test_a_start_after_the_arrival_is_no_sign_of_time(
    ledger: Ledger, began_after_arrival: int, *, is_sign: bool
) -> None:
    arrival = max(make_state().seen.values())
    row = make_call_row()
    record = msgspec.structs.replace(row.record, started_at="2027-01-15T08:00:00Z")
    began_at = Instant(arrival + began_after_arrival)
    row = msgspec.structs.replace(row, began_at=began_at, record=record)
    await ledger.write(lambda c: calls.write(c, [row], []))
    expected = began_at if is_sign else arrival
    assert await ledger.read(retention_queries.newest_sign_of_time) == expected


@pytest.mark.parametrize(("without_start", "is_sign"), [(99, True), (100, False)])
async def test_the_newest_hundred_calls_are_searched_for_a_stated_start(
    ledger: Ledger, without_start: int, *, is_sign: bool
) -> None:
    arrival = max(make_state().seen.values())
    stated = make_call_row("a-stated")  # by its id it is the first
    record = msgspec.structs.replace(stated.record, started_at="2027-01-15T08:00:00Z")
    rows = [
        msgspec.structs.replace(make_call_row(f"cloudtalk-{n}"), began_at=Instant(9 + n))
        for n in range(without_start)
    ]
    rows.append(msgspec.structs.replace(stated, began_at=Instant(5), record=record))
    await ledger.write(lambda c: calls.write(c, rows, []))
    expected = 5 if is_sign else arrival
    assert await ledger.read(retention_queries.newest_sign_of_time) == expected


async def write_call(ledger: Ledger, state: CallState, began_at: int) -> None:
    """Insert a call without deliveries."""
    row = msgspec.structs.replace(make_call_row(), state=state, began_at=Instant(began_at))
    await ledger.write(lambda c: calls.write(c, [row], []))


async def is_kept(ledger: Ledger, *, days: float) -> bool:
    """Prune the calls that changed last before so many days after `RECEIVED_AT`."""
    before = Instant(RECEIVED_AT + int(days * DAY))
    await ledger.write(lambda c: retention_queries.delete_old_calls(c, before=before, now=Instant(7)))
    return await ledger.read(calls.count) == 1


@pytest.mark.parametrize("began_at", [0, 1_262_304_000_000_000, RECEIVED_AT, 4_070_908_800_000_000])
async def test_retention_counts_from_the_arrival_of_a_call_whenever_it_began(
    ledger: Ledger, began_at: int
) -> None:
    await write_call(ledger, make_state(), began_at)
    assert await is_kept(ledger, days=0)
    assert not await is_kept(ledger, days=0.5)


@pytest.mark.parametrize("change", [{"tags": ["late"]}, {"recording_url": "https://x"}, {"notes": "n"}])
async def test_a_late_change_of_a_call_starts_its_retention_again(
    ledger: Ledger, change: dict[str, Any]
) -> None:
    late = state_from_event(
        make_event(kind=Kind.MODIFIED, **change), seq=9, received_at=Instant(RECEIVED_AT + 30 * DAY)
    )
    await write_call(ledger, make_state(contact_name="Ana"), 0)
    row = msgspec.structs.replace(make_call_row(), state=join(make_state(contact_name="Ana"), late))
    await ledger.write(lambda c: calls.write(c, [], [row]))
    assert await is_kept(ledger, days=30)
    assert not await is_kept(ledger, days=31)


async def test_a_merged_call_is_kept_as_long_as_its_events(ledger: Ledger) -> None:
    state = make_state()
    await write_call(ledger, CallState({}, state.seen, {}, {}), 0)
    assert await is_kept(ledger, days=0)
    assert not await is_kept(ledger, days=1)


async def test_a_young_call_stays(one_destination: Ledger) -> None:
    await add_call(one_destination, "1", "delivered")
    await one_destination.write(
        lambda c: retention_queries.delete_old_calls(c, before=RECEIVED_AT, now=Instant(7))
    )
    assert await one_destination.read(calls.count) == 1


async def test_old_quarantined_bodies_and_old_client_state_are_deleted(one_destination: Ledger) -> None:
    def write(connection: Any) -> None:
        for at in (4, 5):
            quarantine.add(
                connection, NewQuarantinedBody(Instant(at), "json", "no JSON", "", "", "/", "", b"{")
            )
            client_state.set_many(connection, "crm", {f"contact:{at}": "7"}, now=Instant(at))
        retention_queries.delete_old_quarantine(connection, before=Instant(5))
        retention_queries.delete_old_client_state(connection, before=Instant(5))

    await one_destination.write(write)
    assert [row.received_at for row in await one_destination.read(read_quarantine)] == [5]
    kept = await one_destination.read(lambda c: client_state.get_many(c, "crm", ["contact:4", "contact:5"]))
    assert kept == {"contact:5": "7"}
