"""The result of an attempt is written, unless a newer version makes the call pending again."""

import msgspec
import pytest

from relay.instants import Duration, Instant
from relay.ledger import Ledger, deliveries, destinations, replays
from relay.ledger.deliveries import DeliveryRow, DeliveryUpdate
from relay.ledger.states import DeliveryState
from tests.support.deliveries import delivered_update, enqueue, get_delivery, settle, take_due

CALL = "cloudtalk-1"
DELIVERED = delivered_update(CALL, due_at=Instant(50), attempted_at=Instant(50), remote_id="r1")
FAILED = delivered_update(
    CALL,
    state=DeliveryState.PENDING,
    delivered_version=0,
    due_at=Instant(500),
    attempts=3,
    attempted_at=Instant(50),
    failing_for=Duration(40),
    remote_id=None,
    outcome="retry",
    code="503",
    message="it's down",
)
DEAD = msgspec.structs.replace(
    FAILED, state=DeliveryState.DEAD, due_at=Instant(50), outcome="rejected", code="22P05"
)


async def set_delivered_at(ledger: Ledger, at: int) -> None:
    await ledger.write(lambda c: destinations.set_delivered_at(c, "crm", now=Instant(at)))


async def test_a_delivered_call_has_the_version_and_id_of_the_crm(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    update = msgspec.structs.replace(
        DELIVERED, code="200", message="found", not_before=Instant(60), rendering="de", partial=True
    )
    await settle(two_destinations, update)
    row = await get_delivery(two_destinations)
    assert row == DeliveryRow(
        destination="crm",
        call=CALL,
        state=DeliveryState.DELIVERED,
        version=1,
        delivered_version=1,
        first_delivered_at=Instant(50),
        pending_since=Instant(10),
        due_at=Instant(50),
        attempts=1,
        attempted_at=Instant(50),
        failing_for=Duration(0),
        remote_id="r1",
        outcome="delivered",
        code="200",
        message="found",
        not_before=Instant(60),
        rewrite=False,
        rendering="de",
        partial=True,
    )
    assert row.first_delivered_at == 50


async def test_an_update_concerns_one_destination(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await settle(two_destinations, DELIVERED)
    assert (await get_delivery(two_destinations, name="other")).state == "pending"


async def test_a_failed_attempt_is_written_with_its_reason(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await settle(two_destinations, FAILED)
    row = await get_delivery(two_destinations)
    assert (row.state, row.due_at, row.attempts, row.failing_for) == ("pending", 500, 3, 40)
    assert (row.outcome, row.code, row.message, row.pending_since) == ("retry", "503", "it's down", 10)


@pytest.mark.parametrize("update", [DELIVERED, DEAD], ids=["delivered", "dead"])
async def test_a_version_that_arrived_during_the_push_is_pending_with_a_new_schedule(
    two_destinations: Ledger, update: DeliveryUpdate
) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await enqueue(two_destinations, (CALL, 2), now=40)
    await settle(two_destinations, update)
    row = await get_delivery(two_destinations)
    assert (row.state, row.version, row.delivered_version) == ("pending", 2, update.delivered_version)
    assert (row.due_at, row.pending_since, row.attempts, row.failing_for) == (50, 50, 0, 0)
    assert (row.outcome, row.rewrite) == (update.outcome, False)


async def test_a_version_that_arrived_during_a_failed_push_waits_for_its_backoff(
    two_destinations: Ledger,
) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await enqueue(two_destinations, (CALL, 2), now=40)
    await settle(two_destinations, FAILED)
    row = await get_delivery(two_destinations)
    assert (row.state, row.version, row.due_at, row.attempts, row.failing_for) == ("pending", 2, 500, 3, 40)
    assert row.pending_since == 10


async def test_only_the_first_delivery_to_the_crm_sets_its_time(two_destinations: Ledger) -> None:
    times = []
    for version, update in enumerate((DEAD, DELIVERED, DELIVERED, DEAD), 1):
        await enqueue(two_destinations, (CALL, version))
        result = msgspec.structs.replace(update, version=version)
        await settle(two_destinations, result, now=50 + version)
        times.append((await get_delivery(two_destinations)).first_delivered_at)
    assert times == [None, 52, 52, 52]


async def test_many_updates_with_different_results_are_written_together(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, ("a", 1), ("b", 1), ("c", 1), ("d", 1))
    await settle(
        two_destinations,
        msgspec.structs.replace(DEAD, call="c"),
        msgspec.structs.replace(DELIVERED, call="a"),
        msgspec.structs.replace(FAILED, call="b"),
    )
    assert [(await get_delivery(two_destinations, call)).state for call in "abcd"] == [
        "delivered",
        "pending",
        "dead",
        "pending",
    ]


async def test_settling_nothing_changes_nothing(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await settle(two_destinations)
    assert (await get_delivery(two_destinations)).state == "pending"


async def test_a_push_under_a_lost_lease_is_pending_again_with_the_version_that_it_knew(
    two_destinations: Ledger,
) -> None:
    await enqueue(two_destinations, (CALL, 2), ("b", 2))
    for call in (CALL, "b"):
        await settle(two_destinations, delivered_update(call, version=2))
        await settle(two_destinations, delivered_update(call, version=2), name="other")
    await two_destinations.write(
        lambda c: deliveries.requeue_after_lost_lease(c, "crm", [(CALL, 1)], now=Instant(90))
    )
    row = await get_delivery(two_destinations)
    assert (row.state, row.version, row.delivered_version, row.due_at) == ("pending", 2, 1, 90)
    assert row.pending_since == 90
    for call, name in (("b", "crm"), (CALL, "other"), ("b", "other")):
        assert (await get_delivery(two_destinations, call, name)).state == "delivered"


async def test_a_push_under_a_lost_lease_keeps_the_wait_of_the_crm_and_an_older_version(
    two_destinations: Ledger,
) -> None:
    await enqueue(two_destinations, (CALL, 3))
    await settle(two_destinations, msgspec.structs.replace(FAILED, version=3, not_before=Instant(400)))
    await two_destinations.write(
        lambda c: deliveries.requeue_after_lost_lease(c, "crm", [(CALL, 2)], now=Instant(90))
    )
    row = await get_delivery(two_destinations)
    assert (row.delivered_version, row.due_at, row.pending_since) == (0, 400, 10)
    assert (await get_delivery(two_destinations, name="other")).due_at == 10


@pytest.mark.parametrize(("min_length", "state"), [(2, "pending"), (3, "dead")])
async def test_a_run_of_rejections_with_one_code_is_pending_again_if_it_is_long_enough(
    two_destinations: Ledger, min_length: int, state: str
) -> None:
    await enqueue(two_destinations, ("before", 1), ("a", 1), ("b", 1), ("other code", 1))
    await settle(two_destinations, msgspec.structs.replace(DEAD, call="before", attempted_at=Instant(40)))
    await set_delivered_at(two_destinations, 45)
    await settle(
        two_destinations,
        msgspec.structs.replace(DEAD, call="a"),
        msgspec.structs.replace(DEAD, call="b"),
        msgspec.structs.replace(DEAD, call="other code", code="23502"),
    )
    length = await two_destinations.write(
        lambda c: deliveries.requeue_rejected_run(c, "crm", "22P05", min_length=min_length, now=Instant(90))
    )
    assert length == (2 if state == "pending" else 0)
    assert {(await get_delivery(two_destinations, call)).state for call in "ab"} == {state}
    assert (await get_delivery(two_destinations, "other code")).state == "dead"


async def test_a_requeued_run_of_a_new_destination_has_a_new_schedule(two_destinations: Ledger) -> None:
    await enqueue(two_destinations, ("a", 1), ("failed", 1))
    for name in ("crm", "other"):
        given_up = msgspec.structs.replace(DEAD, call="failed", outcome="retry")
        await settle(two_destinations, msgspec.structs.replace(DEAD, call="a"), given_up, name=name)
    length = await two_destinations.write(
        lambda c: deliveries.requeue_rejected_run(c, "crm", "22P05", min_length=1, now=Instant(90))
    )
    row = await get_delivery(two_destinations, "a")
    assert (length, row.state) == (1, "pending")
    assert (row.due_at, row.pending_since, row.attempts, row.failing_for) == (90, 90, 0, 0)
    assert (await get_delivery(two_destinations, "failed")).state == "dead"
    assert (await get_delivery(two_destinations, "a", name="other")).state == "dead"


@pytest.mark.parametrize(("attempted_at", "length"), [(44, 0), (45, 0), (46, 1)])
async def test_a_run_of_rejections_begins_after_the_last_delivery(
    two_destinations: Ledger, attempted_at: int, length: int
) -> None:
    await enqueue(two_destinations, ("a", 1))
    await set_delivered_at(two_destinations, 45)
    await settle(
        two_destinations, msgspec.structs.replace(DEAD, call="a", attempted_at=Instant(attempted_at))
    )
    assert length == await two_destinations.write(
        lambda c: deliveries.requeue_rejected_run(c, "crm", "22P05", min_length=1, now=Instant(90))
    )


@pytest.mark.parametrize("state", [DeliveryState.PENDING, DeliveryState.DROPPED, DeliveryState.FILTERED])
async def test_only_dead_letters_are_in_a_run_of_rejections(
    two_destinations: Ledger, state: DeliveryState
) -> None:
    await enqueue(two_destinations, ("a", 1), ("dead", 1))
    await settle(two_destinations, msgspec.structs.replace(DEAD, call="a", state=state))
    await settle(two_destinations, msgspec.structs.replace(DEAD, call="dead"))
    assert (
        await two_destinations.write(
            lambda c: deliveries.requeue_rejected_run(c, "crm", "22P05", min_length=1, now=Instant(90))
        )
        == 1
    )
    assert (await get_delivery(two_destinations, "a")).state == state


# --- a replay that asks for the whole record ---------------------------------------------------------


async def replay_whole(ledger: Ledger) -> None:
    await ledger.write(lambda c: replays.enqueue(c, "crm", [(CALL, 1)], now=Instant(20), rewrite=True))


@pytest.mark.parametrize("update", [DELIVERED, DEAD, FAILED], ids=["delivered", "dead", "failed"])
async def test_a_replay_during_a_push_is_done_after_it(
    two_destinations: Ledger, update: DeliveryUpdate
) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await replay_whole(two_destinations)
    await settle(two_destinations, update)
    row = await get_delivery(two_destinations)
    assert (row.state, row.rewrite) == ("pending", True)
    assert row.due_at == (500 if update is FAILED else 50)


@pytest.mark.parametrize(
    ("update", "state", "is_asked"),
    [(DELIVERED, "delivered", False), (FAILED, "pending", True), (DEAD, "dead", True)],
    ids=["delivered", "failed", "dead"],
)
async def test_a_replay_ends_with_a_delivery_of_the_whole_record(
    two_destinations: Ledger, update: DeliveryUpdate, state: str, *, is_asked: bool
) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await replay_whole(two_destinations)
    (due,) = await take_due(two_destinations)
    await settle(two_destinations, msgspec.structs.replace(update, rewrite=due.rewrite))
    row = await get_delivery(two_destinations)
    assert (row.state, row.rewrite) == (state, is_asked)


async def test_a_record_that_changed_during_the_push_of_a_replay_is_written_whole_again(
    two_destinations: Ledger,
) -> None:
    await enqueue(two_destinations, (CALL, 1))
    await replay_whole(two_destinations)
    await enqueue(two_destinations, (CALL, 2), now=40)
    await settle(two_destinations, msgspec.structs.replace(DELIVERED, rewrite=True))
    row = await get_delivery(two_destinations)
    assert (row.state, row.rewrite, row.version) == ("pending", True, 2)
