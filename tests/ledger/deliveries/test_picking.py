"""Which deliveries of a destination come next, and when."""

from collections.abc import Collection
from typing import Any

import msgspec
import pytest

from relay.instants import Duration, Instant
from relay.ledger import Ledger, calls, deliveries, replays
from relay.ledger.connection import Connection, Rows
from relay.ledger.deliveries import DeliveryUpdate, DueDelivery, Pick
from relay.ledger.states import DeliveryState
from tests.support.deliveries import delivered_update, due_ids, enqueue, get_delivery, settle, take_due
from tests.support.samples import ODD_IDS, RECEIVED_AT, make_call_row

CALL = "cloudtalk-1"
DELIVERED = delivered_update(CALL)
DEAD = delivered_update(CALL, state=DeliveryState.DEAD, delivered_version=0, outcome="rejected")


def failed(
    call: str = CALL,
    *,
    due_at: int = 500,
    not_before: int | None = None,
    attempts: int = 3,
    attempted_at: int = 50,
) -> DeliveryUpdate:
    return delivered_update(
        call,
        state=DeliveryState.PENDING,
        delivered_version=0,
        due_at=Instant(due_at),
        not_before=None if not_before is None else Instant(not_before),
        attempts=attempts,
        attempted_at=Instant(attempted_at),
        failing_for=Duration(40),
        remote_id=None,
        outcome="retry",
    )


async def make_due_now(ledger: Ledger, *, now: int, min_delay: int) -> None:
    await ledger.write(
        lambda c: deliveries.make_due_now(c, "crm", now=Instant(now), min_delay=Duration(min_delay))
    )


async def end_backoff(ledger: Ledger, *, now: int, max_attempts: int = deliveries.ANY_ATTEMPTS) -> None:
    await ledger.write(
        lambda c: deliveries.end_backoff(c, "crm", now=Instant(now), max_attempts=max_attempts)
    )


async def next_due_at(ledger: Ledger, name: str = "crm", *, busy: Collection[str] = ()) -> Instant | None:
    return await ledger.read(lambda c: deliveries.next_due_at(c, name, busy=busy))


