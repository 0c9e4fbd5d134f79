"""The reconciler: searches of the latest history in a relay that runs."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from relay.app import Relay
from relay.cloudtalk.request import RawRequest
from relay.fold import FoldWorker, fold_options
from relay.history import reconciler
from relay.history.reconciler import Reconciler
from relay.ingest.parsers import build_parser
from relay.instants import SECOND, Instant
from relay.ledger import calls, counters, history_searches, journal
from relay.ledger.journal import NewEvent
from relay.settings import Settings
from tests.fakes.cloudtalk_history import FakeHistory, running_history
from tests.support.clock import Clock
from tests.support.history_calls import PastCall, past_calls
from tests.support.in_process import in_process_relay, settings_in
from tests.support.ledgers import open_ledger
from tests.support.patience import PATIENCE

HOUR = 3_600 * SECOND


@pytest.fixture
async def cloudtalk() -> AsyncIterator[FakeHistory]:
    async with running_history(FakeHistory()) as fake:
        yield fake


def settings(folder: Path, cloudtalk: FakeHistory, **reconcile: Any) -> Settings:
    api = {
        "key_id": "id",
        "key_secret": "key-of-the-api",
        "base_url": f"{cloudtalk.url}/api",
        "analytics_url": f"{cloudtalk.url}/analytics",
    }
    return settings_in(folder, cloudtalk={"api": api}, reconcile={"look_back_hours": 2} | reconcile)


def latest(count: int, *, seconds_apart: int = 60) -> list[PastCall]:
    newest = datetime.now(UTC) - timedelta(minutes=5)
    return past_calls(count, newest, seconds_apart=seconds_apart, people=1_000)


def lines(logs: list[Any], event: str) -> list[dict[str, Any]]:
    return [dict(line) for line in logs if line["event"] == event]


async def test_a_relay_finds_calls_that_were_never_announced(tmp_path: Path, cloudtalk: FakeHistory) -> None:
    unannounced, announced, long_ago = latest(3, seconds_apart=3_000)
    cloudtalk.rows = [
        call.row()
        for call in (
            unannounced,
            announced,
            long_ago._replace(started_at=long_ago.started_at - timedelta(hours=3)),
        )
    ]
    used = settings(tmp_path, cloudtalk, every_minutes=0.01)
    with capture_logs() as logs:
        async with in_process_relay(used) as (relay, client), asyncio.timeout(PATIENCE):
            await client.post("/cloudtalk/webhook", json=announced.ended("call_uuid"))
            while await count_calls(relay) < 2 or len(lines(logs, "reconcile.finished")) < 3:
                await asyncio.sleep(0.01)
    finished = lines(logs, "reconcile.finished")
    assert {line["calls"] for line in finished} == {2}
    assert sum(line["new"] for line in finished) >= 1
    assert [finished[-1][key] for key in ("known", "new", "filled")] == [2, 0, 0]
    assert {(line["call_id"], line["effect"]) for line in lines(logs, "history.found")} >= {
        ("1000000000", "new")
    }


async def count_calls(relay: Relay) -> int:
    return await relay.ledger.read(calls.count)


async def test_a_search_that_fails_is_logged_and_the_next_one_reads_from_the_end_of_the_last(
    tmp_path: Path, cloudtalk: FakeHistory
) -> None:
    clock = Clock()
    async with open_ledger(f"sqlite:///{tmp_path}/relay.db", clock=clock) as ledger:
        searcher = Reconciler(settings(tmp_path, cloudtalk, every_minutes=15), ledger)
        await searcher.search()
        searched_until = clock.now
        clock.advance(10 * 3_600)
        cloudtalk.faults.append("unauthorised")
        with capture_logs() as logs:
            await searcher.search()
        (failed,) = lines(logs, "reconcile.failed")
        assert (failed["code"], failed["log_level"]) == ("unauthorised", "warning")
        failure = await ledger.read(history_searches.find_failure)
        assert failure is not None
        assert (failure.code, failure.since) == ("unauthorised", clock.now)
        assert await ledger.read(lambda c: counters.get(c, counters.RECONCILED_UNTIL)) == searched_until
        with capture_logs() as logs:
            await searcher.search()
        assert await ledger.read(lambda c: counters.get(c, counters.RECONCILED_UNTIL)) == clock.now
        assert await ledger.read(history_searches.find_failure) is None
        last = await ledger.read(history_searches.find_last)
        assert last is not None
        assert (last.at, last.calls, last.period_began_at) == (clock.now, 0, clock.now)
    # The clock of the test begins at 2027-01-15 08:00.
    assert [line["since"] for line in lines(logs, "reconcile.finished")] == ["2027-01-15T06:00:00Z"]
    assert [first for first, _, _ in cloudtalk.pages] == ["2027-01-14 18:00:00"] * 3


async def test_after_a_long_stop_a_search_reads_at_most_a_month(
    tmp_path: Path, cloudtalk: FakeHistory
) -> None:
    clock = Clock()
    async with open_ledger(f"sqlite:///{tmp_path}/relay.db", clock=clock) as ledger:
        searcher = Reconciler(settings(tmp_path, cloudtalk, every_minutes=15), ledger)
        await searcher.search()
        clock.advance(100 * 86_400)
        with capture_logs() as logs:
            await searcher.search()
    assert [line["since"] for line in lines(logs, "reconcile.finished")] == ["2027-03-26T08:00:00Z"]


async def test_a_long_call_that_cloudtalk_does_not_know_yet_is_read_again_until_it_is_decided(
    tmp_path: Path, cloudtalk: FakeHistory
) -> None:
    """Two calls of an hour and a half fit one webhook, and the analytics never say which one it is."""
    clock = Clock()
    began_at = datetime.fromtimestamp(clock.now // SECOND, UTC)
    first = PastCall(1, began_at, "+34600000001", 5_400)
    second = first._replace(number=2, started_at=began_at + timedelta(seconds=60))
    cloudtalk.rows = [first.row(), second.row()]
    async with open_ledger(f"sqlite:///{tmp_path}/relay.db", clock=clock) as ledger:
        used = settings(tmp_path, cloudtalk)
        parsed = build_parser(used.cloudtalk).parse_one(
            RawRequest(msgspec.json.encode(first.started()), "application/json", "/cloudtalk/webhook")
        )
        new = NewEvent(ledger.now(), "application/json", "/cloudtalk/webhook", "", b"{}", parsed)
        await ledger.write(lambda c: journal.append(c, [new]))
        worker = FoldWorker(
            ledger, options=fold_options(used), has_backlog=lambda: False, on_enqueue=lambda: None
        )
        await worker.lease.preempt()
        await worker.fold_batch()
        clock.advance(5_400 + 300)
        for _ in range(6):
            await Reconciler(used, ledger).search()
            clock.advance(900)
        await worker.lease.preempt()
        await worker.fold_batch()
        assert await ledger.read(calls.count) == 3
        until = await ledger.read(lambda c: counters.get(c, counters.RECONCILED_UNTIL))
    assert until == clock.now - 900 * SECOND  # nothing is postponed any more


async def test_a_key_that_was_replaced_is_used_from_the_next_search_on(
    tmp_path: Path, cloudtalk: FakeHistory
) -> None:
    used = settings(tmp_path, cloudtalk, every_minutes=15)
    wrong = used.cloudtalk.api.model_copy(update={"key_id": "old"})
    old = used.model_copy(update={"cloudtalk": used.cloudtalk.model_copy(update={"api": wrong})})
    async with open_ledger(f"sqlite:///{tmp_path}/relay.db") as ledger:
        searcher = Reconciler(old, ledger)
        with capture_logs() as logs:
            await searcher.search()
            searcher.set_settings(used)
            await searcher.search()
    assert [len(lines(logs, f"reconcile.{word}")) for word in ("failed", "finished")] == [1, 1]


async def test_a_call_without_its_call_id_is_looked_for_early(
    tmp_path: Path, cloudtalk: FakeHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(reconciler, "_DELAYS", (0, HOUR))
    (call,) = latest(1)
    used = settings(tmp_path, cloudtalk, every_minutes=60)
    with capture_logs() as logs:
        async with in_process_relay(used) as (relay, client), asyncio.timeout(PATIENCE):
            while not lines(logs, "reconcile.finished"):
                await asyncio.sleep(0.01)
            cloudtalk.rows = [call.row()]
            await client.post("/cloudtalk/webhook", json=call.ended("call_uuid"))
            call_id = f"cloudtalk-{call.call_uuid}"
            while (row := await find_call(relay, call_id)) is None or row.record.call_id is None:
                await asyncio.sleep(0.01)
    assert row.record.call_id == call.call_id
    assert [line["early"] for line in lines(logs, "reconcile.finished")][:2] == [False, True]


async def test_a_late_event_of_an_old_call_starts_no_search_of_years(
    tmp_path: Path, cloudtalk: FakeHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "_DELAYS", (0, HOUR))
    (old,) = past_calls(1, datetime(2020, 1, 1, tzinfo=UTC), seconds_apart=1, people=1)
    async with in_process_relay(settings(tmp_path, cloudtalk, every_minutes=0)) as (relay, client):
        await client.post("/cloudtalk/webhook", json=old.ended("call_uuid"))
        async with asyncio.timeout(PATIENCE):
            while await find_call(relay, f"cloudtalk-{old.call_uuid}") is None:
                await asyncio.sleep(0.01)
        await Reconciler(settings(tmp_path, cloudtalk), relay.ledger).search_early()
    assert cloudtalk.asked == []


async def test_a_fault_of_a_search_is_noted(
    tmp_path: Path, cloudtalk: FakeHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(reconciler, "divide", fail)
    async with open_ledger(f"sqlite:///{tmp_path}/relay.db") as ledger:
        with pytest.raises(ZeroDivisionError):
            await Reconciler(settings(tmp_path, cloudtalk), ledger).search()
        failure = await ledger.read(history_searches.find_failure)
    assert failure is not None
    assert failure.code == "fault"


async def test_an_early_search_for_a_call_without_a_start_reads_before_its_first_event(
    tmp_path: Path, cloudtalk: FakeHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row began earlier than the event arrived."""
    monkeypatch.setattr(reconciler, "_DELAYS", (0, HOUR))
    (call,) = latest(1)
    event = call.ended("call_uuid")
    del event["started_at"], event["ended_at"]
    cloudtalk.rows, cloudtalk.uuids = [call.row()], {call.call_id: call.call_uuid}
    async with in_process_relay(settings(tmp_path, cloudtalk, every_minutes=0)) as (relay, client):
        await client.post("/cloudtalk/webhook", json=event)
        id_ = f"cloudtalk-{call.call_uuid}"
        async with asyncio.timeout(PATIENCE):
            while await find_call(relay, id_) is None:
                await asyncio.sleep(0.01)
            await Reconciler(settings(tmp_path, cloudtalk), relay.ledger).search_early()
            while (row := await find_call(relay, id_)) is None or row.record.call_id is None:
                await asyncio.sleep(0.01)
    assert row.record.call_id == call.call_id


