"""The gauges of the ledger."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from relay import __version__
from relay.instants import SECOND, Instant
from relay.ledger import HEAD, Ledger, LedgerUnavailable
from relay.ledger.backlog import Backlog, DestinationBacklog
from relay.ledger.deliveries import DeliveryCounts
from relay.ledger.destinations import DestinationRow
from relay.metrics.gauges import LedgerReader, list_gauges
from tests.support.ledgers import open_ledger

NOW = Instant(1_790_000_000 * SECOND)


def destination(name: str, reason: str | None = None) -> DestinationRow:
    return DestinationRow(name, "local", None, reason, None, None, None, None)


def values(backlog: Backlog, now: Instant = NOW) -> dict[tuple[str, ...], float]:
    return {(gauge.definition.name, *gauge.labels): gauge.value for gauge in list_gauges(backlog, now)}


def backlog(*destinations: DestinationBacklog, last_event_at: Instant | None = None) -> Backlog:
    return Backlog(
        list(destinations),
        unfolded=3,
        set_aside=2,
        quarantined=1,
        last_event_at=last_event_at,
        recordings_pending=5,
        enrichments_pending=6,
        paused_apis=frozenset({"ai"}),
        oldest_recording_since=Instant(NOW - 4 * SECOND),
    )


def test_a_backlog_becomes_gauges() -> None:
    since = Instant(NOW - 90 * SECOND - SECOND // 2)
    found = values(
        backlog(
            DestinationBacklog(destination("crm"), DeliveryCounts(7, 0, 4, since)),
            DestinationBacklog(destination("far", "throttled"), DeliveryCounts()),
            last_event_at=Instant(NOW - SECOND),
        )
    )
    assert {key: value for key, value in found.items() if key[0] != "relay_destination_paused"} == {
        ("relay_events_unfolded",): 3,
        ("relay_events_set_aside",): 2,
        ("relay_quarantined_bodies",): 1,
        ("relay_recordings_pending",): 5,
        ("relay_oldest_pending_recording_seconds",): 4,
        ("relay_enrichments_pending",): 6,
        ("relay_enrichment_paused", "analytics"): 0,
        ("relay_enrichment_paused", "ai"): 1,
        ("relay_deliveries_pending", "crm"): 7,
        ("relay_oldest_pending_seconds", "crm"): 90.5,
        ("relay_deliveries_dead", "crm"): 4,
        ("relay_deliveries_pending", "far"): 0,
        ("relay_oldest_pending_seconds", "far"): 0,
        ("relay_deliveries_dead", "far"): 0,
        ("relay_last_event_timestamp_seconds",): 1_789_999_999,
    }
    reasons = ("throttled", "unauthorised", "misconfigured", "failing", "paused")
    assert [found["relay_destination_paused", "crm", reason] for reason in reasons] == [0, 0, 0, 0, 0]
    assert [found["relay_destination_paused", "far", reason] for reason in reasons] == [1, 0, 0, 0, 0]


def test_a_clock_that_was_set_back_gives_no_negative_age() -> None:
    found = values(
        backlog(DestinationBacklog(destination("crm"), DeliveryCounts(1, 0, 0, Instant(NOW + SECOND))))
    )
    assert found["relay_oldest_pending_seconds", "crm"] == 0


def test_without_events_there_is_no_last_one() -> None:
    assert ("relay_last_event_timestamp_seconds",) not in values(backlog())


async def test_scrapes_within_a_second_share_one_read_of_the_ledger(tmp_path: Path) -> None:
    async with open_ledger(f"sqlite:///{tmp_path / 'relay.db'}") as ledger:
        reads = 0
        read = ledger.read

        async def count(work: Any) -> Any:
            nonlocal reads
            reads += 1
            return await read(work)

        ledger.read = count  # type: ignore[method-assign]
        reader = LedgerReader(ledger, lambda: 1_234)
        both = await asyncio.gather(reader.read(), reader.read())
        await reader.read()
    assert reads == 1
    found = {gauge.definition.name: gauge for gauge in both[0]}
    assert found["relay_ledger_up"].value == 1
    assert found["relay_ledger_bytes"].value > 4096
    assert found["relay_ledger_disk_free_bytes"].value > 0
    assert found["relay_recordings_cache_bytes"].value == 1_234
    assert found["relay_build_info"].labels[:2] == (__version__, HEAD)


@pytest.mark.parametrize("fault", ["error", "silence"])
async def test_a_ledger_that_does_not_answer_is_down_and_has_no_other_gauges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'gone' / 'relay.db'}")

    async def fail(_: Any) -> None:
        if fault == "silence":
            await asyncio.sleep(60)
        raise LedgerUnavailable("the disk is gone")

    monkeypatch.setattr(ledger, "read", fail)
    reader = LedgerReader(ledger, timeout_seconds=0.05)
    with capture_logs() as lines:
        found = {gauge.definition.name: gauge.value for gauge in await reader.read()}
    assert found == {"relay_ledger_up": 0, "relay_build_info": 1}
    expected = "the disk is gone" if fault == "error" else "no answer"
    assert [(line["event"], line["error"]) for line in lines] == [("metrics.ledger_unavailable", expected)]
    await ledger.close()
