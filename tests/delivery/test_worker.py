"""What the delivery worker pushes, in which batches and order, and who serves the destination."""

import asyncio
import gc
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from crm_clients.base import Delivered, Outcome, Push, Retry, Throttled, Unauthorised, Unknown
from crm_clients.settings import DestinationSettings
from relay.call import DELIVERED_FIELDS, Kind
from relay.delivery import DeliveryWorker
from relay.delivery.settle import Settler
from relay.instants import SECOND, Instant
from relay.ledger import deliveries, destinations, epochs, retention_queries
from relay.ledger.errors import LedgerUnavailable
from relay.ledger.lease_holder import Lease
from relay.ledger.tables import deliveries as table
from tests.support.counting import count_transactions
from tests.support.deliveries import delivered_update
from tests.support.delivering import (
    NO_POLL,
    POLICY,
    Delivering,
    FakeCrm,
    UpsertAnswer,
    always,
    delivered,
    first_then,
    wait_until,
)
from tests.support.ledgers import open_ledger
from tests.support.patience import PATIENCE
from tests.support.samples import T0

# --- versions, fields and batches -----------------------------------------------------------------


OTHER_PROCESS = "another-host/1/1"


async def test_the_newest_version_is_pushed_once_after_any_number_of_events(relay: Delivering) -> None:
    for name in "abcdefghij":
        await relay.add_event(Kind.STARTED, contact_name=name)
    async with relay.worker():
        delivery = await relay.wait_for("delivered")
    assert relay.crm.versions == [[("cloudtalk-1", 10)]]
    assert (delivery.delivered_version, delivery.remote_id) == (10, "remote-cloudtalk-1")
    assert delivery.attempts == 1


async def test_the_first_push_has_each_known_field_and_the_next_only_changed_ones(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED, contact_name="Ana", started_at=T0)
    async with relay.worker() as worker:
        await relay.wait_for("delivered")
        await relay.add_event(Kind.ENDED, status="missed", direction="inbound")
        worker.wake()
        await relay.wait_for("delivered", delivered_version=2)
    first, second = (batch[0] for batch in relay.crm.pushed)
    assert first.changed == {"contact_name", "started_at"}
    assert (first.first, first.partial, second.first, second.partial) == (True, True, False, False)
    assert second.changed == {"direction", "status", "follow_up", "legs"}
    assert second.remote_id == "remote-cloudtalk-1"


@pytest.mark.parametrize("started_at", [None, 0, T0, 4_000_000_000_000_000])
async def test_a_record_that_the_crm_had_before_stays_partial_until_it_is_retracted(
    relay: Delivering, started_at: int | None
) -> None:
    relay.crm.answer = always(Delivered(existed=True))
    start: dict[str, Any] = {} if started_at is None else {"started_at": Instant(started_at)}
    await relay.add_event(Kind.MODIFIED, tags=["late"], **start)
    async with relay.worker() as worker:
        assert (await relay.wait_for("delivered")).partial
        await relay.add_event(Kind.MODIFIED, notes="later")
        worker.wake()
        assert (await relay.wait_for("delivered", delivered_version=2)).partial
        await relay.add_event(Kind.MODIFIED, direction="internal")
        worker.wake()
        assert not (await relay.wait_for("retracted")).partial
    first, second = (batch[0] for batch in relay.crm.pushed)
    assert first.changed == {"tags"} | start.keys()
    assert (sorted(second.changed), second.partial) == (["notes"], True)


async def test_after_a_restore_the_crm_may_know_more_than_the_ledger(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED, started_at=T0)
    async with relay.worker() as worker:
        assert not (await relay.wait_for("delivered")).partial
        await relay.ledger.write(lambda c: epochs.begin(c, now=Instant(5)))
        await worker.finish_round()
        for version, notes in enumerate("ab", 2**32 + 1):
            await relay.add_event(Kind.MODIFIED, notes=notes)
            worker.wake()
            assert (await relay.wait_for("delivered", delivered_version=version)).partial
    assert [batch[0].partial for batch in relay.crm.pushed] == [True, True, True]


