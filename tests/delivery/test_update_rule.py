"""Destinations that get complete calls only: `update = "complete"`, and `"never"` with one write per call."""

import asyncio
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_clients.base import Outcome, Push, Retry, Unauthorised
from relay.call import Kind, Status
from relay.ledger import replays
from relay.ledger.deliveries import DeliveryRow
from tests.support.clock import Clock
from tests.support.delivering import Delivering, always, delivered, delivering

HOURS = 3_600
TALKED: dict[str, Any] = {"talking_seconds": 5}


def pushed(relay: Delivering) -> list[tuple[int, Status]]:
    """The version and the status of each record that was written."""
    return [(push.call.version, push.call.status) for batch in relay.crm.pushed for push in batch]


async def held(relay: Delivering, **fields: Any) -> DeliveryRow:
    """Wait until the worker has looked at the delivery and lets it wait."""
    async with asyncio.timeout(20):
        while not (row := await relay.delivery()).is_held or any(
            getattr(row, name) != value for name, value in fields.items()
        ):
            await asyncio.sleep(0.01)
    return row


@pytest.mark.parametrize("update", ["complete", "never"])
async def test_a_call_is_written_once_it_is_over_and_unchanged_for_a_time(
    relay: Delivering, update: str
) -> None:
    async with relay.worker(update=update, complete_after_seconds=60) as worker:
        await relay.add_event(Kind.STARTED)
        await held(relay, version=1)
        await relay.add_event(Kind.ENDED, **TALKED)
        first = await held(relay, version=2)
        relay.clock.advance(59)
        await relay.add_event(Kind.MODIFIED, notes="late")
        second = await held(relay, version=3)
        assert second.due_at - first.due_at == 59_001_000
        relay.clock.advance(59)
        await worker.finish_round()
        assert pushed(relay) == []
        relay.clock.advance(1)
        await relay.wait_for("delivered", delivered_version=3)
    assert pushed(relay) == [(3, Status.COMPLETED)]


async def test_a_complete_call_is_updated_after_each_later_change(relay: Delivering) -> None:
    async with relay.worker(update="complete", complete_after_seconds=60):
        await relay.add_event(Kind.ENDED, **TALKED)
        await held(relay)
        relay.clock.advance(60)
        await relay.wait_for("delivered", delivered_version=1)
        await relay.add_event(Kind.MODIFIED, notes="later")
        await held(relay, version=2)
        relay.clock.advance(60)
        await relay.wait_for("delivered", delivered_version=2)
    assert [push.changed for (push,) in relay.crm.pushed][1] == {"notes"}


async def test_a_record_that_is_never_updated_stays_as_it_was_written(relay: Delivering) -> None:
    async with relay.worker(update="never", complete_after_seconds=0) as worker:
        await relay.add_event(Kind.ENDED, **TALKED)
        await relay.wait_for("delivered", delivered_version=1)
        await relay.add_event(Kind.MODIFIED, notes="later")
        row = await relay.wait_for("delivered", version=2)
        assert (row.delivered_version, row.outcome, row.remote_id) == (1, "delivered", "remote-cloudtalk-1")
        await worker.finish_round()
    assert pushed(relay) == [(1, Status.COMPLETED)]


async def test_a_call_without_its_end_is_written_after_thirty_hours(relay: Delivering) -> None:
    async with relay.worker(update="never", complete_after_seconds=60) as worker:
        await relay.add_event(Kind.STARTED)
        row = await held(relay)
        assert row.due_at - relay.clock.now == 1.2 * HOURS * 1_000_000, (
            "looked at again after the longest backoff"
        )
        relay.clock.advance(29.9 * HOURS)
        await worker.finish_round()
        assert pushed(relay) == []
        relay.clock.advance(0.1 * HOURS)
        await relay.wait_for("delivered")
    assert pushed(relay) == [(1, Status.IN_PROGRESS)]


async def test_a_record_that_is_never_updated_has_what_arrived_in_time_and_was_folded_late(
    relay: Delivering,
) -> None:
    async with relay.worker(update="never", complete_after_seconds=60) as worker:
        await relay.add_event(Kind.ENDED, **TALKED)
        await held(relay)
        relay.clock.advance(20)
        await relay.append_event(Kind.RECORDING, recording_url="https://example.com/1")
        relay.clock.advance(10)
        await relay.append_event(Kind.STARTED, "2")
        relay.clock.advance(30)
        await held(relay, due_at=relay.clock.now + 5_000_000)
        relay.clock.advance(1_000)
        await worker.finish_round()
        assert pushed(relay) == []
        await relay.fold_all()
        await relay.wait_for("delivered", delivered_version=2)
    assert [push.call.recording_url for (push,) in relay.crm.pushed] == ["https://example.com/1"]


