"""The courier: what it brings, what it makes of the answers, and when it waits."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from crm_clients.base import (
    CrmClient,
    Delivered,
    Finding,
    Misconfigured,
    Outcome,
    Push,
    Rejected,
    Retraction,
    Retry,
    Split,
    Throttled,
    Unauthorised,
    Unknown,
)
from crm_clients.settings import DestinationSettings
from relay.call import DELIVERED_FIELDS, CallEvent, Kind
from relay.delivery import DeliveryWorker, RetryPolicy
from relay.fold import FoldWorker
from relay.ledger import Ledger, deliveries, destinations, journal, replays
from relay.ledger.deliveries import DeliveryCounts, DeliveryUpdate
from relay.ledger.destinations import Pause
from relay.ledger.journal import NewEvent
from relay.ledger.lease import Lease
from relay.ledger.states import DeliveryState
from relay.ledger.tables import deliveries as table
from tests.support.clients import context_of

SETTLED = DeliveryUpdate(
    call="cloudtalk-1",
    version=1,
    state=DeliveryState.DELIVERED,
    delivered_version=1,
    due_at=0,
    attempts=1,
    attempted_at=1,
    failing_for=0,
    remote_id="r",
    outcome="delivered",
    code=None,
    message=None,
)
QUICK = RetryPolicy(first_retry_seconds=0.05, longest_retry_seconds=0.2, give_up_after_hours=72)
Answer = Callable[[Sequence[Push]], list[Outcome]]


class FakeCrm(CrmClient[DestinationSettings]):
    """Answers as the test says, and remembers what was pushed."""

    def __init__(self) -> None:
        super().__init__("crm", DestinationSettings(client="fake"), context_of())
        self.pushed: list[list[Push]] = []
        self.retracted: list[list[Retraction]] = []
        self.answer: Answer = delivered
        self.lost: set[str] = set()
        self.open = asyncio.Event()
        self.open.set()

    async def check(self) -> list[Finding]:
        return []

    async def setup(self) -> list[str]:
        return []

    def setup_text(self) -> str:
        return ""

    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        self.pushed.append(list(pushes))
        await self.open.wait()
        return self.answer(pushes)

    async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        self.retracted.append(list(retractions))
        return [Delivered() for _ in retractions]

    async def missing(self, pushes: Sequence[Push]) -> set[str]:
        return self.lost & {push.call.id for push in pushes}

    async def forget(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        return [Delivered() for _ in retractions]

    @property
    def versions(self) -> list[list[tuple[str, int]]]:
        return [[(push.call.id, push.call.version) for push in batch] for batch in self.pushed]


def delivered(pushes: Sequence[Push]) -> list[Outcome]:
    return [Delivered(remote_id=f"remote-{push.call.id}") for push in pushes]


def all_of(outcome: Outcome) -> Answer:
    return lambda pushes: [outcome] * len(pushes)


def first_then(first: Answer, then: Answer = delivered) -> Answer:
    answers = iter([first])

    def answer(pushes: Sequence[Push]) -> list[Outcome]:
        return next(answers, then)(pushes)

    return answer


class World:
    """A ledger, a fold and a courier on a fake CRM."""

    def __init__(self, ledger: Ledger, fold: FoldWorker) -> None:
        self.ledger = ledger
        self.fold = fold
        self.crm = FakeCrm()

    async def say(self, kind: Kind, name: str = "1", **facts: Any) -> None:
        reading = CallEvent(kind, "mission", name, (f"other:{name}",), None, facts, {}, single_id=True)
        row = NewEvent(self.ledger.now(), "", "/", "", b"", reading)
        await self.ledger.write(lambda c: journal.append(c, [row]))
        while await self.fold.fold_batch():
            pass

    async def mark(self, call: str = "cloudtalk-1", destination: str = "crm") -> Any:
        rows = await self.ledger.read(lambda c: deliveries.list_for_call(c, call))
        return next((row for row in rows if row.destination == destination), None)

    async def until(self, state: str, call: str = "cloudtalk-1", **fields: Any) -> Any:
        async with asyncio.timeout(5):
            while True:
                mark = await self.mark(call)
                if mark and mark.state == state and all(getattr(mark, k) == v for k, v in fields.items()):
                    return mark
                await asyncio.sleep(0.01)

    async def destination(self) -> Any:
        return await self.ledger.read(lambda c: destinations.get(c, "crm"))

    @asynccontextmanager
    async def serving(self, schedule: RetryPolicy = QUICK, **settings: Any) -> AsyncIterator[DeliveryWorker]:
        told = DestinationSettings(client="fake", **settings)
        courier = DeliveryWorker("crm", self.crm, told, self.ledger, schedule, jitter=lambda: 0)
        running = asyncio.create_task(courier.run())
        try:
            yield courier
        finally:
            running.cancel()
            await asyncio.wait([running], timeout=8)
            assert running.done()


@pytest.fixture
async def world(ledger_url: str) -> AsyncIterator[World]:
    ledger = Ledger(ledger_url)
    await ledger.open()
    await ledger.write(lambda c: destinations.register(c, {"crm": "fake"}))
    fold = FoldWorker(ledger, grace_seconds=0, has_backlog=lambda: False, on_enqueue=lambda: None)
    await fold.lease.acquire()
    yield World(ledger, fold)
    await ledger.close()


async def test_the_newest_version_is_brought_once_however_many_events_there_were(world: World) -> None:
    for name in "abcdefghij":
        await world.say(Kind.STARTED, contact_name=name)
    async with world.serving():
        mark = await world.until("delivered")
    assert world.crm.versions == [[("cloudtalk-1", 10)]]
    assert (mark.delivered_version, mark.remote_id, mark.attempts) == (10, "remote-cloudtalk-1", 1)


async def test_the_first_delivery_brings_every_field_and_the_next_only_what_changed(world: World) -> None:
    await world.say(Kind.STARTED, contact_name="Ana")
    async with world.serving() as courier:
        await world.until("delivered")
        await world.say(Kind.ENDED, status="missed", direction="inbound")
        courier.wake()
        await world.until("delivered", delivered_version=2)
    first, second = (batch[0] for batch in world.crm.pushed)
    assert first.changed == frozenset(DELIVERED_FIELDS)
    assert second.changed == {"direction", "status", "follow_up"}
    assert second.remote_id == "remote-cloudtalk-1"


async def test_a_field_that_went_and_came_back_is_brought_although_its_push_was_never_settled(
    world: World,
) -> None:
    await world.say(Kind.STARTED, contact_name="A")
    async with world.serving() as courier:
        await world.until("delivered")
        await world.say(Kind.STARTED, contact_name="B")
        # The CRM takes it, and the relay never learns: as if it was killed between push and settle.
        world.crm.answer = all_of(Retry(code="cut"))
        courier.wake()
        await world.until("pending", outcome="retry")
        await world.say(Kind.STARTED, contact_name="A")
        world.crm.answer = delivered
        await world.until("delivered", delivered_version=3)
    assert "contact_name" in world.crm.pushed[-1][0].changed


async def test_many_calls_travel_in_one_batch_within_its_bound(world: World) -> None:
    for number in range(5):
        await world.say(Kind.STARTED, str(number))
    async with world.serving(batch=3, concurrency=1):
        await world.until("delivered", "cloudtalk-4")
        await world.until("delivered", "cloudtalk-0")
    assert sorted(len(batch) for batch in world.crm.pushed) == [2, 3]


async def test_what_comes_during_a_push_stays_owed_and_is_brought_after_it(world: World) -> None:
    await world.say(Kind.STARTED)
    world.crm.open.clear()
    async with world.serving() as courier:
        async with asyncio.timeout(5):
            while not world.crm.pushed:
                await asyncio.sleep(0.01)
        await world.say(Kind.ENDED)
        courier.wake()
        await asyncio.sleep(0.1)
        assert len(world.crm.pushed) == 1, "never the same call twice at once"
        world.crm.open.set()
        mark = await world.until("delivered", delivered_version=2)
    assert world.crm.versions == [[("cloudtalk-1", 1)], [("cloudtalk-1", 2)]]
    assert mark.attempts == 1


async def test_a_failure_is_tried_again_on_the_schedule(world: World) -> None:
    await world.say(Kind.STARTED)
    world.crm.answer = first_then(all_of(Retry(code="503", message="busy")))
    async with world.serving():
        mark = await world.until("delivered")
    assert (len(world.crm.pushed), mark.attempts, mark.code) == (2, 2, None)


async def test_a_new_event_of_a_call_in_back_off_does_not_bring_it_forward(world: World) -> None:
    await world.say(Kind.STARTED)
    world.crm.answer = all_of(Retry(code="503"))
    slow = RetryPolicy(first_retry_seconds=30, longest_retry_seconds=60, give_up_after_hours=72)
    async with world.serving(slow) as courier:
        before = await world.until("pending", attempts=1)
        await world.say(Kind.ENDED)
        courier.wake()
        await asyncio.sleep(0.1)
        after = await world.mark()
    assert (len(world.crm.pushed), after.version, after.due_at) == (1, 2, before.due_at)


async def test_a_rejected_call_is_a_dead_letter_until_it_changes(world: World) -> None:
    await world.say(Kind.STARTED, contact_name="Ana Prueba")
    world.crm.answer = first_then(all_of(Rejected(code="23514", message="row of Ana Prueba violates")))
    async with world.serving() as courier:
        with capture_logs() as logs:
            mark = await world.until("dead")
            await asyncio.sleep(0.05)
        assert (mark.code, mark.message) == ("23514", "row of Ana Prueba violates")
        (line,) = [line for line in logs if line["event"] == "delivery.dead"]
        assert line["call"] == "cloudtalk-1"
        assert "Ana" not in str(logs)
        await world.say(Kind.ENDED)
        courier.wake()
        mark = await world.until("delivered")
    assert mark.attempts == 1


async def test_of_a_spoiled_batch_only_the_bad_record_is_dead(world: World) -> None:
    for number in range(8):
        await world.say(Kind.STARTED, str(number))

    def all_or_nothing(pushes: Sequence[Push]) -> list[Outcome]:
        bad = [push for push in pushes if push.call.id == "cloudtalk-5"]
        if bad and len(pushes) > 1:
            return [Split(code="22")] * len(pushes)
        return [Rejected(code="22", message="bad")] if bad else delivered(pushes)

    world.crm.answer = all_or_nothing
    async with world.serving():
        for number in range(8):
            await world.until("dead" if number == 5 else "delivered", f"cloudtalk-{number}")


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [
        (Unauthorised(code="401", message="wrong key"), 60),
        (Misconfigured(code="42P01", message="no table"), 60),
        (Throttled(code="429", after=7), 7),
        (Throttled(code="429"), 10),
    ],
)
async def test_what_concerns_the_destination_makes_it_wait_and_spends_nothing(
    world: World, outcome: Outcome, seconds: int
) -> None:
    await world.say(Kind.STARTED)
    world.crm.answer = all_of(outcome)
    schedule = RetryPolicy(first_retry_seconds=5, longest_retry_seconds=3600, give_up_after_hours=72)
    async with world.serving(schedule) as courier:
        async with asyncio.timeout(5):
            while (await world.destination()).paused_reason is None:
                await asyncio.sleep(0.01)
        before = world.ledger.now()
        courier.wake()
        await asyncio.sleep(0.1)
    row, mark = await world.destination(), await world.mark()
    assert (row.paused_reason, row.paused_message) == (outcome.name, outcome.message)
    assert row.paused_until == pytest.approx(before + seconds * 1_000_000, abs=1_500_000)
    assert (mark.state, mark.attempts, len(world.crm.pushed)) == ("pending", 0, 1)


async def test_one_call_probes_a_destination_that_waited_and_opens_it(world: World) -> None:
    for number in range(5):
        await world.say(Kind.STARTED, str(number))
    world.crm.answer = first_then(all_of(Throttled(code="429", after=0.1)))
    with capture_logs() as logs:
        async with world.serving(concurrency=1):
            for number in range(5):
                await world.until("delivered", f"cloudtalk-{number}")
    assert [len(batch) for batch in world.crm.pushed] == [5, 1, 4]
    assert (await world.destination()).paused_reason is None
    told = [line["event"] for line in logs if line["event"].startswith("destination.")]
    assert told == ["destination.paused", "destination.resumed"]


async def test_a_push_without_an_answer_in_time_is_unknown_and_tried_again(world: World) -> None:
    await world.say(Kind.STARTED)
    world.crm.open.clear()
    async with world.serving(timeout_seconds=0.1):
        mark = await world.until("pending", outcome="unknown")
        assert (mark.attempts, mark.code) == (1, "timeout")
        world.crm.open.set()
        await world.until("delivered")


async def test_a_fault_of_the_client_is_logged_and_tried_again(world: World) -> None:
    await world.say(Kind.STARTED)

    def broken(_: Sequence[Push]) -> list[Outcome]:
        raise RuntimeError("a bug")

    world.crm.answer = first_then(broken)
    with capture_logs() as logs:
        async with world.serving():
            await world.until("delivered")
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["delivery.failed"]


async def test_a_push_under_way_is_settled_before_the_courier_stops(world: World) -> None:
    await world.say(Kind.STARTED)
    world.crm.open.clear()
    async with world.serving():
        async with asyncio.timeout(5):
            while not world.crm.pushed:
                await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(0.2, world.crm.open.set)
    assert (await world.mark()).state == "delivered"


async def test_of_two_couriers_one_serves_and_the_other_stands_by(world: World, ledger_url: str) -> None:
    other_ledger = Ledger(ledger_url)
    other_ledger.owner = "another-host/1/1"
    await other_ledger.open()
    other_crm = FakeCrm()
    other = DeliveryWorker("crm", other_crm, DestinationSettings(client="fake"), other_ledger, QUICK)
    async with world.serving():
        await world.say(Kind.STARTED)
        await world.until("delivered")
        standby = asyncio.create_task(other.run())
        await world.say(Kind.ENDED)
        await world.until("delivered", delivered_version=2)
        assert other_crm.pushed == []
    await world.say(Kind.MISSED)
    await world.say(Kind.STARTED, "2")
    await world.until("delivered", "cloudtalk-2")
    assert other_crm.pushed != []
    standby.cancel()
    await asyncio.wait([standby], timeout=8)
    await other_ledger.close()


async def test_a_call_that_proves_to_be_between_colleagues_is_taken_back(world: World) -> None:
    await world.say(Kind.STARTED)
    async with world.serving() as courier:
        await world.until("delivered")
        await world.say(Kind.ENDED, direction="internal")
        courier.wake()
        mark = await world.until("retracted")
        assert [[r.call.id for r in batch] for batch in world.crm.retracted] == [["cloudtalk-1"]]
        assert mark.delivered_version == 0
        await world.say(Kind.ENDED, direction="inbound")
        courier.wake()
        await world.until("delivered")
    assert world.crm.pushed[-1][0].changed == frozenset(DELIVERED_FIELDS)


# --- waits, breaker, runs of rejections -------------------------------------------------------------


async def test_a_crm_that_fails_for_all_is_left_alone_and_no_call_s_attempts_are_spent(world: World) -> None:
    for number in range(12):
        await world.say(Kind.STARTED, str(number))
    world.crm.answer = all_of(Retry(code="503", message="busy"))
    slow = RetryPolicy(first_retry_seconds=30, longest_retry_seconds=60, give_up_after_hours=72)
    async with world.serving(slow, batch=1, concurrency=1):
        async with asyncio.timeout(5):
            while (await world.destination()).paused_reason is None:
                await asyncio.sleep(0.01)
        row = await world.destination()
        await world.ledger.write(lambda c: destinations.probe_now(c, "crm", now=world.ledger.now()))
        async with asyncio.timeout(5):
            while len(world.crm.pushed) < 6:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        attempts = sorted([(await world.mark(f"cloudtalk-{n}")).attempts for n in range(12)])
        assert (row.paused_reason, row.paused_code, row.paused_message) == ("failing", "503", "busy")
        assert attempts == [0] * 7 + [1] * 5, "the probe spent none"
        world.crm.answer = delivered
        await world.ledger.write(lambda c: destinations.probe_now(c, "crm", now=world.ledger.now()))
        for number in range(12):
            await world.until("delivered", f"cloudtalk-{number}")


async def test_a_run_of_rejections_for_one_reason_kills_nothing(world: World) -> None:
    for number in range(30):
        await world.say(Kind.STARTED, f"{number:02}")
    world.crm.answer = all_of(Rejected(code="23502", message="column is mandatory"))
    async with world.serving(batch=4, concurrency=1):
        async with asyncio.timeout(5):
            while (await world.destination()).paused_reason is None:
                await asyncio.sleep(0.01)
        row = await world.destination()
        assert (row.paused_reason, row.paused_code) == ("misconfigured", "23502")
        marks = [await world.mark(f"cloudtalk-{number:02}") for number in range(30)]
        assert {(mark.state, mark.attempts) for mark in marks} == {("pending", 0)}
        await world.ledger.write(lambda c: destinations.probe_now(c, "crm", now=world.ledger.now()))
        pushed = len(world.crm.pushed)
        async with asyncio.timeout(5):
            while len(world.crm.pushed) == pushed:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert (await world.destination()).paused_reason == "misconfigured", "the probe met its cause"
        world.crm.answer = delivered
        await world.ledger.write(lambda c: destinations.probe_now(c, "crm", now=world.ledger.now()))
        for number in range(30):
            await world.until("delivered", f"cloudtalk-{number:02}")


async def test_rejections_among_deliveries_are_dead_letters(world: World) -> None:
    for number in range(50):
        await world.say(Kind.STARTED, f"{number:02}")

    def every_other(pushes: Sequence[Push]) -> list[Outcome]:
        return [
            Rejected(code="22") if int(push.call.id[-1]) % 2 else Delivered(remote_id="r") for push in pushes
        ]

    world.crm.answer = every_other
    async with world.serving(batch=10, concurrency=1):
        for number in range(50):
            await world.until("dead" if number % 2 else "delivered", f"cloudtalk-{number:02}")
    assert (await world.destination()).paused_reason is None


async def test_a_pause_by_a_person_lasts_and_events_are_still_owed(world: World) -> None:
    async with world.serving() as courier:
        await world.ledger.write(lambda c: destinations.pause(c, "crm"))
        await asyncio.sleep(1.1)
        await world.say(Kind.STARTED)
        courier.wake()
        await asyncio.sleep(0.1)
        assert (await world.mark()).state == "pending"
        assert world.crm.pushed == []
        await world.ledger.write(lambda c: destinations.resume(c, "crm"))
        await world.until("delivered")


async def test_a_spent_budget_keeps_its_own_calls_waiting_and_no_others(world: World) -> None:
    await world.say(Kind.STARTED, "1")
    await world.say(Kind.STARTED, "2")

    def no_search(pushes: Sequence[Push]) -> list[Outcome]:
        searched = {"cloudtalk-1": Throttled(code="429", after=1, rate_limit="search")}
        return [searched.get(push.call.id, Delivered(remote_id="r")) for push in pushes]

    world.crm.answer = first_then(no_search)
    async with world.serving():
        await world.until("delivered", "cloudtalk-2")
        assert (await world.mark("cloudtalk-1")).attempts == 0
        assert (await world.destination()).paused_reason is None
        await world.until("delivered", "cloudtalk-1")


# --- filters and replays ------------------------------------------------------------------------------


async def test_a_filter_keeps_a_call_out_until_its_newest_version_passes(world: World) -> None:
    async with world.serving(when={"statuses": ["missed"]}) as courier:
        await world.say(Kind.STARTED, direction="inbound")
        courier.wake()
        await world.until("filtered")
        assert world.crm.pushed == []
        await world.say(Kind.MISSED)
        courier.wake()
        await world.until("delivered")
        await world.say(Kind.ENDED, status="answered", talking=5)
        courier.wake()
        await world.until("delivered", delivered_version=3)
    assert world.crm.versions == [[("cloudtalk-1", 2)], [("cloudtalk-1", 3)]]


async def test_a_replay_writes_only_what_the_crm_has_lost(world: World) -> None:
    for name in "12":
        await world.say(Kind.STARTED, name)
    async with world.serving() as courier:
        for name in "12":
            await world.until("delivered", f"cloudtalk-{name}")
        world.crm.pushed.clear()
        world.crm.lost = {"cloudtalk-2"}
        versions = [("cloudtalk-1", 1), ("cloudtalk-2", 1)]
        await world.ledger.write(lambda c: replays.enqueue(c, "crm", versions, now=world.ledger.now()))
        courier.wake()
        for name in "12":
            await world.until("delivered", f"cloudtalk-{name}")
    ((push,),) = world.crm.pushed
    assert (push.call.id, push.first, push.changed) == ("cloudtalk-2", True, frozenset(DELIVERED_FIELDS))


async def test_what_no_crm_ever_had_is_not_taken_back(world: World) -> None:
    await world.say(Kind.STARTED)
    await world.say(Kind.ENDED, direction="internal")
    async with world.serving():
        await world.until("filtered")
    assert (world.crm.retracted, world.crm.pushed) == ([], [])


async def test_an_internal_call_is_settled_without_a_request_to_the_crm(world: World) -> None:
    await world.say(Kind.STARTED, direction="internal")
    async with world.serving():
        delivery = await world.until("filtered")
    assert (delivery.delivered_version, delivery.outcome) == (0, None)
    assert (world.crm.retracted, world.crm.pushed) == ([], [])
    assert (await world.ledger.read(deliveries.counts_by_destination))["crm"] == DeliveryCounts()


# --- clocks and fences ---------------------------------------------------------------------------------


async def test_a_wait_survives_a_clock_that_is_set_back(world: World) -> None:
    await world.say(Kind.STARTED)
    far = world.ledger.now() + 10 * 86_400 * 1_000_000
    await world.ledger.write(
        lambda c: destinations.pause_until(c, "crm", Pause("throttled", 10, "429", None), until=far)
    )
    await world.ledger.write(lambda c: c.execute(table.update().values(due_at=far)))
    async with world.serving():
        await world.until("delivered")


async def test_a_settle_whose_lease_is_gone_owes_the_call_again(world: World, ledger_url: str) -> None:
    await world.say(Kind.STARTED)
    world.crm.open.clear()
    async with world.serving() as courier:
        async with asyncio.timeout(5):
            while not world.crm.pushed:
                await asyncio.sleep(0.01)
        # Another process takes over, delivers a newer version and settles it.
        await world.say(Kind.ENDED)
        stranger = Ledger(ledger_url)
        stranger.owner = "another-host/1/1"
        lease = Lease(stranger, "delivery:crm", seconds=30)
        await lease.preempt()
        newer = msgspec.structs.replace(SETTLED, version=2, delivered_version=2)
        await stranger.write(lambda c: deliveries.settle(c, "crm", [newer], now=stranger.now()))
        assert (await world.mark()).state == "delivered"
        world.crm.open.set()
        mark = await world.until("pending")
        assert (mark.version, mark.delivered_version) == (2, 0), "the write may have come after the newer one"
        await lease.release()
        await world.until("delivered", delivered_version=2)
        assert courier.name == "crm"
        await stranger.close()
    assert world.crm.versions == [[("cloudtalk-1", 1)], [("cloudtalk-1", 2)]]


async def test_fresh_calls_go_before_a_backlog_and_the_backlog_is_not_forgotten(world: World) -> None:
    for number in range(20):
        await world.say(Kind.STARTED, f"{number:02}")
    async with world.serving(batch=1, concurrency=1):
        await world.until("delivered", "cloudtalk-10")
        for number in range(20):
            await world.until("delivered", f"cloudtalk-{number:02}")
    order = [batch[0].call.id[-2:] for batch in world.crm.pushed]
    assert order[:6] == ["19", "18", "17", "16", "00", "15"]


async def test_a_call_that_breaks_the_crm_does_not_keep_it_closed(world: World) -> None:
    for number in range(3):
        await world.say(Kind.STARTED, str(number))

    def all_but_one(pushes: Sequence[Push]) -> list[Outcome]:
        bad = {"cloudtalk-0": Retry(code="500")}
        return [bad.get(push.call.id, Delivered(remote_id="r")) for push in pushes]

    world.crm.answer = all_but_one
    until = world.ledger.now() - 1
    await world.ledger.write(
        lambda c: destinations.pause_until(c, "crm", Pause("failing", 5, "500", None), until=until)
    )
    async with world.serving(batch=1, concurrency=1):
        for _ in range(3):
            await world.ledger.write(lambda c: destinations.probe_now(c, "crm", now=world.ledger.now()))
            await asyncio.sleep(1.2)
        await world.until("delivered", "cloudtalk-1")
        await world.until("delivered", "cloudtalk-2")


# --- what is no sign of the CRM's health, and what is no call's fault --------------------------------------


async def owe_what_the_crm_has(world: World, *names: str) -> None:
    """Calls that were delivered, and that a replay owes again: the CRM is only asked for them."""
    for name in names:
        await world.say(Kind.STARTED, name)
    had = [msgspec.structs.replace(SETTLED, call=f"cloudtalk-{name}") for name in names]
    await world.ledger.write(lambda c: deliveries.settle(c, "crm", had, now=1))
    versions = [(each.call, 1) for each in had]
    await world.ledger.write(lambda c: replays.enqueue(c, "crm", versions, now=world.ledger.now()))


async def test_what_a_replay_only_looked_for_does_not_make_a_run_of_rejections_dead(world: World) -> None:
    await owe_what_the_crm_has(world, "had")
    for number in range(30):
        await world.say(Kind.STARTED, f"{number:02}")
    world.crm.answer = all_of(Rejected(code="23502", message="column is mandatory"))
    async with world.serving(batch=100, concurrency=1):
        await world.until("delivered", "cloudtalk-had")
        assert (await world.destination()).paused_reason == "misconfigured"
        states = {(await world.mark(f"cloudtalk-{number:02}")).state for number in range(30)}
        assert states == {"pending"}
    assert (await world.destination()).delivered_at == 1, "nothing was taken"


async def test_a_probe_brings_something_rather_than_look_for_what_is_there(world: World) -> None:
    await owe_what_the_crm_has(world, "had")
    await world.say(Kind.STARTED, "1")
    until = world.ledger.now() - 1
    await world.ledger.write(
        lambda c: destinations.pause_until(c, "crm", Pause("unauthorised", 60, "401", None), until=until)
    )
    world.crm.answer = all_of(Unauthorised(code="401"))
    async with world.serving():
        async with asyncio.timeout(5):
            while not world.crm.pushed:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert world.crm.versions == [[("cloudtalk-1", 1)]]
        assert (await world.destination()).paused_reason == "unauthorised"


async def test_a_probe_does_not_stop_at_what_the_filter_keeps_out(world: World) -> None:
    for number in range(30):
        await world.say(Kind.STARTED, f"{number:02}", direction="inbound")
    await world.say(Kind.MISSED, "99", direction="inbound")
    until = world.ledger.now() - 1
    await world.ledger.write(
        lambda c: destinations.pause_until(c, "crm", Pause("throttled", 10, "429", None), until=until)
    )
    async with world.serving(batch=10, when={"statuses": ["missed"]}):
        async with asyncio.timeout(2):
            await world.until("delivered", "cloudtalk-99")
    assert world.crm.versions == [[("cloudtalk-99", 1)]]


async def test_what_was_under_way_when_the_lease_went_is_owed_again(world: World, ledger_url: str) -> None:
    await world.say(Kind.STARTED)
    world.crm.open.clear()
    async with world.serving() as courier:
        async with asyncio.timeout(5):
            while not world.crm.pushed:
                await asyncio.sleep(0.01)
        await world.say(Kind.ENDED)
        stranger = Ledger(ledger_url)
        stranger.owner = "another-host/1/1"
        lease = Lease(stranger, "delivery:crm", seconds=30)
        await lease.preempt()
        newer = msgspec.structs.replace(SETTLED, version=2, delivered_version=2)
        await stranger.write(lambda c: deliveries.settle(c, "crm", [newer], now=stranger.now()))
        # The courier notices before its push is answered: its request may still reach the CRM.
        courier._lease._checked_at = 0
        courier.wake()
        mark = await world.until("pending")
        assert (mark.version, mark.delivered_version) == (2, 0)
        world.crm.open.set()
        await lease.release()
        await world.until("delivered", delivered_version=2)
        await stranger.close()


async def test_the_end_of_a_throttle_brings_no_failing_call_forward(world: World) -> None:
    await world.say(Kind.STARTED, "1")
    await world.say(Kind.STARTED, "2")
    later = world.ledger.now() + 60_000_000
    failing = msgspec.structs.replace(
        SETTLED, state=DeliveryState.PENDING, delivered_version=0, attempts=4, due_at=later
    )
    await world.ledger.write(lambda c: deliveries.settle(c, "crm", [failing], now=1))
    until = world.ledger.now() - 1
    await world.ledger.write(
        lambda c: destinations.pause_until(c, "crm", Pause("throttled", 10, "429", None), until=until)
    )
    slow = RetryPolicy(first_retry_seconds=30, longest_retry_seconds=3600, give_up_after_hours=72)
    async with world.serving(slow):
        await world.until("delivered", "cloudtalk-2")
        await asyncio.sleep(0.2)
        assert (await world.mark("cloudtalk-1")).due_at == later
    assert world.crm.versions == [[("cloudtalk-2", 1)]]


async def test_a_probe_without_an_answer_may_have_brought_the_call(world: World) -> None:
    await world.say(Kind.STARTED)
    until = world.ledger.now() - 1
    await world.ledger.write(
        lambda c: destinations.pause_until(c, "crm", Pause("failing", 5, "503", None), until=until)
    )
    world.crm.answer = all_of(Unknown(code="timeout"))
    async with world.serving():
        async with asyncio.timeout(5):
            while (await world.mark()).outcome is None:
                await asyncio.sleep(0.01)
        assert (await world.mark()).attempts == 0
        await world.say(Kind.ENDED, direction="internal")
        await world.ledger.write(lambda c: destinations.probe_now(c, "crm", now=world.ledger.now()))
        await world.until("retracted")
    assert len(world.crm.retracted) == 1


@pytest.mark.parametrize(("attempts", "is_brought"), [(2, True), (3, False)])
async def test_a_moment_s_failure_brings_forward_only_what_it_made_fail(
    world: World, attempts: int, *, is_brought: bool
) -> None:
    for name in "123":
        await world.say(Kind.STARTED, name)
    later = world.ledger.now() + 60_000_000
    failing = msgspec.structs.replace(
        SETTLED, state=DeliveryState.PENDING, delivered_version=0, attempts=attempts, due_at=later
    )
    await world.ledger.write(lambda c: deliveries.settle(c, "crm", [failing], now=1))
    world.crm.answer = first_then(all_of(Retry(code="503")))
    slow = RetryPolicy(first_retry_seconds=30, longest_retry_seconds=3600, give_up_after_hours=72)
    async with world.serving(slow, batch=1, concurrency=1):
        for name in "23":
            await world.until("delivered", f"cloudtalk-{name}")
        await asyncio.sleep(0.2)
        assert ((await world.mark("cloudtalk-1")).due_at != later) is is_brought


async def test_why_a_destination_waits_is_told_without_the_names_of_people(world: World) -> None:
    for number in range(20):
        await world.say(Kind.STARTED, f"{number:02}", contact_name=f"Aurora Vidal{number}")

    def refused(pushes: Sequence[Push]) -> list[Outcome]:
        return [Rejected(code="22", message=f"bad value: {push.call.contact_name}") for push in pushes]

    world.crm.answer = refused
    with capture_logs() as lines:
        async with world.serving(batch=100, concurrency=1):
            async with asyncio.timeout(5):
                while (await world.destination()).paused_reason is None:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
    (told,) = (line for line in lines if line["event"] == "destination.paused")
    assert "Aurora" not in told["message"]