async def test_a_field_that_changed_back_is_sent_if_the_push_between_was_not_settled(
    relay: Delivering,
) -> None:
    await relay.add_event(Kind.STARTED, contact_name="A")
    async with relay.worker():
        await relay.wait_for("delivered")
        # The CRM writes it, but the relay does not know: as if it was killed between push and settle.
        relay.crm.answer = always(Retry(code="cut"))
        await relay.add_event(Kind.STARTED, contact_name="B")
        await relay.wait_for("pending", outcome="retry")
        await relay.add_event(Kind.STARTED, contact_name="A")
        relay.crm.answer = delivered
        relay.clock.advance(30)
        await relay.wait_for("delivered", delivered_version=3)
    assert "contact_name" in relay.crm.pushed[-1][0].changed


async def test_many_calls_are_pushed_in_batches_of_limited_size(relay: Delivering) -> None:
    for number in range(5):
        await relay.add_event(Kind.STARTED, str(number))
    async with relay.worker(batch=3, concurrency=1):
        await relay.wait_for("delivered", "cloudtalk-4")
        await relay.wait_for("delivered", "cloudtalk-0")
    assert sorted(len(batch) for batch in relay.crm.pushed) == [2, 3]


async def test_a_version_that_comes_during_a_push_is_pushed_after_it(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED)
    relay.crm.may_answer.clear()
    async with relay.worker() as worker:
        await relay.wait_for_push()
        await relay.add_event(Kind.ENDED)
        await worker.finish_round()
        assert len(relay.crm.pushed) == 1, "never the same call twice at once"
        relay.crm.may_answer.set()
        delivery = await relay.wait_for("delivered", delivered_version=2)
    assert relay.crm.versions == [[("cloudtalk-1", 1)], [("cloudtalk-1", 2)]]
    assert delivery.attempts == 1


async def test_new_calls_are_pushed_before_a_backlog_which_has_one_batch_in_five(relay: Delivering) -> None:
    for number in range(20):
        await relay.add_event(Kind.STARTED, f"{number:02}")
    async with relay.worker(batch=1, concurrency=1):
        for number in range(20):
            await relay.wait_for("delivered", f"cloudtalk-{number:02}")
    order = [batch[0].call.id[-2:] for batch in relay.crm.pushed]
    assert order[:6] == ["19", "18", "17", "16", "00", "15"]


# --- work of the ledger ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "statements"),
    [(delivered, 5), (always(Retry(code="503")), 4)],
    ids=["delivered", "failed"],
)
async def test_a_call_costs_one_read_and_one_write_of_the_ledger(
    relay: Delivering, answer: UpsertAnswer, statements: int
) -> None:
    async with relay.worker(poll_seconds=NO_POLL) as worker:
        await relay.add_event(Kind.STARTED, "1")
        await worker.finish_round()
        await relay.wait_for("delivered")
        await worker.finish_round()
        await relay.add_event(Kind.STARTED, "2")
        relay.crm.answer = answer
        with count_transactions(relay.ledger) as transactions:
            rounds = worker.rounds
            worker.wake()
            await wait_until(lambda: worker.rounds == rounds + 2)  # the push begins, and it is over
    # Take, and read when the next one is due. Check the lease, settle, note the attempt, count the calls that
    # the CRM did not have, and read when the next one is due.
    assert transactions == [("read", 2), ("write", statements)]


async def test_a_call_that_needs_no_request_asks_for_no_further_read(relay: Delivering) -> None:
    async with relay.worker(poll_seconds=NO_POLL, when={"statuses": ["missed"]}) as worker:
        await worker.finish_round()
        await relay.add_event(Kind.STARTED, "1", direction="inbound")
        await relay.add_event(Kind.MISSED, "2", direction="inbound")
        with count_transactions(relay.ledger) as transactions:
            rounds = worker.rounds
            worker.wake()
            await wait_until(lambda: worker.rounds == rounds + 2)  # the push begins, and it is over
    # Take both, settle the filtered one, settle the push, note the attempt, count the call and note that the
    # destination delivers.
    assert transactions == [("read", 2), ("write", 3), ("write", 6)]


async def test_a_full_batch_is_taken_by_one_statement(relay: Delivering) -> None:
    for name in "1234":
        await relay.add_event(Kind.STARTED, name)
    relay.crm.may_answer.clear()
    with count_transactions(relay.ledger) as transactions:
        async with relay.worker(poll_seconds=NO_POLL, batch=3, concurrency=1):
            await relay.wait_for_push()
            assert transactions[-1] == ("read", 1)
            relay.crm.may_answer.set()
            await relay.wait_for_push(2)