async def test_later_events_that_are_not_folded_delay_no_call(relay: Delivering) -> None:
    async with relay.worker(update="never", complete_after_seconds=60):
        await relay.add_event(Kind.ENDED, **TALKED)
        await held(relay)
        relay.clock.advance(61)
        await relay.append_event(Kind.STARTED, "2")
        await relay.wait_for("delivered", delivered_version=1)


async def test_a_call_waits_for_an_event_that_waits_for_its_call_at_most_for_its_grace_period(
    ledger_url: str,
) -> None:
    async with (
        delivering(ledger_url, grace_seconds=120) as relay,
        relay.worker(update="never", complete_after_seconds=60) as worker,
    ):
        await relay.add_event(Kind.ENDED, **TALKED)
        await held(relay)
        relay.clock.advance(59)
        await relay.append_event(Kind.RECORDING, "77", single_id=False, call_id="77")
        await relay.fold_all()
        relay.clock.advance(119)
        await worker.finish_round()
        assert pushed(relay) == []
        relay.clock.advance(2)
        await relay.fold_all()
        relay.clock.advance(5)
        await relay.wait_for("delivered", delivered_version=1)


async def test_an_event_that_waits_for_its_call_delays_no_call_that_can_be_updated(ledger_url: str) -> None:
    async with (
        delivering(ledger_url, grace_seconds=120) as relay,
        relay.worker(update="complete", complete_after_seconds=60),
    ):
        await relay.add_event(Kind.ENDED, **TALKED)
        await held(relay)
        await relay.append_event(Kind.RECORDING, "77", single_id=False, call_id="77")
        await relay.fold_all()
        relay.clock.advance(61)
        await relay.wait_for("delivered", delivered_version=1)


async def test_a_call_that_waits_is_looked_at_by_the_settings_of_a_new_start(relay: Delivering) -> None:
    async with relay.worker(update="complete", complete_after_seconds=3_600):
        await relay.add_event(Kind.ENDED, **TALKED)
        await held(relay)
    relay.clock.advance(60)
    async with relay.worker(update="complete", complete_after_seconds=61):
        await held(relay, due_at=relay.clock.now + 1_000_000)
    async with relay.worker(update="always"):
        await relay.wait_for("delivered", delivered_version=1)


@pytest.mark.parametrize("kind", [Kind.STARTED, Kind.ANSWERED])
async def test_a_clock_that_is_set_back_makes_no_ongoing_call_complete(relay: Delivering, kind: Kind) -> None:
    async with relay.worker(update="never", complete_after_seconds=60):
        await relay.add_event(kind)
        await held(relay)
    relay.clock.advance(-2 * HOURS)
    async with relay.worker(update="never", complete_after_seconds=60) as worker:
        await held(relay, due_at=relay.clock.now + int(1.2 * HOURS) * 1_000_000)
        await worker.finish_round()
    assert pushed(relay) == []


async def test_a_failed_first_write_is_repeated_until_the_crm_takes_it(relay: Delivering) -> None:
    relay.crm.answer = always(Retry(code="503"))
    async with relay.worker(update="never", complete_after_seconds=0):
        await relay.add_event(Kind.ENDED, **TALKED)
        await relay.wait_for("pending", attempts=1)
        relay.crm.answer = delivered
        relay.clock.advance(30)
        await relay.wait_for("delivered", delivered_version=1)
    assert len(relay.crm.pushed) == 2


async def test_a_call_that_waits_is_no_probe_of_a_paused_destination(relay: Delivering) -> None:
    relay.crm.answer = always(Unauthorised(code="401"))
    async with relay.worker(update="complete", complete_after_seconds=60) as worker:
        await relay.add_event(Kind.STARTED)
        await held(relay)
        await relay.add_event(Kind.ENDED, "2", **TALKED)
        relay.clock.advance(60)
        await relay.wait_for_pause()
        relay.crm.answer = delivered
        await relay.probe()
        await relay.wait_for("delivered", "cloudtalk-2")
        await worker.finish_round()
        assert (await relay.delivery()).is_held
    assert {push.call.id for batch in relay.crm.pushed for push in batch} == {"cloudtalk-2"}