async def test_a_due_delivery_has_all_that_a_push_needs(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await settle(
        two_destinations,
        delivered_update(
            CALL,
            state=DeliveryState.PENDING,
            attempts=3,
            attempted_at=Instant(50),
            failing_for=Duration(40),
            remote_id="r1",
            outcome="retry",
        ),
    )
    row = make_call_row(CALL, 2, notes="newest")
    await two_destinations.write(lambda c: calls.write(c, [], [row]))
    assert await take_due(two_destinations) == [
        DueDelivery(
            call=row.record,
            field_versions={"notes": 2},
            delivered_version=1,
            attempts=3,
            attempted_at=Instant(50),
            failing_for=Duration(40),
            remote_id="r1",
            outcome="retry",
            changed_at=Instant(RECEIVED_AT + 1),
        )
    ]


async def test_a_due_delivery_knows_what_the_record_in_the_crm_has(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    update = delivered_update(CALL, state=DeliveryState.PENDING, rendering="de", partial=True)
    await settle(two_destinations, update)
    (due,) = await take_due(two_destinations)
    assert (due.rendering, due.partial, due.rewrite) == ("de", True, False)
    await two_destinations.write(
        lambda c: replays.enqueue(c, "crm", [(CALL, 1)], now=Instant(20), rewrite=True)
    )
    (due,) = await take_due(two_destinations)
    assert (due.rendering, due.partial, due.rewrite) == ("de", True, True)


@pytest.mark.parametrize("pick", Pick)
async def test_no_more_deliveries_are_read_than_asked_for(two_destinations: Ledger, pick: Pick) -> None:
    await enqueue(two_destinations, *((call, 1) for call in "abcd"))
    assert len(await take_due(two_destinations, pick=pick, limit=3)) == 3


async def enqueue_sizes(ledger: Ledger, text: str, *characters: int) -> list[int]:
    """Enqueue a call for each length of its notes, a, b, c and so on; return the bytes of their records."""
    ids = "abcdefgh"[: len(characters)]
    await enqueue(ledger, *((call, 1) for call in ids))
    rows = [make_call_row(id_, 1, notes=text * n) for id_, n in zip(ids, characters, strict=True)]
    await ledger.write(lambda c: calls.write(c, [], rows))
    return [len(msgspec.json.encode(row.record)) for row in rows]


@pytest.mark.parametrize(
    ("text", "characters", "fitting"),
    [
        ("x", (9_000, 9_000, 9_000, 9_000), 2),  # none is small
        ("😀", (10, 9_000, 10, 9_000, 10), 4),  # small and large ones in the order of their turns
        ("ñ", (9_000, 10, 10, 9_000, 10), 4),
        ("\\", (10, 10, 10, 10), 3),
        ("漢", (30_000, 10, 10), 1),  # one alone has more
    ],
)
async def test_the_records_of_a_batch_have_a_number_of_bytes_together(
    two_destinations: Ledger, text: str, characters: tuple[int, ...], fitting: int
) -> None:
    sizes = await enqueue_sizes(two_destinations, text, *characters)
    ids = list("abcde"[: len(sizes)])
    for at, call in enumerate(ids, start=100):
        await settle(two_destinations, failed(call, due_at=at, attempts=0, attempted_at=at))
    exactly = sum(sizes[:fitting])
    due = await take_due(two_destinations, limit=50, max_bytes=exactly)
    assert [(each.call.id, each.call.notes) for each in due] == [
        (call, text * n) for call, n in zip(ids[:fitting], characters, strict=False)
    ]
    assert await due_ids(two_destinations, pick=Pick.PROBE, limit=50, max_bytes=exactly) == ids[:fitting]
    less = await due_ids(two_destinations, limit=50, max_bytes=exactly - 1)
    assert less == ids[: max(fitting - 1, 1)]


async def test_no_query_reads_more_than_a_batch_of_bytes(two_destinations: Ledger) -> None:
    sizes = await enqueue_sizes(two_destinations, "😀", 100, 4_000, 4_000, 4_000, 4_000)
    read: list[int] = []

    def take(connection: Connection) -> None:
        execute = connection.execute

        def count(statement: Any, parameters: Any) -> Any:
            found = execute(statement, parameters).all()
            read.append(sum(len(value.encode()) for row in found for value in row if isinstance(value, str)))
            return Rows(found, -1)

        connection.execute = count  # type: ignore[method-assign,assignment]
        deliveries.take_due(
            connection, "crm", Pick.OLDEST, busy=(), now=Instant(99), limit=20, max_bytes=40_000
        )

    await two_destinations.read(take)
    assert len(read) == 3  # the query, and two large records
    assert sum(read) < 40_000
    assert sum(sizes) > 60_000


async def test_each_destination_has_its_own_deliveries(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, ("a", 1))
    await settle(two_destinations, failed("a", due_at=300))
    await settle(two_destinations, failed("a", due_at=400), name="other")
    await end_backoff(two_destinations, now=100)
    assert [await next_due_at(two_destinations, name) for name in ("crm", "other")] == [100, 400]
    await settle(two_destinations, failed("a", due_at=300))
    await make_due_now(two_destinations, now=100, min_delay=1)
    assert [await next_due_at(two_destinations, name) for name in ("crm", "other")] == [100, 400]
    assert await due_ids(two_destinations, "other", now=399, pick=Pick.OLDEST) == []


async def test_only_pending_deliveries_are_moved(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await settle(two_destinations, delivered_update(CALL, state=DeliveryState.DEAD, due_at=Instant(300)))
    await end_backoff(two_destinations, now=100)
    await make_due_now(two_destinations, now=100, min_delay=1)
    assert (await get_delivery(two_destinations)).due_at == 300


async def test_a_delivery_is_not_taken_before_it_is_due(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await settle(two_destinations, failed())
    assert await due_ids(two_destinations, now=499) == []
    assert await due_ids(two_destinations, now=500) == [CALL]


async def test_the_oldest_due_or_the_last_due_come_first_up_to_the_limit(two_destinations: Ledger) -> None:
    for call, now in (("b", 3), ("a", 1), ("c", 2), ("d", 4)):
        await enqueue(two_destinations, (call, 1), now=now)
    assert await due_ids(two_destinations) == ["a", "c", "b", "d"]
    assert await due_ids(two_destinations, limit=2) == ["a", "c"]
    assert await due_ids(two_destinations, pick=Pick.FRESH, limit=2) == ["d", "b"]


async def test_a_probe_takes_a_call_without_failures_first_then_the_longest_not_attempted(
    two_destinations: Ledger,
) -> None:
    await enqueue(two_destinations, ("a", 1), ("b", 1), ("c", 1), ("delivered", 1))
    await settle(two_destinations, failed("a", attempted_at=60), failed("b", attempted_at=50))
    await settle(two_destinations, delivered_update("delivered", state=DeliveryState.PENDING, attempts=0))
    assert await due_ids(two_destinations, pick=Pick.PROBE, now=0) == ["c", "b", "a", "delivered"]


async def test_a_probe_takes_a_new_version_of_a_delivered_call_before_a_call_that_failed(
    two_destinations: Ledger,
) -> None:
    await enqueue(two_destinations, ("a", 1), ("b", 1))
    await settle(two_destinations, failed("a", attempted_at=40))
    await settle(two_destinations, delivered_update("b", attempted_at=Instant(60)))
    await enqueue(two_destinations, ("b", 2), now=70)
    assert await due_ids(two_destinations, pick=Pick.PROBE, now=0) == ["b", "a"]


async def test_of_two_deliveries_attempted_at_once_the_one_that_is_due_first_is_the_probe(
    two_destinations: Ledger,
) -> None:
    await enqueue(two_destinations, ("a", 1), ("b", 1))
    await settle(two_destinations, failed("a", due_at=300), failed("b", due_at=200))
    assert await due_ids(two_destinations, pick=Pick.PROBE, now=0) == ["b", "a"]


async def test_a_busy_call_is_not_taken_again(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, *((odd, 1) for odd in ODD_IDS))
    busy = set(ODD_IDS[1:])
    assert await due_ids(two_destinations, busy=busy) == [ODD_IDS[0]]
    assert sorted(await due_ids(two_destinations, "other")) == sorted(ODD_IDS)


@pytest.mark.parametrize("update", [DELIVERED, DEAD], ids=["delivered", "dead"])
async def test_a_delivered_or_dead_call_is_not_taken(
    two_destinations: Ledger, update: DeliveryUpdate
) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await settle(two_destinations, update)
    assert await due_ids(two_destinations) == []
    assert await next_due_at(two_destinations) is None


async def test_the_next_due_is_the_first_of_this_destination(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, ("a", 1), ("b", 1))
    await settle(two_destinations, failed("a", due_at=300), failed("b", due_at=200))
    assert await next_due_at(two_destinations) == 200
    assert await next_due_at(two_destinations, "other") == 10
    assert await next_due_at(two_destinations, "unknown") is None


async def test_the_next_due_is_none_of_the_busy_calls(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, *((odd, 1) for odd in ODD_IDS))
    last = ODD_IDS[-1]
    await settle(two_destinations, failed(last, due_at=300))
    assert await next_due_at(two_destinations, busy=ODD_IDS[:-2]) == 10
    assert await next_due_at(two_destinations, busy=ODD_IDS[:-1]) == 300
    assert await next_due_at(two_destinations, busy=ODD_IDS) is None


async def test_a_recovery_ends_the_backoff_of_calls_with_few_attempts(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, ("a", 1), ("b", 1))
    await settle(two_destinations, failed("a", due_at=300, attempts=2), failed("b", due_at=200, attempts=3))
    await end_backoff(two_destinations, now=100, max_attempts=2)
    assert await due_ids(two_destinations, now=100) == ["a"]
    await end_backoff(two_destinations, now=100)
    assert await due_ids(two_destinations, now=100) == ["a", "b"]
    most_attempts = 2_147_483_647  # the highest INTEGER of PostgreSQL
    await settle(two_destinations, failed("a", due_at=300, attempts=most_attempts))
    await end_backoff(two_destinations, now=100)
    assert sorted(await due_ids(two_destinations, now=100)) == ["a", "b"]


@pytest.mark.parametrize(
    ("not_before", "due_at"), [(None, 100), (40, 100), (100, 100), (101, 101), (250, 250), (500, 500)]
)
async def test_a_recovery_shortens_no_wait_that_the_crm_asked_for(
    two_destinations: Ledger, not_before: int | None, due_at: int
) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await settle(two_destinations, failed(due_at=500, not_before=not_before))
    await end_backoff(two_destinations, now=100)
    assert await next_due_at(two_destinations) == due_at


async def test_a_probe_takes_no_call_that_the_crm_asked_to_wait_with(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, ("a", 1), ("b", 1))
    await settle(two_destinations, failed("a", not_before=200), failed("b", not_before=60))
    assert await due_ids(two_destinations, pick=Pick.PROBE, now=199) == ["b"]
    assert await due_ids(two_destinations, pick=Pick.PROBE, now=200) == ["a", "b"]


async def test_a_wait_that_is_impossibly_long_ends_even_if_the_crm_asked_for_it(
    two_destinations: Ledger,
) -> None:
    await enqueue(two_destinations, ("a", 1), ("b", 1))
    await settle(two_destinations, failed("a", due_at=300, not_before=300), failed("b", due_at=301))
    await make_due_now(two_destinations, now=100, min_delay=200)
    assert await due_ids(two_destinations, now=100) == ["b"]
    await make_due_now(two_destinations, now=100, min_delay=199)
    assert await due_ids(two_destinations, now=100, pick=Pick.PROBE) == ["a", "b"]


async def test_a_push_of_a_lost_lease_shortens_no_wait_that_the_crm_asked_for(
    two_destinations: Ledger,
) -> None:
    await enqueue(two_destinations, ("a", 1), ("b", 1))
    await settle(two_destinations, failed("a", not_before=400), failed("b"))
    pushed = [("a", 0), ("b", 0)]
    await two_destinations.write(
        lambda c: deliveries.requeue_after_lost_lease(c, "crm", pushed, now=Instant(100))
    )
    assert await due_ids(two_destinations, now=399) == ["b"]
    assert await due_ids(two_destinations, now=400) == ["b", "a"]