async def test_a_version_that_another_process_enqueued_during_a_push_is_pushed_after_it(
    relay: Delivering,
) -> None:
    await relay.add_event(Kind.STARTED)
    relay.crm.may_answer.clear()
    async with relay.worker(poll_seconds=NO_POLL):
        await relay.wait_for_push()
        await relay.add_event(Kind.ENDED)
        relay.crm.may_answer.set()
        await relay.wait_for("delivered", delivered_version=2)


async def test_a_failed_delivery_is_retried_when_it_is_due_although_nothing_wakes_the_worker(
    relay: Delivering,
) -> None:
    await relay.add_event(Kind.STARTED)
    relay.crm.answer = first_then(always(Retry(code="503")))
    policy = msgspec.structs.replace(POLICY, first_retry_seconds=0.02)
    async with relay.worker(policy, poll_seconds=NO_POLL):
        await relay.wait_for("pending", attempts=1)
        relay.clock.advance(0.02)
        await relay.wait_for("delivered")


# --- retries --------------------------------------------------------------------------------------


async def test_a_failed_delivery_is_retried_after_the_delay(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED)
    relay.crm.answer = first_then(always(Retry(code="503", message="busy")))
    async with relay.worker() as worker:
        await relay.wait_for("pending", attempts=1)
        relay.clock.advance(29)
        await worker.finish_round()
        assert len(relay.crm.pushed) == 1
        relay.clock.advance(1)
        delivery = await relay.wait_for("delivered")
    assert (len(relay.crm.pushed), delivery.attempts, delivery.code) == (2, 2, None)


@pytest.mark.parametrize(
    "wait", [Retry(code="423", after=2), Retry(code="503", after=90), Throttled(after=9, rate_limit="search")]
)
async def test_a_wait_that_the_crm_asks_for_lasts_although_other_calls_succeed(
    relay: Delivering, wait: Retry | Throttled
) -> None:
    await relay.add_event(Kind.STARTED, "1")
    relay.crm.answer = lambda pushes: [
        wait if push.call.id == "cloudtalk-1" else answer
        for push, answer in zip(pushes, delivered(pushes), strict=True)
    ]
    async with relay.worker(batch=1) as worker:
        await relay.wait_for("pending", outcome=wait.name)
        first_at = relay.ledger.now()
        for number in range(2, 9):
            await relay.add_event(Kind.STARTED, str(number))
            worker.wake()
            await relay.wait_for("delivered", f"cloudtalk-{number}")
        relay.crm.answer = delivered
        assert wait.after is not None
        relay.clock.advance((first_at - relay.ledger.now()) / SECOND + wait.after - 0.001)
        await worker.finish_round()
        assert (await relay.delivery()).state == "pending"
        relay.clock.advance(0.001 if isinstance(wait, Throttled) else 30)
        await relay.wait_for("delivered")


async def test_a_recovery_after_a_pause_shortens_no_wait_that_the_crm_asked_for(relay: Delivering) -> None:
    for number in range(6):
        await relay.add_event(Kind.STARTED, str(number))
    relay.crm.answer = always(Retry(code="503", after=120))
    async with relay.worker(batch=1, concurrency=1) as worker:
        await relay.wait_for_pause()
        failed = {batch[0].call.id for batch in relay.crm.pushed}
        relay.crm.answer = delivered
        await relay.probe()
        (fresh,) = {f"cloudtalk-{number}" for number in range(6)} - failed
        await relay.wait_for("delivered", fresh)
        await worker.finish_round()
        assert len(relay.crm.pushed) == 6
        relay.clock.advance(120)
        for call in failed:
            await relay.wait_for("delivered", call)


async def test_a_new_event_does_not_shorten_the_delay(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED)
    relay.crm.answer = always(Retry(code="503"))
    async with relay.worker() as worker:
        before = await relay.wait_for("pending", attempts=1)
        await relay.add_event(Kind.ENDED)
        await worker.finish_round()
        after = await relay.delivery()
    assert (len(relay.crm.pushed), after.version, after.due_at) == (1, 2, before.due_at)


