"""Which calls a batch reads: a number may call all day, or be typed as a constant in each body."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from relay.cloudtalk.history import history_request
from relay.cloudtalk.request import RawRequest
from relay.fold.snapshot import Snapshot, read_snapshot
from relay.instants import Instant
from relay.ledger import calls
from relay.ledger.calls import CallRow
from relay.ledger.journal import UnfoldedEvent
from tests.support.folding import FoldingRelay, parser_in
from tests.support.history import make_row, row_event
from tests.support.relay import WEBHOOK_PATH

NUMBER = "+30224000000"
START = "2024-01-10T08:42:11Z"


def webhook(event: str, **ids: object) -> bytes:
    """A call with the number and the start of the row of the history."""
    common = {"event": event, "external_number": NUMBER, "started_at": START, "direction": "inbound"}
    return msgspec.json.encode(common | ids)


async def read(relay: FoldingRelay, body: bytes, *, waited: bool = False) -> Snapshot:
    events = parser_in().parse(RawRequest(body, "application/json", WEBHOOK_PATH))
    assert isinstance(events, list)
    unfolded = UnfoldedEvent(99, Instant(2**50), events[0], waited=waited)
    return await relay.ledger.read(lambda c: read_snapshot(c, [unfolded]))


@pytest.fixture
async def busy(relay: FoldingRelay) -> FoldingRelay:
    """A call of the history, five calls that are over, and one that is open, all of one number."""
    await relay.receive(history_request(make_row("484371839")).raw, path="history/calls")
    over = [webhook("ended", call_uuid=f"over-{n}", call_id=n, talking_time=9) for n in range(1, 6)]
    await relay.receive(*over, webhook("ringing", call_uuid="open", started_at=None))
    return relay


async def test_a_webhook_with_a_uuid_reads_the_calls_of_the_history(busy: FoldingRelay) -> None:
    snapshot = await read(busy, webhook("started", call_uuid="new"))
    assert snapshot.calls.keys() == {"cloudtalk-484371839"}


async def test_an_ended_with_a_call_id_alone_reads_the_open_calls(busy: FoldingRelay) -> None:
    snapshot = await read(busy, webhook("ended", call_id=77))
    assert snapshot.calls.keys() == {"cloudtalk-open"}


async def test_after_its_wait_it_reads_the_calls_around_its_start(busy: FoldingRelay) -> None:
    snapshot = await read(busy, webhook("ended", call_id=77), waited=True)
    assert snapshot.calls.keys() == {"cloudtalk-484371839", *(f"cloudtalk-over-{n}" for n in range(1, 6))}
    without_start = await read(busy, webhook("ended", call_id=77, started_at=None), waited=True)
    assert without_start.calls == {}


@pytest.mark.parametrize("time", ["started_at", "ended_at"])
async def test_events_of_a_batch_that_state_number_and_time_together_read_the_calls_of_the_history(
    busy: FoldingRelay, time: str
) -> None:
    """Each by itself, and each of them twice, would read nothing."""
    timed = webhook("ended", call_uuid="new", external_number=None, started_at=None)
    timed = msgspec.json.encode(msgspec.json.decode(timed) | {time: START})
    numbered = webhook("ringing", call_uuid="new", started_at=None)
    for bodies in ([timed, numbered], [timed, timed, numbered, numbered]):
        parsed = [parser_in().parse(RawRequest(body, "application/json", WEBHOOK_PATH)) for body in bodies]
        batch = [
            UnfoldedEvent(99 + number, Instant(2**50), event, waited=False)
            for number, events in enumerate(parsed)
            if isinstance(events, list)
            for event in events
        ]
        snapshot = await busy.ledger.read(lambda c, batch=batch: read_snapshot(c, batch))  # type: ignore[misc]
        assert snapshot.calls.keys() == {"cloudtalk-484371839"}
    assert (await read(busy, numbered)).calls == {}
    await busy.receive(timed)
    assert (await read(busy, numbered)).calls.keys() == {"cloudtalk-484371839", "cloudtalk-new"}


async def test_events_without_a_number_and_without_a_time_read_nothing(busy: FoldingRelay) -> None:
    body = webhook("answered", call_uuid="new", external_number=None, started_at=None)
    assert (await read(busy, body)).calls == {}


async def test_a_call_is_read_once_however_many_events_of_its_number_a_batch_has(
    busy: FoldingRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    decode = calls._call_row

    def counted(row: Sequence[Any]) -> CallRow:
        decoded.append(row[0])
        return decode(row)

    monkeypatch.setattr(calls, "_call_row", counted)
    rows = [row_event(n, started_at=f"2024-01-10T09:{n:02}:11+01:00") for n in range(10, 50)]
    far = row_event(60, started_at="2024-01-12T09:42:11+01:00")
    batch = [UnfoldedEvent(n, Instant(2**50), row, waited=False) for n, row in enumerate([*rows, far])]
    snapshot = await busy.ledger.read(lambda c: read_snapshot(c, batch))
    assert "cloudtalk-484371839" in snapshot.calls
    assert sorted(decoded) == sorted(snapshot.calls)
