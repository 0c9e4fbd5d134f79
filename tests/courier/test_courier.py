"""The courier: what it brings, what it makes of the answers, and when it waits."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from crm_clients.base import (
    CrmClient,
    Delivered,
    DestinationSettings,
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
)
from relay.call import DELIVERED_FIELDS, CallEvent, Kind
from relay.courier import Courier, Schedule
from relay.fold import Fold
from relay.ledger import Ledger, deliveries, destinations, journal
from relay.ledger.journal import EventRow

QUICK = Schedule(first_retry_seconds=0.05, longest_retry_seconds=0.2, give_up_after_hours=72)
Answer = Callable[[Sequence[Push]], list[Outcome]]


class FakeCrm(CrmClient):
    """Answers as the test says, and remembers what was pushed."""

    def __init__(self) -> None:
        self.pushed: list[list[Push]] = []
        self.retracted: list[list[Retraction]] = []
        self.answer: Answer = delivered
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

    def __init__(self, ledger: Ledger, fold: Fold) -> None:
        self.ledger = ledger
        self.fold = fold
        self.crm = FakeCrm()

    async def say(self, kind: Kind, name: str = "1", **facts: Any) -> None:
        reading = CallEvent(kind, "mission", name, (f"other:{name}",), None, facts, {})
        row = EventRow(self.ledger.now(), "", "/", "", b"", reading)
        await self.ledger.write(lambda c: journal.append(c, [row]))
        while await self.fold.fold():
            pass

    async def mark(self, call: str = "cloudtalk-1", destination: str = "crm") -> Any:
        rows = await self.ledger.read(lambda c: deliveries.of_call(c, call))
        return next((row for row in rows if row.destination == destination), None)

    async def until(self, state: str, call: str = "cloudtalk-1", **fields: Any) -> Any:
        async with asyncio.timeout(5):
            while True:
                mark = await self.mark(call)
                if mark and mark.state == state and all(getattr(mark, k) == v for k, v in fields.items()):
                    return mark
                await asyncio.sleep(0.01)

    async def destination(self) -> Any:
        return await self.ledger.read(lambda c: destinations.one(c, "crm"))

    @asynccontextmanager
    async def serving(self, schedule: Schedule = QUICK, **settings: Any) -> AsyncIterator[Courier]:
        told = DestinationSettings(client="fake", **settings)
        courier = Courier("crm", self.crm, told, self.ledger, schedule, jitter=lambda: 0)
        running = asyncio.create_task(courier.run())
        try:
            yield courier
        finally:
            running.cancel()
            await asyncio.wait([running], timeout=8)
            assert running.done()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    ledger = Ledger(f"sqlite:///{tmp_path}/relay.db")
    await ledger.open()
    await ledger.write(lambda c: destinations.register(c, {"crm": "fake"}))
    fold = Fold(
        ledger, forward_internal=False, grace_seconds=0, pressing=lambda: False, on_marks=lambda: None
    )
    await fold._lease.acquire()
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
        await world.until("owed", outcome="retry")
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
    slow = Schedule(first_retry_seconds=30, longest_retry_seconds=60, give_up_after_hours=72)
    async with world.serving(slow) as courier:
        before = await world.until("owed", attempts=1)
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
    schedule = Schedule(first_retry_seconds=5, longest_retry_seconds=3600, give_up_after_hours=72)
    async with world.serving(schedule) as courier:
        async with asyncio.timeout(5):
            while (await world.destination()).paused_reason is None:
                await asyncio.sleep(0.01)
        before = world.ledger.now()
        courier.wake()
        await asyncio.sleep(0.1)
    row, mark = await world.destination(), await world.mark()
    assert (row.paused_reason, row.paused_message) == (outcome.word, outcome.message)
    assert row.paused_until == pytest.approx(before + seconds * 1_000_000, abs=1_500_000)
    assert (mark.state, mark.attempts, len(world.crm.pushed)) == ("owed", 0, 1)


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
        mark = await world.until("owed", outcome="unknown")
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
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["courier.failed"]


async def test_a_push_under_way_is_settled_before_the_courier_stops(world: World) -> None:
    await world.say(Kind.STARTED)
    world.crm.open.clear()
    async with world.serving():
        async with asyncio.timeout(5):
            while not world.crm.pushed:
                await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(0.2, world.crm.open.set)
    assert (await world.mark()).state == "delivered"


async def test_of_two_couriers_one_serves_and_the_other_stands_by(world: World, tmp_path: Path) -> None:
    other_ledger = Ledger(f"sqlite:///{tmp_path}/relay.db")
    other_ledger.owner = "another-host/1/1"
    await other_ledger.open()
    other_crm = FakeCrm()
    other = Courier("crm", other_crm, DestinationSettings(client="fake"), other_ledger, QUICK)
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
        assert [[r.call_id for r in batch] for batch in world.crm.retracted] == [["cloudtalk-1"]]
        assert mark.delivered_version == 0
        await world.say(Kind.ENDED, direction="inbound")
        courier.wake()
        await world.until("delivered")
    assert world.crm.pushed[-1][0].changed == frozenset(DELIVERED_FIELDS)
