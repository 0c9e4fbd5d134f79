"""Which marks travel together, and whose turn it is."""

from itertools import islice

import msgspec

from relay.delivery.batching import choose_batch, pick_order
from relay.ledger.deliveries import DueDelivery, Pick
from tests.support.samples import call_at


def mark(name: str, attempts: int = 0) -> DueDelivery:
    return DueDelivery(call_at(id=name), {}, 0, attempts, None, 0, None, None)


def test_one_slot_in_five_goes_to_the_oldest() -> None:
    fresh, oldest = Pick.FRESH, Pick.OLDEST
    assert list(islice(pick_order(), 10)) == [fresh, fresh, fresh, fresh, oldest] * 2


def test_a_batch_is_sorted_by_call() -> None:
    found = choose_batch([mark("c"), mark("a"), mark("b", attempts=1)], 100)
    assert [m.call.id for m in found] == ["a", "b", "c"]


def test_nothing_due_is_nothing_to_bring() -> None:
    assert choose_batch([], 100) == []


def test_after_two_failed_attempts_a_mark_travels_in_ever_smaller_batches() -> None:
    sizes = [len(choose_batch([mark(f"{n:03}", attempts) for n in range(100)], 100)) for attempts in range(6)]
    assert sizes == [100, 100, 25, 6, 1, 1]


def test_a_suspect_travels_with_its_like_and_not_with_the_fresh() -> None:
    due = [mark("bad", 3), mark("new"), mark("worse", 7), mark("as bad", 3)]
    assert [m.call.id for m in choose_batch(due, 100)] == ["as bad", "bad"]
    assert [m.call.id for m in choose_batch(due[1:], 100)] == ["new"]


def test_however_often_it_failed_it_travels() -> None:
    assert choose_batch([mark("a", 10_000)], 1) == [msgspec.structs.replace(mark("a"), attempts=10_000)]
