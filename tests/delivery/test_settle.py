"""What the outcomes of pushes make of the deliveries and of the destination in the ledger."""

from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from crm_clients.base import (
    Delivered,
    Misconfigured,
    Outcome,
    Push,
    Rejected,
    Retry,
    Split,
    Throttled,
    Unauthorised,
)
from relay.call import Kind
from relay.instants import SECOND, Instant
from relay.ledger import delivered_counts
from relay.ledger.states import DeliveryState
from tests.support.deliveries import delivered_update
from tests.support.delivering import NO_POLL, Delivering, always, delivered, first_then, wait_until

# --- dead letters ---------------------------------------------------------------------------------


async def test_a_rejected_call_is_a_dead_letter_until_it_changes(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED, contact_name="Ana Prueba")
    relay.crm.answer = first_then(always(Rejected(code="23514", message="row of Ana Prueba violates")))
    with capture_logs() as lines:
        async with relay.worker():
            delivery = await relay.wait_for("dead")
            assert (delivery.code, delivery.message) == ("23514", "row of Ana Prueba violates")
            await relay.add_event(Kind.ENDED)
            delivery = await relay.wait_for("delivered")
    assert delivery.attempts == 1
    (line,) = [line for line in lines if line["event"] == "delivery.dead"]
    assert line["call"] == "cloudtalk-1"
    assert "Ana" not in str(lines)


async def test_only_the_bad_record_of_a_batch_is_dead(relay: Delivering) -> None:
    for number in range(8):
        await relay.add_event(Kind.STARTED, str(number))

    def all_or_nothing(pushes: Sequence[Push]) -> list[Outcome]:
        if all(push.call.id != "cloudtalk-5" for push in pushes):
            return delivered(pushes)
        bad = Split(code="22") if len(pushes) > 1 else Rejected(code="22", message="bad")
        return [bad] * len(pushes)

    relay.crm.answer = all_or_nothing
    async with relay.worker():
        for number in range(8):
            await relay.wait_for("dead" if number == 5 else "delivered", f"cloudtalk-{number}")


async def test_rejections_among_deliveries_are_dead_letters(relay: Delivering) -> None:
    for number in range(50):
        await relay.add_event(Kind.STARTED, f"{number:02}")

    def reject_odd(pushes: Sequence[Push]) -> list[Outcome]:
        return [
            Rejected(code="22") if int(push.call.id[-1]) % 2 else Delivered(remote_id="r") for push in pushes
        ]

    relay.crm.answer = reject_odd
    async with relay.worker(batch=10, concurrency=1):
        for number in range(50):
            await relay.wait_for("dead" if number % 2 else "delivered", f"cloudtalk-{number:02}")
    assert (await relay.destination()).paused_reason is None


async def test_the_time_of_a_delivery_is_written_if_an_attempt_failed_before_it(relay: Delivering) -> None:
    outcomes = [Delivered(), Delivered(), Retry(code="503"), Delivered(), Delivered()]
    times = []
    async with relay.worker() as worker:
        for number, outcome in enumerate(outcomes):
            relay.crm.answer = always(outcome)
            await relay.add_event(Kind.STARTED, str(number))
            await worker.finish_round()
            await relay.wait_for(
                "pending" if isinstance(outcome, Retry) else "delivered", f"cloudtalk-{number}", attempts=1
            )
            times.append((await relay.destination()).delivered_at)
    first, _, _, again, _ = times
    assert times == [first, first, first, again, again]
    assert first is not None
    assert again is not None
    assert again > first


async def test_a_call_is_counted_when_the_crm_gets_it_for_the_first_time(relay: Delivering) -> None:
    async def count() -> dict[str, int]:
        return await relay.ledger.read(lambda c: delivered_counts.count_since(c, Instant(0)))

    await relay.add_event(Kind.STARTED, "1")
    await relay.add_event(Kind.STARTED, "2")
    relay.crm.answer = first_then(always(Rejected(code="22")))
    async with relay.worker(batch=1, concurrency=1):
        await relay.wait_for("dead", "cloudtalk-2")
        await relay.wait_for("delivered", "cloudtalk-1")
        assert await count() == {"crm": 1}
        await relay.add_event(Kind.ENDED, "1")
        await relay.wait_for("delivered", "cloudtalk-1", attempts=1)
        await relay.add_event(Kind.ENDED, "2")
        await relay.wait_for("delivered", "cloudtalk-2")
    assert await count() == {"crm": 2}