async def test_a_push_without_an_answer_in_time_is_unknown_and_retried(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED)
    relay.crm.may_answer.clear()
    async with relay.worker(timeout_seconds=0.1):
        delivery = await relay.wait_for("pending", outcome="unknown")
        assert (delivery.attempts, delivery.code) == (1, "timeout")
        relay.crm.may_answer.set()
        relay.clock.advance(30)
        await relay.wait_for("delivered")


async def test_an_exception_of_the_client_is_logged_and_retried(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED)

    def raise_error(_: Sequence[Push]) -> list[Outcome]:
        raise RuntimeError("a defect")

    relay.crm.answer = first_then(raise_error)
    with capture_logs() as lines:
        async with relay.worker():
            await relay.wait_for("pending", code="client_fault")
            relay.clock.advance(30)
            await relay.wait_for("delivered")
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["delivery.failed"]


async def test_each_exception_of_pushes_that_fail_together_is_read(
    relay: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, unread = asyncio.Barrier(2), list[object]()

    async def fail(*_: object, **__: object) -> bool:
        await both.wait()
        raise LedgerUnavailable("damaged")

    monkeypatch.setattr(Settler, "settle_push", fail)
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unread.append(context))
    for name in "ab":
        await relay.add_event(Kind.STARTED, name=name)
    with capture_logs() as lines:
        async with relay.worker(batch=1):
            async with asyncio.timeout(PATIENCE):
                while not any(line["event"] == "delivery.failed" for line in lines):
                    await asyncio.sleep(0.01)
    gc.collect()
    assert unread == []


async def test_a_clock_that_was_set_back_prolongs_no_delay_and_no_pause(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED)
    in_ten_days = Instant(relay.ledger.now() + 10 * 86_400 * SECOND)
    await relay.pause("throttled", "429", until=in_ten_days)
    await relay.ledger.write(lambda c: c.execute(table.update().values(due_at=in_ten_days)))
    async with relay.worker():
        await relay.wait_for("delivered")


# --- filters, retractions and replays -------------------------------------------------------------


async def test_a_call_is_filtered_until_its_newest_version_matches(relay: Delivering) -> None:
    async with relay.worker(when={"statuses": ["missed"]}):
        await relay.add_event(Kind.STARTED, direction="inbound")
        await relay.wait_for("filtered")
        assert relay.crm.pushed == []
        await relay.add_event(Kind.MISSED)
        await relay.wait_for("delivered")
        await relay.add_event(Kind.ENDED, status="answered", talking=5)
        await relay.wait_for("delivered", delivered_version=3)
    assert relay.crm.versions == [[("cloudtalk-1", 2)], [("cloudtalk-1", 3)]]


async def test_an_internal_call_is_filtered_without_a_request_to_the_crm(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED, direction="internal")
    async with relay.worker():
        delivery = await relay.wait_for("filtered")
    assert (delivery.delivered_version, delivery.outcome) == (0, None)
    assert (relay.crm.retracted, relay.crm.pushed) == ([], [])
    counts = await relay.ledger.read(deliveries.counts_by_destination)
    assert "crm" not in counts, "neither pending nor delivered nor dead"


async def test_a_call_that_proves_internal_before_its_first_push_is_not_retracted(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED)
    await relay.add_event(Kind.ENDED, direction="internal")
    async with relay.worker():
        await relay.wait_for("filtered")
    assert (relay.crm.retracted, relay.crm.pushed) == ([], [])


async def test_a_delivered_call_that_proves_internal_is_retracted(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED, started_at=T0)
    async with relay.worker():
        await relay.wait_for("delivered")
        await relay.add_event(Kind.ENDED, direction="internal")
        delivery = await relay.wait_for("retracted")
        assert [[r.call.id for r in batch] for batch in relay.crm.retracted] == [["cloudtalk-1"]]
        assert delivery.delivered_version == 0
        await relay.add_event(Kind.ENDED, direction="inbound")
        await relay.wait_for("delivered")
    again = relay.crm.pushed[-1][0]
    assert again.first
    assert again.changed >= {"started_at", "direction", "status", "follow_up"}


