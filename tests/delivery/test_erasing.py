"""The delivery worker erases forgotten calls in the CRM, after what is under way."""

import asyncio
from typing import Final

from relay.call import Kind
from relay.instants import Instant
from relay.ledger import attempts, deliveries, destinations, erasure
from relay.ledger.lease_holder import Lease
from relay.ledger.states import DeliveryState
from tests.support.delivering import Delivering, wait_until
from tests.support.patience import PATIENCE

CALL: Final = "cloudtalk-1"


async def forget(relay: Delivering, *ids: str) -> None:
    fields: dict[str, frozenset[str]] = {"crm": frozenset()}
    await relay.ledger.write(
        lambda c: erasure.erase_calls(c, ids, fields, now=relay.ledger.now(), by_number=True)
    )


async def rows(relay: Delivering, id_: str = CALL) -> int:
    """How many rows about the delivery of a call the ledger has."""
    return await relay.ledger.read(
        lambda c: len(deliveries.list_for_call(c, id_)) + len(attempts.list_for_calls(c, [id_]))
    )


async def wait_until_erased(relay: Delivering, id_: str = CALL) -> None:
    await wait_until(lambda: bool(relay.crm.forgotten))
    async with asyncio.timeout(PATIENCE):
        while await rows(relay, id_):
            await asyncio.sleep(0.01)


async def test_a_push_under_way_is_followed_by_the_erasure(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED, contact_name="Ana")
    relay.crm.may_answer.clear()
    async with relay.worker() as worker:
        await relay.wait_for_push()
        await forget(relay, CALL)
        worker.wake()
        await worker.finish_round()
        assert relay.crm.forgotten == []

        relay.crm.may_answer.set()
        await wait_until_erased(relay)

    ((erased,),) = relay.crm.forgotten
    assert (erased.call.id, erased.remote_id, erased.call.contact_name) == (CALL, f"remote-{CALL}", None)
    assert len(relay.crm.pushed) == 1


async def test_a_delivered_call_is_erased_and_leaves_no_row(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED)
    async with relay.worker() as worker:
        await relay.wait_for("delivered")
        await forget(relay, CALL)
        worker.wake()
        await wait_until_erased(relay)


async def test_a_pause_holds_an_erasure(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED)
    await forget(relay, CALL)
    await relay.ledger.write(lambda c: destinations.pause(c, "crm", now=Instant(1)))
    async with relay.worker() as worker:
        await worker.finish_round()
        await worker.finish_round()
    assert relay.crm.forgotten == []
    assert (await relay.delivery()).state is DeliveryState.PENDING


async def test_a_worker_for_erasures_leaves_other_deliveries_alone(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED, "1")
    await relay.add_event(Kind.STARTED, "2")
    await forget(relay, CALL)
    async with relay.worker(erasures_only=True):
        await wait_until_erased(relay)
    assert relay.crm.pushed == []
    assert (await relay.delivery("cloudtalk-2")).state is DeliveryState.PENDING


async def test_a_push_of_a_worker_that_lost_its_lease_is_erased_once_more(relay: Delivering) -> None:
    await relay.add_event(Kind.STARTED, contact_name="Ana")
    relay.crm.may_answer.clear()
    async with relay.worker() as worker:
        await relay.wait_for_push()
        await forget(relay, CALL)
        other = Lease(relay.ledger, "delivery:crm", seconds=60)
        await other.preempt()
        await relay.ledger.write(lambda c: deliveries.finish_erasures(c, "crm", [CALL]))
        await other.release()
        relay.crm.may_answer.set()
        worker.wake()
        await wait_until_erased(relay)
    ((erased,),) = relay.crm.forgotten
    assert (erased.call.id, erased.call.contact_name) == (CALL, None)
