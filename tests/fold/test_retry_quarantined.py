"""Parsing quarantined bodies again."""

import msgspec

from relay.fold.retry_quarantined import RetriedBody, retry_body
from relay.instants import Instant
from relay.ledger import quarantine
from relay.ledger.quarantine import NewQuarantinedBody
from tests.support.folding import FoldingRelay, parser_in
from tests.support.journal import read_events, read_quarantine
from tests.support.relay import WEBHOOK_PATH

UUID = "44fe27cd-5268-4670-993e-0129aabbccdd"
RECEIVED_AT = Instant(7)


async def add(relay: FoldingRelay, raw: bytes) -> int:
    row = NewQuarantinedBody(RECEIVED_AT, "not_json", "", "", "application/json", WEBHOOK_PATH, "", raw)
    return await relay.ledger.write(lambda c: quarantine.add(c, row))


async def retry_all(relay: FoldingRelay) -> list[RetriedBody]:
    parser = parser_in()
    return await relay.ledger.write(lambda c: [retry_body(c, parser, row) for row in read_quarantine(c)])


async def test_a_body_that_can_be_parsed_now_becomes_events_as_of_its_arrival(relay: FoldingRelay) -> None:
    good = await add(
        relay, b'[{"event":"call.started","data":{"id":"a"}},{"event":"call.ended","data":{"id":"b"}}]'
    )
    bad = await add(relay, b"still no JSON")
    first, second = await retry_all(relay)
    assert first == RetriedBody(good, 2)
    assert (second.id, second.events) == (bad, 0)
    assert second.problem is not None
    assert [row.id for row in await relay.ledger.read(read_quarantine)] == [bad]
    rows = await relay.ledger.read(read_events)
    assert [row.received_at for row in rows] == [RECEIVED_AT, RECEIVED_AT + 1]
    assert msgspec.json.decode(rows[1].raw) == {"event": "call.ended", "data": {"id": "b"}}
    await relay.fold()
    assert (await relay.row("cloudtalk-a")).version == 1


async def test_a_body_with_conflicting_ids_is_not_folded_a_second_time(relay: FoldingRelay) -> None:
    for uuid in (UUID, UUID.replace("44", "55")):
        body = b'{"call_uuid":"%s","call_id":77,"talking_time":5}' % uuid.encode()
        await relay.receive(body, path=f"{WEBHOOK_PATH}/call.ended")
    (retried,) = await retry_all(relay)
    assert retried.events == 0
    assert "drop this body" in (retried.problem or "")
