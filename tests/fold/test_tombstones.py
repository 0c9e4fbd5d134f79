"""Events of calls that retention deleted: a late event continues its call."""

from typing import Final

import pytest

from relay.instants import Instant
from relay.ledger import calls, deliveries, retention_queries
from tests.support.deliveries import delivered_update
from tests.support.folding import FoldingRelay
from tests.support.relay import WEBHOOK_PATH

UUID: Final = "44fe27cd-5268-4670-993e-0129aabbccdd"
OTHER_UUID: Final = "0b6e3f0e-7b7c-4b0b-9f0e-5d0c6a4f1e11"
CALL: Final = f"cloudtalk-{UUID}"


async def receive_and_delete_call(relay: FoldingRelay) -> int:
    """Receive a call with both ids, deliver it, let retention delete it, and return its last version."""
    await relay.receive(b'{"call_uuid":"%s","direction":"incoming"}' % UUID.encode(), path=path_of("started"))
    body = b'{"call_uuid":"%s","call_id":77,"talking_time":5}' % UUID.encode()
    await relay.receive(body, path=path_of("ended"))
    last = (await relay.row(CALL)).version
    await deliver_and_delete(relay, last)
    return last


async def deliver_and_delete(relay: FoldingRelay, version: int, *, ids: tuple[str, ...] = (CALL,)) -> None:
    settled = [delivered_update(id_, version=version) for id_ in ids]
    await relay.ledger.write(lambda c: deliveries.settle(c, "crm", settled, now=Instant(1)))
    await relay.ledger.write(
        lambda c: retention_queries.delete_old_calls(c, before=Instant(2**62), now=Instant(7))
    )
    assert await relay.ledger.read(calls.count) == 0


def path_of(event: str) -> str:
    return f"{WEBHOOK_PATH}/call.{event}"


@pytest.mark.parametrize(
    ("event", "body"),
    [
        ("modified", b'{"call_uuid":"%s","tags":["late"]}' % UUID.encode()),
        ("modified", b'{"call_id":77,"note":"late"}'),
        ("recording", b'{"call_id":77,"recording_url":"https://x.test/77"}'),
        ("ended", b'{"call_uuid":"%s","call_id":77,"wrapup_time":9}' % UUID.encode()),
    ],
)
async def test_a_late_event_continues_a_deleted_call(relay: FoldingRelay, event: str, body: bytes) -> None:
    last = await receive_and_delete_call(relay)
    await relay.receive(body, path=path_of(event))
    row = await relay.row(CALL)
    assert row.version == last + 1
    assert row.state.aliases == ["id:77", f"uuid:{UUID}"]
    assert await relay.ledger.read(lambda c: calls.list_pruned_ids(c, [CALL])) == {CALL}
    (due,) = await relay.ledger.read(
        lambda c: deliveries.take_due(c, "crm", deliveries.Pick.FRESH, busy=(), now=Instant(2**62), limit=9)
    )
    assert due.delivered_version == 0


async def test_a_call_that_is_deleted_again_continues_from_its_newest_version(relay: FoldingRelay) -> None:
    last = await receive_and_delete_call(relay)
    for number in (1, 2):
        await relay.receive(b'{"call_id":77,"note":"%d"}' % number, path=path_of("modified"))
        await deliver_and_delete(relay, last + number)
    await relay.receive(b'{"call_id":77,"note":"3"}', path=path_of("modified"))
    assert (await relay.row(CALL)).version == last + 3


async def test_a_new_call_with_the_call_id_of_a_deleted_one_does_not_continue_it(relay: FoldingRelay) -> None:
    """A call_id typed into a workflow is the same in each call."""
    await receive_and_delete_call(relay)
    body = b'{"call_uuid":"%s","call_id":77,"from":"+34600111222"}' % OTHER_UUID.encode()
    await relay.receive(body, path=path_of("started"))
    assert (await relay.row(f"cloudtalk-{OTHER_UUID}")).version == 1
    assert await relay.ledger.read(lambda c: calls.get_many(c, [CALL])) == {}


async def test_a_deleted_call_that_proves_the_same_as_a_new_one_stays_the_record_of_both(
    relay: FoldingRelay,
) -> None:
    """The CRMs have had the deleted call for long, so its record keeps its id, and its ids find the call."""
    await relay.receive(b'{"call_uuid":"%s","direction":"incoming"}' % UUID.encode(), path=path_of("started"))
    await deliver_and_delete(relay, (await relay.row(CALL)).version)
    await relay.receive(b'{"call_id":77,"direction":"incoming"}', path=path_of("started"))
    both = b'{"call_uuid":"%s","call_id":77,"note":"both"}' % UUID.encode()
    await relay.receive(both, path=path_of("modified"))
    assert (await relay.row("cloudtalk-77")).record.merged_into == CALL
    await relay.receive(b'{"call_uuid":"%s","note":"late"}' % UUID.encode(), path=path_of("modified"))
    await relay.receive(b'{"call_id":77,"tags":["late"]}', path=path_of("modified"))
    row = await relay.row(CALL)
    assert (row.record.call_id, row.record.notes, row.record.tags) == ("77", "late", ["late"])
    assert await relay.ledger.read(calls.count) == 1


async def test_two_deleted_calls_that_prove_the_same_are_continued_as_one(relay: FoldingRelay) -> None:
    await relay.receive(b'{"call_uuid":"%s","direction":"incoming"}' % UUID.encode(), path=path_of("started"))
    await relay.receive(b'{"call_id":77,"direction":"incoming"}', path=path_of("started"))
    await deliver_and_delete(relay, 1, ids=(CALL, "cloudtalk-77"))
    both = b'{"call_uuid":"%s","call_id":77,"note":"both"}' % UUID.encode()
    for body in (
        both,
        b'{"call_uuid":"%s","note":"one"}' % UUID.encode(),
        b'{"call_id":77,"tags":["other"]}',
    ):
        await relay.receive(body, path=path_of("modified"))
    assert await relay.ledger.read(calls.count) == 1