async def test_rejections_beside_a_delivery_count_for_no_run(relay: Delivering) -> None:
    def reject_bad(pushes: Sequence[Push]) -> list[Outcome]:
        return [Rejected(code="22") if "bad" in push.call.id else Delivered() for push in pushes]

    relay.crm.answer = reject_bad
    await relay.add_event(Kind.STARTED, "good-1")
    async with relay.worker(poll_seconds=NO_POLL, batch=100) as worker:
        await relay.wait_for("delivered", "cloudtalk-good-1")
        await worker.finish_round()
        for name in ["good-2", *(f"bad-{number:02}" for number in range(19))]:
            await relay.add_event(Kind.STARTED, name)
        worker.wake()
        await relay.wait_for("delivered", "cloudtalk-good-2")
        await relay.add_event(Kind.STARTED, "bad-19")
        worker.wake()
        await relay.wait_for("dead", "cloudtalk-bad-19")
    assert [len(push) for push in relay.crm.pushed] == [1, 20, 1]
    assert (await relay.destination()).paused_reason is None


# --- pauses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [
        (Unauthorised(code="401", message="wrong key"), 60),
        (Misconfigured(code="42P01", message="no table"), 60),
        (Throttled(code="429", after=7), 7),
        (Throttled(code="429"), 10),
    ],
)
async def test_a_failure_of_the_destination_pauses_it_and_costs_no_attempt(
    relay: Delivering, outcome: Outcome, seconds: int
) -> None:
    await relay.add_event(Kind.STARTED)
    relay.crm.answer = always(outcome)
    async with relay.worker() as worker:
        row = await relay.wait_for_pause()
        await worker.finish_round()
    delivery = await relay.delivery()
    assert (row.paused_reason, row.paused_message) == (outcome.name, outcome.message)
    assert row.paused_until == relay.ledger.now() + seconds * SECOND
    assert (delivery.state, delivery.attempts, len(relay.crm.pushed)) == ("pending", 0, 1)


async def test_a_rate_limit_that_only_some_calls_need_delays_only_those(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED, "1")
    await relay.add_event(Kind.STARTED, "2")

    def throttle_first(pushes: Sequence[Push]) -> list[Outcome]:
        throttled = {"cloudtalk-1": Throttled(code="429", after=1, rate_limit="search")}
        return [throttled.get(push.call.id, Delivered(remote_id="r")) for push in pushes]

    relay.crm.answer = first_then(throttle_first)
    async with relay.worker():
        await relay.wait_for("delivered", "cloudtalk-2")
        assert (await relay.delivery("cloudtalk-1")).attempts == 0
        assert (await relay.destination()).paused_reason is None
        relay.clock.advance(1)
        await relay.wait_for("delivered", "cloudtalk-1")


async def test_a_crm_that_fails_for_every_call_is_paused_and_its_probe_costs_no_attempt(
    relay: Delivering,
) -> None:
    for number in range(12):
        await relay.add_event(Kind.STARTED, str(number))
    relay.crm.answer = always(Retry(code="503", message="busy"))
    async with relay.worker(batch=1, concurrency=1):
        row = await relay.wait_for_pause()
        assert (row.paused_reason, row.paused_code, row.paused_message) == ("failing", "503", "busy")
        await relay.probe()
        await relay.wait_for_push(6)
        await relay.wait_for_pause()
        attempts = sorted([(await relay.delivery(f"cloudtalk-{n}")).attempts for n in range(12)])
        assert attempts == [0] * 7 + [1] * 5
        relay.crm.answer = delivered
        await relay.probe()
        for number in range(12):
            await relay.wait_for("delivered", f"cloudtalk-{number}")


async def test_a_run_of_rejections_with_one_code_makes_no_delivery_dead(relay: Delivering) -> None:
    for number in range(30):
        await relay.add_event(Kind.STARTED, f"{number:02}")
    relay.crm.answer = always(Rejected(code="23502", message="column is mandatory"))
    async with relay.worker(batch=4, concurrency=1):
        row = await relay.wait_for_pause()
        assert (row.paused_reason, row.paused_code) == ("misconfigured", "23502")
        rows = [await relay.delivery(f"cloudtalk-{number:02}") for number in range(30)]
        assert {(delivery.state, delivery.attempts) for delivery in rows} == {("pending", 0)}
        pushed = len(relay.crm.pushed)
        await relay.probe()
        await relay.wait_for_push(pushed + 1)
        row = await relay.wait_for_pause()
        assert row.paused_reason == "misconfigured", "the probe met the cause of the pause"
        relay.crm.answer = delivered
        await relay.probe()
        for number in range(30):
            await relay.wait_for("delivered", f"cloudtalk-{number:02}")


