"""The nightly audit."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from crm_clients.base import Stored, Unauthorised
from relay.audit.worker import AuditWorker, latest_time
from relay.instants import SECOND, Instant
from relay.ledger import Ledger, audits
from relay.ledger.audits import NIGHTLY
from relay.measurements import AUDIT_RUNS
from tests.fakes.cloudtalk_history import FakeHistory, running_history
from tests.support.auditing import ReadableCrm, deliver
from tests.support.clock import Clock
from tests.support.deliveries import delivered_update, get_delivery, settle
from tests.support.history_calls import past_calls
from tests.support.in_process import settings_in
from tests.support.measured import read_counter

MADRID = ZoneInfo("Europe/Madrid")
HOUR = 3_600
LOCAL = {"client": "local"}


def at(written: str) -> Instant:
    return Instant(int(datetime.fromisoformat(written).timestamp()) * SECOND)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-27T03:30:00+01:00", "2026-11-27T03:30:00+01:00"),
        ("2026-11-27T03:29:59+01:00", "2026-11-26T03:30:00+01:00"),
        ("2026-11-27T23:00:00+01:00", "2026-11-27T03:30:00+01:00"),
        ("2026-11-27T00:30:00+01:00", "2026-11-26T03:30:00+01:00"),
        # Summer time begins on 2026-03-29 at 02:00 and ends on 2026-10-25 at 03:00.
        ("2026-03-29T03:30:00+02:00", "2026-03-29T03:30:00+02:00"),
        ("2026-03-29T03:10:00+02:00", "2026-03-28T03:30:00+01:00"),
        ("2026-10-25T03:10:00+01:00", "2026-10-24T03:30:00+02:00"),
    ],
)
def test_the_last_time_of_day_by_the_clock_on_the_wall(now: str, expected: str) -> None:
    assert latest_time("03:30", MADRID, at(now)) == at(expected)


def test_a_time_that_the_clock_on_the_wall_shows_twice_or_never() -> None:
    assert latest_time("02:30", MADRID, at("2026-10-25T02:45:00+01:00")) == at("2026-10-25T02:30:00+02:00")
    assert latest_time("02:30", MADRID, at("2026-03-29T12:00:00+02:00")) == at("2026-03-29T03:30:00+02:00")


@pytest.fixture
def crm() -> ReadableCrm:
    return ReadableCrm()


def build(folder: Path, ledger: Ledger, crm: ReadableCrm, **sections: Any) -> AuditWorker:
    settings = settings_in(folder, destinations={"crm": LOCAL}, **sections)
    return AuditWorker(settings, ledger, lambda: {"crm": crm})


async def test_it_is_due_once_a_day_and_not_at_the_first_start(
    tmp_path: Path, ledger: Ledger, clock: Clock, crm: ReadableCrm
) -> None:
    clock.now = at("2026-11-27T09:00:00+01:00")
    worker = build(tmp_path, ledger, crm)
    assert not await worker.is_due()
    clock.now = at("2026-11-28T03:29:00+01:00")
    assert not await worker.is_due()
    clock.advance(120)
    assert await worker.is_due()
    await worker.audit()
    assert not await worker.is_due()
    clock.now = at("2026-11-29T09:00:00+01:00")  # no relay ran in the night
    assert await build(tmp_path, ledger, crm).is_due()
    await worker.audit()
    clock.now = at("2026-11-28T09:00:00+01:00")  # the clock is set back
    assert not await worker.is_due()
    clock.now = at("2026-11-29T03:40:00+01:00")
    assert not await worker.is_due()


async def test_an_audit_by_hand_does_not_replace_that_of_the_night(
    tmp_path: Path, ledger: Ledger, clock: Clock, crm: ReadableCrm
) -> None:
    worker = build(tmp_path, ledger, crm)
    await worker.audit()
    clock.advance(25 * HOUR)
    await ledger.write(
        lambda c: audits.add(c, [], began_at=ledger.now(), finished_at=ledger.now(), who="cli", result="{}")
    )
    assert await worker.is_due()


async def test_after_a_stop_it_reads_from_the_days_before_the_last_one_on(
    tmp_path: Path, ledger: Ledger, clock: Clock, crm: ReadableCrm
) -> None:
    worker = build(tmp_path, ledger, crm, audit={"look_back_days": 2})
    first = clock.now
    assert (await worker.audit()).since == first - 48 * HOUR * SECOND
    clock.advance(10 * 24 * HOUR)
    assert (await worker.audit()).since == first - 48 * HOUR * SECOND
    clock.advance(100 * 24 * HOUR)
    assert (await worker.audit()).since == clock.now - 60 * 24 * HOUR * SECOND


async def test_the_result_is_one_log_line_and_is_stored(
    tmp_path: Path, ledger: Ledger, clock: Clock, crm: ReadableCrm
) -> None:
    await deliver(ledger, crm, "a", "b", "c")
    del crm.records["a"]
    clock.advance(5 * HOUR)
    with capture_logs() as logs:
        result = await build(tmp_path, ledger, crm).audit()
    (line,) = [line for line in logs if line["event"] == "audit.finished"]
    assert (line["log_level"], line["calls"], line["repaired"], line["for_person"]) == ("info", 3, 1, 0)
    assert line["crms"] == {
        "crm": {"reading": "compared", "calls": 3, "records": 2, "right": 2, "missing": 1, "repaired": 1}
    }
    assert (line["cloudtalk"], line["only_here"], line["unproven"]) == (None, None, [])
    stored = await ledger.read(audits.newest_nightly)
    assert stored is not None
    assert (stored.who, stored.began_at, result.is_good) == (NIGHTLY, clock.now, True)
    assert [each.call for each in await ledger.read(lambda c: audits.list_findings(c, stored.seq))] == ["a"]


async def test_without_repair_it_only_names_what_is_wrong(
    tmp_path: Path, ledger: Ledger, clock: Clock, crm: ReadableCrm
) -> None:
    await deliver(ledger, crm, "a")
    crm.records.clear()
    clock.advance(5 * HOUR)
    with capture_logs() as logs:
        result = await build(tmp_path, ledger, crm, audit={"repair": False}).audit()
    assert (result.repaired, result.for_person, result.is_good) == (0, 1, False)
    assert [line["log_level"] for line in logs if line["event"] == "audit.finished"] == ["warning"]
    assert await ledger.read(audits.newest_nightly) is not None


async def test_calls_that_are_not_over_are_left_out(
    tmp_path: Path, ledger: Ledger, clock: Clock, crm: ReadableCrm
) -> None:
    await deliver(ledger, crm, "a")  # in progress
    clock.advance(3 * HOUR)
    worker = build(tmp_path, ledger, crm)
    result = await worker.audit()
    assert (result.calls, result.young, result.crms["crm"].calls) == (1, 1, 0)
    clock.advance(2 * HOUR)
    assert (await worker.audit()).young == 0  # its end was lost


async def test_what_cannot_be_read_is_not_proven(
    tmp_path: Path, ledger: Ledger, clock: Clock, crm: ReadableCrm
) -> None:
    await deliver(ledger, crm, "a")
    clock.advance(5 * HOUR)
    crm.answers = [Unauthorised(message="wrong key")]
    async with running_history(FakeHistory()) as cloudtalk:
        cloudtalk.faults.append("unauthorised")
        api = {
            "key_id": "id",
            "key_secret": "key",
            "base_url": f"{cloudtalk.url}/api",
            "analytics_url": f"{cloudtalk.url}/analytics",
        }
        result = await build(tmp_path, ledger, crm, cloudtalk={"api": api}).audit()
    assert result.unproven == ["cloudtalk", "crm"]
    assert result.cloudtalk is not None
    assert "401" in str(result.cloudtalk.problem)
    assert not result.is_good


async def test_calls_of_the_history_are_imported_and_those_that_it_lacks_are_listed(
    tmp_path: Path, ledger: Ledger, clock: Clock, crm: ReadableCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.advance(5 * HOUR)
    newest = datetime.fromtimestamp(clock.now / SECOND - HOUR, UTC)
    monkeypatch.setattr("relay.audit.run._FOLD_SECONDS", 0.05)  # no fold runs
    await deliver(ledger, crm, "a")
    async with running_history(FakeHistory()) as cloudtalk:
        cloudtalk.rows = [call.row() for call in past_calls(2, newest, seconds_apart=4 * HOUR, people=9)]
        api = {
            "key_id": "id",
            "key_secret": "key-of-the-api",
            "base_url": f"{cloudtalk.url}/api",
            "analytics_url": f"{cloudtalk.url}/analytics",
        }
        result = await build(tmp_path, ledger, crm, cloudtalk={"api": api}).audit()
    assert result.cloudtalk is not None
    assert (result.cloudtalk.calls, result.cloudtalk.unknown, result.only_here) == (2, 2, 1)
    stored = await ledger.read(audits.newest_nightly)
    assert stored is not None
    found = await ledger.read(lambda c: audits.list_findings(c, stored.seq))
    assert {(each.call, each.kind) for each in found} == {
        ("1000000000", "unknown"),
        ("1000000001", "unknown"),
        ("a", "only_here"),
    }


async def test_a_crm_with_everything_alerts_nobody_night_after_night(
    tmp_path: Path, ledger: Ledger, clock: Clock, crm: ReadableCrm
) -> None:
    """In a week a call is lost once, one is deleted by a person, and one is edited."""
    await deliver(ledger, crm, *"abcd", version=2)
    worker = build(tmp_path, ledger, crm, audit={"look_back_days": 30})
    assert not await worker.is_due()
    results = []
    for day in range(8):
        if day == 1:
            crm.records.pop("a"), crm.records.pop("b")
            crm.records["c"] = [Stored("r-c", 2, frozenset({"notes"}))]
        if day == 3:
            del crm.records["b"]
        for _ in range(24):
            clock.advance(HOUR)
            if await worker.is_due():
                results.append(await worker.audit())
                pending = [id_ for id_ in "abcd" if (await get_delivery(ledger, id_)).state == "pending"]
                await settle(ledger, *(delivered_update(i, version=2, remote_id=f"r-{i}") for i in pending))
                crm.records |= {id_: [Stored(f"r-{id_}", 2)] for id_ in pending}
    sides = [result.crms["crm"] for result in results]
    assert [result.is_good for result in results] == [True] * 8
    assert [side.missing for side in sides] == [0, 2, 0, 0, 0, 0, 0, 0]
    assert [side.repaired for side in sides] == [0, 2, 0, 0, 0, 0, 0, 0]
    assert [side.removed for side in sides] == [0, 0, 0, 1, 1, 1, 1, 1]


async def test_an_audit_that_fails_begins_again_later_and_not_at_once(
    tmp_path: Path, ledger: Ledger, clock: Clock, crm: ReadableCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks CloudTalk and the CRMs for all of it."""
    worker = build(tmp_path, ledger, crm)
    await worker.is_due()
    clock.advance(25 * HOUR)
    tries: list[Instant] = []

    async def fail(*_: object) -> None:
        tries.append(clock())
        raise RuntimeError("a bug")

    monkeypatch.setattr(AuditWorker, "audit", fail)
    slept: list[float] = []
    real_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if seconds >= HOUR / 60:
            slept.append(seconds)
            raise asyncio.CancelledError
        await real_sleep(seconds)

    monkeypatch.setattr("relay.ledger.lease_holder.asyncio.sleep", sleep)
    with capture_logs() as logs, pytest.raises(asyncio.CancelledError):
        await worker.run()
    assert (len(tries), slept) == (1, [600])
    assert [(line["event"], line["code"]) for line in logs if line["event"] == "audit.failed"] == [
        ("audit.failed", "fault")
    ]


@pytest.mark.usefixtures("memory")
async def test_the_first_bad_audit_is_an_increase(tmp_path: Path, ledger: Ledger, crm: ReadableCrm) -> None:
    """Prometheus sees no increase in a series that begins with 1."""
    running = asyncio.create_task(build(tmp_path, ledger, crm).run())
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert read_counter(AUDIT_RUNS) == {("good",): 0, ("bad",): 0}