@pytest.mark.parametrize(
    ("when", "facts", "is_delivered"),
    [
        ({}, {"direction": "internal"}, False),
        ({"directions": ["inbound"]}, {"direction": "outbound"}, False),
        ({"own_numbers": ["+34911000111"]}, {"internal_number": "+34911000222"}, False),
        ({"minimum_seconds": 9}, {"direction": "inbound", "duration": 3}, False),
        ({"minimum_seconds": 9}, {"direction": "inbound", "duration": 12}, True),
        ({"directions": ["outbound"]}, {"direction": "outbound"}, True),
    ],
)
async def test_a_late_event_of_a_deleted_call_reaches_the_crm_only_if_it_has_the_call(
    relay: Delivering, when: dict[str, Any], facts: dict[str, Any], is_delivered: bool
) -> None:
    """The late event alone matches another filter than the call did."""
    await relay.add_event(Kind.ENDED, **facts)
    async with relay.worker(when=when) as worker:
        await relay.wait_for("delivered" if is_delivered else "filtered")
        await relay.ledger.write(
            lambda c: retention_queries.delete_old_calls(c, before=Instant(2**62), now=relay.ledger.now())
        )
        relay.crm.pushed.clear()
        await relay.add_event(Kind.MODIFIED, tags=["late"])
        await worker.finish_round()
        if is_delivered:
            await relay.wait_for("delivered", delivered_version=2)
    assert relay.crm.versions == ([[("cloudtalk-1", 2)]] if is_delivered else [])
    assert all(push.changed == {"tags"} and push.partial for batch in relay.crm.pushed for push in batch)


async def test_a_replay_writes_only_the_records_that_the_crm_has_lost(relay: Delivering) -> None:
    for name in "12":
        await relay.add_event(Kind.STARTED, name)
    async with relay.worker():
        for name in "12":
            await relay.wait_for("delivered", f"cloudtalk-{name}")
        relay.crm.pushed.clear()
        relay.crm.lost = {"cloudtalk-2"}
        await relay.replay("1", "2")
        for name in "12":
            await relay.wait_for("delivered", f"cloudtalk-{name}")
    ((push,),) = relay.crm.pushed
    assert (push.call.id, push.first, push.changed) == ("cloudtalk-2", True, frozenset(DELIVERED_FIELDS))


# --- probes ---------------------------------------------------------------------------------------


async def test_one_call_probes_a_paused_destination_and_resumes_it(relay: Delivering) -> None:
    for number in range(5):
        await relay.add_event(Kind.STARTED, str(number))
    relay.crm.answer = first_then(always(Throttled(code="429", after=7)))
    with capture_logs() as lines:
        async with relay.worker(concurrency=1):
            await relay.wait_for_pause()
            relay.clock.advance(7)
            for number in range(5):
                await relay.wait_for("delivered", f"cloudtalk-{number}")
    assert [len(batch) for batch in relay.crm.pushed] == [5, 1, 4]
    assert (await relay.destination()).paused_reason is None
    events = [line["event"] for line in lines if line["event"].startswith("destination.")]
    assert events == ["destination.paused", "destination.resumed"]


async def test_a_pause_by_a_person_lasts_and_events_stay_pending(relay: Delivering) -> None:
    async with relay.worker() as worker:
        await relay.ledger.write(lambda c: destinations.pause(c, "crm", now=Instant(1)))
        await worker.finish_round()
        await relay.add_event(Kind.STARTED)
        await worker.finish_round()
        assert (await relay.delivery()).state == "pending"
        assert relay.crm.pushed == []
        await relay.ledger.write(lambda c: destinations.resume(c, "crm"))
        await relay.wait_for("delivered")


async def test_a_probe_prefers_a_write_to_a_verification(relay: Delivering) -> None:
    await relay.replay_delivered("had")
    await relay.add_event(Kind.STARTED, "1")
    await relay.pause("unauthorised", "401")
    relay.crm.answer = always(Unauthorised(code="401"))
    async with relay.worker() as worker:
        await relay.wait_for_pause()
        await worker.finish_round()
        assert relay.crm.versions == [[("cloudtalk-1", 1)]]
        assert (await relay.destination()).paused_reason == "unauthorised"


async def test_a_probe_passes_over_filtered_calls(relay: Delivering) -> None:
    for number in range(30):
        await relay.add_event(Kind.STARTED, f"{number:02}", direction="inbound")
    await relay.add_event(Kind.MISSED, "99", direction="inbound")
    await relay.pause("throttled", "429")
    async with relay.worker(batch=10, when={"statuses": ["missed"]}):
        await relay.wait_for("delivered", "cloudtalk-99")
    assert relay.crm.versions == [[("cloudtalk-99", 1)]]