async def test_a_verified_record_does_not_end_a_run_of_rejections(relay: Delivering) -> None:
    await relay.replay_delivered("had")
    for number in range(30):
        await relay.add_event(Kind.STARTED, f"{number:02}")
    relay.crm.answer = always(Rejected(code="23502", message="column is mandatory"))
    async with relay.worker(batch=100, concurrency=1):
        await relay.wait_for("delivered", "cloudtalk-had")
        assert (await relay.destination()).paused_reason == "misconfigured"
        states = {(await relay.delivery(f"cloudtalk-{number:02}")).state for number in range(30)}
        assert states == {"pending"}
    assert (await relay.destination()).delivered_at is None, "a look at a record proves no write"


async def test_the_log_of_a_pause_has_no_names_of_people(relay: Delivering) -> None:
    for number in range(20):
        await relay.add_event(Kind.STARTED, f"{number:02}", contact_name=f"Aurora Vidal{number}")

    def reject(pushes: Sequence[Push]) -> list[Outcome]:
        return [Rejected(code="22", message=f"bad value: {push.call.contact_name}") for push in pushes]

    relay.crm.answer = reject
    with capture_logs() as lines:
        async with relay.worker(batch=100, concurrency=1):
            await relay.wait_for_pause()
            await wait_until(lambda: any(line["event"] == "destination.paused" for line in lines))
    (paused,) = (line for line in lines if line["event"] == "destination.paused")
    assert "Aurora" not in paused["message"]


# --- deliveries that are due again once the CRM works ----------------------------------------------


async def test_the_end_of_a_rate_limit_leaves_failed_deliveries_waiting(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED, "1")
    await relay.add_event(Kind.STARTED, "2")
    later = Instant(relay.ledger.now() + 60 * SECOND)
    await relay.settle(
        delivered_update(state=DeliveryState.PENDING, delivered_version=0, attempts=4, due_at=later)
    )
    await relay.pause("throttled", "429")
    async with relay.worker() as worker:
        await relay.wait_for("delivered", "cloudtalk-2")
        await worker.finish_round()
        assert (await relay.delivery("cloudtalk-1")).due_at == later
    assert relay.crm.versions == [[("cloudtalk-2", 1)]]


@pytest.mark.parametrize(("attempts", "is_due"), [(2, True), (3, False)])
async def test_after_a_brief_failure_only_deliveries_with_few_attempts_are_due_at_once(
    relay: Delivering, attempts: int, *, is_due: bool
) -> None:
    for name in "123":
        await relay.add_event(Kind.STARTED, name)
    later = Instant(relay.ledger.now() + 60 * SECOND)
    await relay.settle(
        delivered_update(state=DeliveryState.PENDING, delivered_version=0, attempts=attempts, due_at=later)
    )
    relay.crm.answer = first_then(always(Retry(code="503")))
    async with relay.worker(batch=1, concurrency=1) as worker:
        for name in "23":
            await relay.wait_for("delivered", f"cloudtalk-{name}")
        await worker.finish_round()
        assert ((await relay.delivery("cloudtalk-1")).due_at != later) is is_due


async def test_a_delivered_call_that_lacks_something_is_logged_as_a_warning_with_its_reason(
    relay: Delivering,
) -> None:
    await relay.add_event(Kind.STARTED, "1")
    await relay.add_event(Kind.STARTED, "2")
    refused = Delivered(remote_id="r", code="contact_refused", message="not linked")
    relay.crm.answer = lambda pushes: [
        refused if push.call.id == "cloudtalk-2" else answer
        for push, answer in zip(pushes, delivered(pushes), strict=True)
    ]
    with capture_logs() as lines:
        async with relay.worker():
            delivery = await relay.wait_for("delivered", "cloudtalk-2")
    assert (delivery.code, delivery.message) == ("contact_refused", "not linked")
    logged = {
        (line["log_level"], line.get("code"), line["calls"]) for line in lines if line["event"] == "push"
    }
    assert logged == {("info", None, 1), ("warning", "contact_refused", 1)}
