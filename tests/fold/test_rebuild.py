"""Recomputing calls from the journal."""

import msgspec

from relay.fold.rebuild import RebuildResult, rebuild_calls
from tests.support.folding import FoldingRelay, parser_in
from tests.support.relay import WEBHOOK_PATH

UUID = "44fe27cd-5268-4670-993e-0129aabbccdd"


async def rebuild(relay: FoldingRelay, zone: str = "Europe/Madrid") -> RebuildResult:
    return await rebuild_calls(relay.ledger, parser_in(zone), lambda *_: None)


async def test_a_change_of_the_timezone_recomputes_every_call(relay: FoldingRelay) -> None:
    body = b'{"event":"call.ended","data":{"id":"a","started_at":"2024-11-28 10:30:00","status":"missed"}}'
    await relay.receive(body)
    await relay.receive(b'{"event":"call.started","data":{"id":"b","started_at":"2024-11-28T10:30:00Z"}}')
    before = await relay.row("cloudtalk-a")
    assert before.record.started_at == "2024-11-28T09:30:00Z"
    progress: list[tuple[int, int]] = []
    parser = parser_in("America/Bogota")
    result = await rebuild_calls(relay.ledger, parser, lambda done, total: progress.append((done, total)))
    after = await relay.row("cloudtalk-a")
    assert after.record.started_at == "2024-11-28T15:30:00Z"
    assert (after.version, after.field_versions) == (
        before.version + 1,
        dict.fromkeys(("started_at", "legs"), before.version + 1),
    )
    assert (result.calls, result.changed, result.unread) == (2, 1, 0)
    assert progress[-1] == (2, 2)
    assert (await relay.delivery("cloudtalk-a")).version == after.version


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
