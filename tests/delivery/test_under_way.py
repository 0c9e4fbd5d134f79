"""The pushes of a delivery worker that are under way."""

import asyncio

import pytest

from relay.delivery.under_way import PushesUnderWay
from relay.ledger import LeaseLost, LedgerUnavailable
from tests.support.deliveries import due_delivery


async def test_a_push_does_not_count_its_own_calls_as_busy() -> None:
    ends, found = asyncio.Event(), dict[str, set[str]]()
    pushes = PushesUnderWay("push", lambda: None)

    async def push(name: str) -> None:
        await ends.wait()
        found[name] = pushes.find_busy()

    pushes.start(push("first"), [due_delivery("a"), due_delivery("b")])
    pushes.start(push("second"), [due_delivery("c")])
    assert pushes.find_busy() == {"a", "b", "c"}
    ends.set()
    await pushes.wait(60)
    assert found == {"first": {"c"}, "second": set()}  # the first one is over when the second one looks
    assert pushes.find_busy() == set()


async def test_the_end_of_each_push_is_announced_and_collected() -> None:
    ended = list[str]()
    pushes = PushesUnderWay("push", lambda: ended.append("one"))
    for name in "ab":
        pushes.start(asyncio.sleep(0), [due_delivery(name)])
    assert len(pushes) == 2
    await pushes.wait(60)
    await asyncio.sleep(0)
    assert ended == ["one", "one"]
    pushes.collect()
    assert len(pushes) == 0


async def test_the_error_of_a_push_is_raised_once() -> None:
    pushes = PushesUnderWay("push", lambda: None)

    async def fail(error: Exception) -> None:
        raise error

    pushes.start(fail(LeaseLost("lost")), [due_delivery("a")])
    pushes.start(fail(LedgerUnavailable("gone")), [due_delivery("b")])
    await pushes.wait(60)
    with pytest.raises(LeaseLost):
        pushes.collect()
    pushes.collect()


async def test_cancelled_pushes_return_their_batches() -> None:
    pushes = PushesUnderWay("push", lambda: None)
    batches = [[due_delivery("a")], [due_delivery("b"), due_delivery("c")]]
    for batch in batches:
        pushes.start(asyncio.Event().wait(), batch)
    await pushes.wait(0)
    assert await pushes.cancel() == batches
    assert len(pushes) == 0
    assert await pushes.cancel() == []
