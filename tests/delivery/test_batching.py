"""Which deliveries are pushed next, and which share a batch."""

from itertools import islice

from relay.delivery.batching import choose_batch, pick_order
from relay.ledger.deliveries import Pick
from tests.support.deliveries import due_delivery


def test_one_batch_in_five_takes_the_oldest() -> None:
    assert list(islice(pick_order(), 10)) == [*[Pick.FRESH] * 4, Pick.OLDEST] * 2


def test_a_batch_is_sorted_by_call() -> None:
    batch = choose_batch([due_delivery("c"), due_delivery("a"), due_delivery("b", attempts=1)], 100)
    assert [due.call.id for due in batch] == ["a", "b", "c"]


def test_without_due_deliveries_the_batch_is_empty() -> None:
    assert choose_batch([], 100) == []


def test_after_two_failed_attempts_the_batches_become_smaller() -> None:
    def batch_size(attempts: int) -> int:
        return len(choose_batch([due_delivery(f"{n:03}", attempts=attempts) for n in range(100)], 100))

    assert [batch_size(attempts) for attempts in range(6)] == [100, 100, 25, 6, 1, 1]


def test_a_batch_holds_only_deliveries_with_as_many_failed_attempts() -> None:
    due = [
        due_delivery("failed", attempts=3),
        due_delivery("new"),
        due_delivery("failed more", attempts=7),
        due_delivery("failed as well", attempts=3),
    ]
    assert [each.call.id for each in choose_batch(due, 100)] == ["failed", "failed as well"]
    assert [each.call.id for each in choose_batch(due[1:], 100)] == ["new"]


def test_a_delivery_is_pushed_after_any_number_of_failed_attempts() -> None:
    due = due_delivery(attempts=10_000)
    assert choose_batch([due], 1) == [due]
