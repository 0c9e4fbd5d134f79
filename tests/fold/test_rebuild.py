"""Recomputing calls from the journal."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec
import pytest

from relay.call import state_from_event
from relay.cloudtalk.request import RawRequest
from relay.fold.options import FoldOptions
from relay.fold.rebuild import RebuildResult, _Rebuild, rebuild_calls
from relay.fold.split import split_call
from relay.fold.versions import first_version
from relay.ledger import Ledger, calls, journal, recordings
from relay.ledger.connection import Connection
from relay.ledger.journal import NewEvent, StoredEvent
from relay.ledger.lease_holder import Lease
from tests.support.folding import FoldingRelay, parser_in
from tests.support.in_process import in_process_relay, settings_in
from tests.support.ledgers import open_ledger
from tests.support.relay import WEBHOOK_PATH
from tests.support.samples import make_event_row

UUID = "44fe27cd-5268-4670-993e-0129aabbccdd"


async def rebuild(relay: FoldingRelay, zone: str = "Europe/Madrid") -> RebuildResult:
    return await rebuild_calls(relay.ledger, parser_in(zone), FoldOptions(), lambda *_: None)


async def test_a_change_of_the_timezone_recomputes_every_call(relay: FoldingRelay) -> None:
    body = b'{"event":"call.ended","data":{"id":"a","started_at":"2024-11-28 10:30:00","status":"missed"}}'
    await relay.receive(body)
    await relay.receive(b'{"event":"call.started","data":{"id":"b","started_at":"2024-11-28T10:30:00Z"}}')
    before = await relay.row("cloudtalk-a")
    assert before.record.started_at == "2024-11-28T09:30:00Z"
    progress: list[tuple[int, int]] = []
    parser = parser_in("America/Bogota")
    result = await rebuild_calls(
        relay.ledger, parser, FoldOptions(), lambda done, total: progress.append((done, total))
    )
    after = await relay.row("cloudtalk-a")
    assert after.record.started_at == "2024-11-28T15:30:00Z"
    assert (after.version, after.field_versions) == (
        before.version + 1,
        dict.fromkeys(("started_at", "legs"), before.version + 1),
    )
    assert (result.calls, result.changed, result.unread) == (2, 1, 0)
    assert progress[-1] == (2, 2)
    assert (await relay.delivery("cloudtalk-a")).version == after.version


@pytest.mark.parametrize("keep", [True, False])
async def test_a_rebuild_enqueues_the_recordings_of_changed_calls_for_the_archive(
    relay: FoldingRelay, *, keep: bool
) -> None:
    data = '{"id":"a","started_at":"2024-11-28 10:30:00","recording_url":"https://my.cloudtalk.io/r/1"}'
    await relay.receive(f'{{"event":"call.ended","data":{data}}}'.encode())
    parser = parser_in("America/Bogota")
    options = FoldOptions(archives_recordings=keep)
    await rebuild_calls(relay.ledger, parser, options, lambda *_: None)
    now = relay.ledger.now()
    due = await relay.ledger.read(lambda c: recordings.list_due(c, busy=[], now=now, limit=9))
    expected = [("cloudtalk-a", "https://my.cloudtalk.io/r/1")] if keep else []
    assert [(each.call, each.source) for each in due] == expected


async def test_a_rebuild_that_changes_nothing_makes_no_version(relay: FoldingRelay) -> None:
    await relay.receive(
        b'[{"event":"call.started","data":{"id":"a"}},{"event":"call.ended","data":{"id":"a"}}]'
    )
    before = await relay.row("cloudtalk-a")
    result = await rebuild(relay)
    assert (result.calls, result.changed) == (1, 0)
    assert await relay.row("cloudtalk-a") == before


async def test_a_rebuild_leaves_links_and_merges_as_they_are(relay: FoldingRelay) -> None:
    started = b'{"call_uuid":"%s","direction":"incoming"}' % UUID.encode()
    ended = b'{"call_uuid":"%s","call_id":1002402487,"talking_time":5}' % UUID.encode()
    await relay.receive(started, path=f"{WEBHOOK_PATH}/call.started")
    await relay.receive(ended, path=f"{WEBHOOK_PATH}/call.ended")
    before = await relay.row(f"cloudtalk-{UUID}")
    await rebuild(relay)
    assert await relay.row(f"cloudtalk-{UUID}") == before
    assert before.state.aliases == ["id:1002402487", f"uuid:{UUID}"]


async def test_a_rebuild_does_not_count_redeliveries_as_events(relay: FoldingRelay) -> None:
    def modified(tags: str) -> bytes:
        envelope = {"event_id": f"evt-{tags}", "type": "call.tagged", "version": "v1"}
        return msgspec.json.encode(envelope | {"data": {"call_uuid": UUID, "tags": tags}})

    await relay.receive(modified("A"), modified("B"), modified("A"))
    assert (await relay.row(f"cloudtalk-{UUID}")).record.tags == ["B"]
    await rebuild(relay)
    assert (await relay.row(f"cloudtalk-{UUID}")).record.tags == ["B"]


async def test_a_changed_internal_call_is_enqueued_too_because_the_delivery_worker_decides(
    relay: FoldingRelay,
) -> None:
    body = (
        b'{"event":"call.ended","data":{"id":"a","direction":"internal","started_at":"2024-11-28 10:30:00"}}'
    )
    await relay.receive(body)
    await rebuild(relay, "America/Bogota")
    delivery = await relay.delivery("cloudtalk-a")
    assert (delivery.state, delivery.version) == ("pending", 2)


# --- calls with many events -------------------------------------------------------------------------


def edit(number: int) -> bytes:
    """An edit of the call `a` that sets the tags to this number."""
    return b'{"event":"call.modified","data":{"id":"a","tags":["t%d"]}}' % number


async def test_each_transaction_of_a_rebuild_has_a_limited_number_of_events(
    relay: FoldingRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.fold.rebuild._SLICE_EVENTS", 3)
    await relay.receive(*(edit(n) for n in range(10)), b'{"event":"call.started","data":{"id":"b"}}')
    sizes: list[int] = []
    get_many = journal.get_many

    def counted(connection: Connection, seqs: Sequence[int]) -> list[StoredEvent]:
        sizes.append(len(seqs))
        return get_many(connection, seqs)

    monkeypatch.setattr(journal, "get_many", counted)
    before = await relay.row("cloudtalk-a")
    result = await rebuild(relay)
    assert (result.calls, result.changed) == (2, 0)
    assert sizes == [3, 3, 3, 2]
    assert await relay.row("cloudtalk-a") == before


LATER = {
    "another edit": (edit(99), ["t99"], "in_progress"),
    "the end": (b'{"event":"call.ended","data":{"id":"a","status":"missed"}}', ["t4"], "no_answer"),
}


@pytest.mark.parametrize("later", LATER)
async def test_an_event_that_is_folded_during_a_rebuild_is_not_lost(
    relay: FoldingRelay, monkeypatch: pytest.MonkeyPatch, later: str
) -> None:
    body, tags, status = LATER[later]
    monkeypatch.setattr("relay.fold.rebuild._SLICE_EVENTS", 2)
    data = b'"id":"a","direction":"outbound","started_at":"2024-11-28 10:30:00"'
    started = b'{"event":"call.started","data":{%s}}' % data
    await relay.receive(started, *(edit(n) for n in range(5)))
    lease = Lease(relay.ledger, "fold", seconds=15)
    rebuilding = _Rebuild(relay.ledger, lease, parser_in("America/Bogota"), FoldOptions())
    await lease.preempt()
    assert await rebuilding.run_step()  # reads the calls
    assert await rebuilding.run_step()  # joins two events
    await relay.receive(body)
    await lease.preempt()
    while await rebuilding.run_step():
        pass
    record = (await relay.row("cloudtalk-a")).record
    assert (record.started_at, record.tags, record.status) == ("2024-11-28T15:30:00Z", tags, status)
    assert (rebuilding.result.calls, rebuilding.result.changed) == (1, 1)


async def test_a_call_that_is_split_during_a_rebuild_is_read_again(
    relay: FoldingRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.fold.rebuild._SLICE_EVENTS", 1)
    started = b'{"call_uuid":"%s","direction":"incoming"}' % UUID.encode()
    ended = b'{"call_uuid":"%s","call_id":77,"talking_time":5}' % UUID.encode()
    recording = b'{"call_id":77,"recording_url":"https://my.cloudtalk.io/r.mp3"}'
    for kind, body in (("started", started), ("ended", ended), ("recording", recording)):
        await relay.receive(body, path=f"{WEBHOOK_PATH}/call.{kind}")
    call = f"cloudtalk-{UUID}"
    assert (await relay.row(call)).record.recording_url is not None
    lease = Lease(relay.ledger, "fold", seconds=15)
    rebuilding = _Rebuild(relay.ledger, lease, parser_in(), FoldOptions())
    await lease.preempt()
    for _ in range(3):
        assert await rebuilding.run_step()
    assert (await split_call(relay.ledger, call, FoldOptions())).events_moved == 1
    await lease.preempt()
    while await rebuilding.run_step():
        pass
    assert (await relay.row(call)).record.recording_url is None
    assert (await relay.row("cloudtalk-77")).record.recording_url is not None


@pytest.mark.timeout(120)
async def test_every_post_is_accepted_while_a_call_with_ten_thousand_events_is_rebuilt(
    tmp_path: Path, ledger_url: str
) -> None:
    settings = settings_in(tmp_path, ledger={"url": ledger_url})
    async with (
        in_process_relay(settings) as (relay, client),
        open_ledger(ledger_url, owner="another/1/1") as other,
    ):
        await append_folded_edits(relay.ledger, 10_000)
        rebuilding = asyncio.create_task(rebuild_calls(other, parser_in(), FoldOptions(), lambda *_: None))
        statuses = []
        while not rebuilding.done():
            response = await client.post(WEBHOOK_PATH, json={"event": "call.started", "data": {"id": "b"}})
            statuses.append(response.status_code)
            await asyncio.sleep(0.01)
        assert statuses == [200] * len(statuses)
        assert len(statuses) > 10
        assert (await rebuilding).changed == 1
        row = (await relay.ledger.read(lambda c: calls.get_many(c, ["cloudtalk-a"])))["cloudtalk-a"]
        assert row.record.tags == ["t9999"]


async def append_folded_edits(ledger: Ledger, number: int) -> None:
    """Append edits of the call `a` as if they were folded; its row has the facts of the first one only."""
    rows = []
    for index in range(number):
        events = parser_in().parse(RawRequest(edit(index), "application/json", WEBHOOK_PATH))
        assert isinstance(events, list)
        rows.append(make_event_row(edit(index), at=index, parsed=events[0]))
    first = state_from_event(rows[0].parsed, seq=1, received_at=rows[0].received_at)
    for begin in range(0, number, 1_000):
        await ledger.write(partial(append_folded, rows=rows[begin : begin + 1_000]))
    await ledger.write(lambda c: calls.write(c, [first_version("cloudtalk-a", first, floor=0)], []))


def append_folded(connection: Connection, rows: Sequence[NewEvent]) -> None:
    seqs = journal.append(connection, rows)
    journal.mark_folded(connection, [(seq, "cloudtalk-a") for seq in seqs])
