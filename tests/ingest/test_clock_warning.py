"""The warning that the time of a signature is off."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from relay.ingest.clock_warning import ClockWarning
from relay.instants import Instant
from relay.ledger import Ledger, warnings
from relay.ledger.warnings import CLOCK_OFF
from relay.standards.webhooks import StaleSignature

RECEIVED_AT = Instant(1_800_000_000_000_000)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(f"sqlite:///{tmp_path / 'relay.db'}")
    await ledger.open()
    yield ledger
    await ledger.close()


async def test_an_old_message_that_is_sent_often_is_one_warning_a_minute(ledger: Ledger) -> None:
    times = [0.0]
    warning = ClockWarning(ledger, lambda: times[0])
    before = ledger.writes
    with capture_logs() as lines:
        for times[0] in (0.0, 1.0, 59.9, 60.0, 61.0):
            await warning.add(StaleSignature(1_000 + round(times[0])), RECEIVED_AT)
    assert [(line["event"], line["seconds"]) for line in lines] == [
        ("ingest.clock_off", 1_000),
        ("ingest.clock_off", 1_060),
    ]
    assert ledger.writes - before == 2


async def test_a_signature_that_is_on_time_removes_the_warning_once(ledger: Ledger) -> None:
    times = [0.0]
    warning = ClockWarning(ledger, lambda: times[0])
    await warning.add(StaleSignature(1_000), RECEIVED_AT)
    stored = await ledger.read(lambda connection: warnings.get(connection, CLOCK_OFF, since=RECEIVED_AT))
    assert stored is not None
    assert "1000 s old" in stored
    before = ledger.writes
    for _ in range(3):
        await warning.clear()
    assert ledger.writes - before == 1
    assert (
        await ledger.read(lambda connection: warnings.get(connection, CLOCK_OFF, since=RECEIVED_AT)) is None
    )
    times[0] = 60.0
    await warning.add(StaleSignature(1_000), RECEIVED_AT)
    await warning.clear()
    assert ledger.writes - before == 3