async def find_call(relay: Relay, id_: str) -> calls.CallRow | None:
    return (await relay.ledger.read(lambda c: calls.get_many(c, [id_]))).get(id_)


@pytest.mark.parametrize(
    ("searched", "now", "expected"),
    [
        (0, 19, False),
        (0, 20, True),
        (19, 20, True),
        (20, 59, False),
        (20, 60, True),
        (60, 179, False),
        (179, 180, True),
        (600, 1_799, False),
        (600, 1_800, True),
        (1_800, 90_000, False),
    ],
)
def test_the_delays_of_early_searches_grow(searched: int, now: int, *, expected: bool) -> None:
    changed_at = 1_000 * SECOND
    times = (Instant(changed_at + seconds * SECOND) for seconds in (0, searched, now))
    assert reconciler.is_due(*times) is expected


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values["reconcile"].update(every_minutes=0),
        lambda values: values["cloudtalk"]["api"].update(key_id="", key_secret=None),
    ],
)
async def test_nothing_is_searched_unless_it_is_on_and_there_is_a_key(
    tmp_path: Path, cloudtalk: FakeHistory, change: Callable[[Any], None]
) -> None:
    values = settings(tmp_path, cloudtalk, every_minutes=0.001).model_dump()
    change(values)
    used = settings_in(tmp_path, cloudtalk={"api": values["cloudtalk"]["api"]}, reconcile=values["reconcile"])
    async with in_process_relay(used):
        await asyncio.sleep(0.2)
    assert cloudtalk.asked == []


def test_the_http_client_is_loaded_when_the_first_search_needs_it(
    tmp_path: Path, cloudtalk: FakeHistory
) -> None:
    api = f'key_id = "id"\nkey_secret = "key-of-the-api"\nbase_url = "{cloudtalk.url}/api"\n'
    path = tmp_path / "settings.toml"
    path.write_text(f"[cloudtalk.api]\n{api}[reconcile]\nevery_minutes = 15\n")
    code = (
        "import pathlib, sys; from relay.app import Relay, create_app; from relay.settings import load;"
        " create_app(Relay(load(pathlib.Path(sys.argv[1])))); print('httpx' in sys.modules)"
    )
    done = subprocess.run(  # noqa: S603 - fixed command
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