@pytest.mark.parametrize("lost", [False, True])
async def test_a_replay_writes_a_record_that_is_never_updated_only_if_the_crm_lost_it(
    relay: Delivering, *, lost: bool
) -> None:
    async with relay.worker(update="never", complete_after_seconds=0):
        await relay.add_event(Kind.ENDED, **TALKED)
        await relay.wait_for("delivered", delivered_version=1)
        await relay.add_event(Kind.MODIFIED, notes="later")
        await relay.wait_for("delivered", version=2)
        relay.crm.lost = {"cloudtalk-1"} if lost else set()
        relay.crm.versions_stored = {"cloudtalk-1": 1}
        await relay.ledger.write(
            lambda c: replays.enqueue(c, "crm", [("cloudtalk-1", 2)], now=relay.ledger.now(), rewrite=True)
        )
        row = await relay.wait_for("delivered", rewrite=False)
    assert row.delivered_version == (2 if lost else 1)
    assert [version for version, _ in pushed(relay)] == ([1, 2] if lost else [1])


@pytest.mark.parametrize("update", ["complete", "never"])
async def test_a_call_that_proves_internal_is_removed_at_once(relay: Delivering, update: str) -> None:
    async with relay.worker(update=update, complete_after_seconds=60):
        await relay.add_event(Kind.ENDED, **TALKED)
        await held(relay)
        relay.clock.advance(60)
        await relay.wait_for("delivered")
        await relay.add_event(Kind.MODIFIED, direction="internal")
        await relay.wait_for("retracted")
    assert len(relay.crm.retracted) == 1


async def test_a_call_that_proves_internal_before_its_first_write_is_never_sent(relay: Delivering) -> None:
    async with relay.worker(update="never", complete_after_seconds=60):
        await relay.add_event(Kind.STARTED)
        await held(relay)
        await relay.add_event(Kind.MODIFIED, direction="internal")
        await relay.wait_for("filtered")
    assert (relay.crm.pushed, relay.crm.retracted) == ([], [])


# --- any course of events ---------------------------------------------------------------------------

_EVENTS = st.tuples(
    st.sampled_from([Kind.STARTED, Kind.ANSWERED, Kind.ENDED, Kind.MISSED, Kind.MODIFIED]),
    st.sampled_from("12"),
    st.sampled_from("abc"),
)
_STEPS = st.lists(
    st.one_of(_EVENTS, st.sampled_from([1, 30, 61, 4 * HOURS]), st.sampled_from(["works", "fails"])),
    max_size=14,
)


@given(st.sampled_from(["complete", "never"]), _STEPS)
@settings(max_examples=20, deadline=None)
def test_only_complete_calls_are_written_and_each_one_is_in_the_end(update: str, steps: list[Any]) -> None:
    asyncio.run(_follow(update, steps))


class _Crm:
    """Answers pushes as a test says, and notes which calls were written, and which were sent too early."""

    def __init__(self, clock: Clock) -> None:
        self.works = True
        self.changed: dict[str, tuple[int, int]] = {}  # by call: its version, and when it got it
        self.early: list[Push] = []
        self.written: list[str] = []
        self._clock = clock

    def note_version(self, row: DeliveryRow) -> None:
        if row.version != self.changed.get(row.call, (0, 0))[0]:
            self.changed[row.call] = row.version, self._clock.now

    def answer(self, pushes: Sequence[Push]) -> list[Outcome]:
        self.early.extend(filter(self._is_early, pushes))
        if not self.works:
            return [Retry(code="503")] * len(pushes)
        self.written.extend(push.call.id for push in pushes)
        return delivered(pushes)

    def _is_early(self, push: Push) -> bool:
        is_over = push.call.status not in {Status.IN_PROGRESS, Status.ANSWERED}
        seconds = 60 if is_over else 30 * HOURS
        return self._clock.now - self.changed[push.call.id][1] < seconds * 1_000_000


async def _follow(update: str, steps: list[Any]) -> None:
    clock = Clock()
    crm = _Crm(clock)
    with TemporaryDirectory() as folder:
        async with delivering(f"sqlite:///{folder}/relay.db", clock) as relay:
            relay.crm.answer = crm.answer
            async with relay.worker(update=update, complete_after_seconds=60) as worker:
                for step in steps:
                    await _take_step(relay, crm, step)
                    await worker.finish_round()
                crm.works = True
                for _ in range(3):
                    clock.advance(31 * HOURS)
                    await worker.finish_round()
                for call in crm.changed:
                    row = await relay.wait_for("delivered", call)
                    assert update == "never" or row.delivered_version == row.version
    assert crm.early == []
    if update == "never":
        assert sorted(crm.written) == sorted(crm.changed)


async def _take_step(relay: Delivering, crm: _Crm, step: Any) -> None:
    match step:
        case (kind, name, notes):
            await relay.add_event(kind, name, notes=notes)
            crm.note_version(await relay.delivery(f"cloudtalk-{name}"))
        case "works" | "fails":
            crm.works = step == "works"
        case seconds:
            relay.clock.advance(seconds)