async def test_a_call_that_makes_the_crm_fail_does_not_keep_the_destination_paused(
    relay: Delivering,
) -> None:
    for number in range(3):
        await relay.add_event(Kind.STARTED, str(number))

    def fail_for_first(pushes: Sequence[Push]) -> list[Outcome]:
        bad = Retry(code="500")
        return [bad if push.call.id == "cloudtalk-0" else delivered([push])[0] for push in pushes]

    relay.crm.answer = fail_for_first
    await relay.pause("failing", "500")
    async with relay.worker(batch=1, concurrency=1):
        await relay.wait_for_pause()
        await relay.probe()
        await relay.wait_for("delivered", "cloudtalk-1")
        await relay.wait_for("delivered", "cloudtalk-2")


async def test_a_call_whose_probe_had_no_answer_is_retracted_if_it_proves_internal(
    relay: Delivering,
) -> None:
    await relay.add_event(Kind.STARTED)
    await relay.pause("failing", "503")
    relay.crm.answer = always(Unknown(code="timeout"))
    async with relay.worker():
        delivery = await relay.wait_for("pending", outcome="unknown")
        assert delivery.attempts == 0
        await relay.add_event(Kind.ENDED, direction="internal")
        await relay.probe()
        await relay.wait_for("retracted")
    assert len(relay.crm.retracted) == 1


# --- leases ---------------------------------------------------------------------------------------


async def test_a_push_under_way_is_settled_before_the_worker_stops(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED)
    relay.crm.may_answer.clear()
    async with relay.worker():
        await relay.wait_for_push()
        asyncio.get_running_loop().call_soon(relay.crm.may_answer.set)
    assert (await relay.delivery()).state == "delivered"


async def test_of_two_workers_one_serves_and_the_other_stands_by(relay: Delivering, ledger_url: str) -> None:
    async with open_ledger(ledger_url, clock=relay.clock, owner=OTHER_PROCESS) as ledger:
        other_crm, settings = FakeCrm(), DestinationSettings(client="fake")
        other = DeliveryWorker("crm", other_crm, settings, ledger, POLICY, poll_seconds=0.01)
        async with relay.worker():
            await relay.add_event(Kind.STARTED)
            await relay.wait_for("delivered")
            standby = asyncio.create_task(other.run())
            await relay.add_event(Kind.ENDED)
            await relay.wait_for("delivered", delivered_version=2)
            assert other_crm.pushed == []
        await relay.add_event(Kind.MISSED)
        await relay.add_event(Kind.STARTED, "2")
        await relay.wait_for("delivered", "cloudtalk-2")
        assert other_crm.pushed != []
        standby.cancel()
        await asyncio.wait([standby], timeout=PATIENCE)


@pytest.mark.parametrize("notices_before_the_answer", [True, False])
async def test_a_push_under_way_when_the_lease_was_lost_is_pending_again(
    relay: Delivering, ledger_url: str, *, notices_before_the_answer: bool
) -> None:
    await relay.add_event(Kind.STARTED)
    relay.crm.may_answer.clear()
    async with relay.worker(), open_ledger(ledger_url, clock=relay.clock, owner=OTHER_PROCESS) as ledger:
        await relay.wait_for_push()
        # Another process takes over, delivers a newer version and settles it.
        await relay.add_event(Kind.ENDED)
        lease = Lease(ledger, "delivery:crm", seconds=30)
        await lease.preempt()
        newer = delivered_update(version=2)
        await ledger.write(lambda c: deliveries.settle(c, "crm", [newer], now=ledger.now()))
        assert (await relay.delivery()).state == "delivered"
        if notices_before_the_answer:
            relay.clock.advance(20)  # time to renew the lease
        else:
            relay.crm.may_answer.set()
        delivery = await relay.wait_for("pending")
        assert (delivery.version, delivery.delivered_version) == (2, 0), "the older write may have come last"
        relay.crm.may_answer.set()
        await lease.release()
        await relay.wait_for("delivered", delivered_version=2)
    assert relay.crm.versions == [[("cloudtalk-1", 1)], [("cloudtalk-1", 2)]]
