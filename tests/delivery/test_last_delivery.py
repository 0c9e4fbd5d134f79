"""Which pushes write the time of the last delivery."""

from crm_clients.base import Delivered, Unknown
from relay.delivery.choose_action import Found
from relay.delivery.last_delivery import LastDelivery

DELIVERED, FAILED, FOUND = Delivered(), Unknown(code="timeout"), Found()


def test_the_first_delivery_writes_the_time_and_the_next_one_does_not() -> None:
    last = LastDelivery()
    assert [last.note_push([DELIVERED]) for _ in range(3)] == [True, False, False]


def test_the_first_delivery_after_or_beside_a_failure_writes_the_time() -> None:
    last = LastDelivery()
    last.note_push([DELIVERED])
    pushes = ([FAILED], [DELIVERED], [DELIVERED], [DELIVERED, FAILED], [DELIVERED], [DELIVERED])
    assert [last.note_push(outcomes) for outcomes in pushes] == [False, True, False, True, True, False]


def test_a_call_that_was_found_or_not_pushed_is_neither_a_delivery_nor_a_failure() -> None:
    last = LastDelivery()
    assert not last.note_push([FOUND, None])
    assert last.note_push([FOUND, None, DELIVERED])
    assert not last.note_push([FOUND, None])
    assert not last.note_push([DELIVERED])


def test_after_a_reset_the_next_delivery_writes_the_time() -> None:
    last = LastDelivery()
    last.note_push([DELIVERED])
    last.reset()
    assert last.note_push([DELIVERED])
