"""A CRM that fails for everybody is left alone, and one bad call does not make it look so."""

import msgspec
import pytest

from crm_clients.base import Delivered, Outcome, Rejected, Retry, Unknown
from relay.delivery.breaker import Breaker
from relay.ledger.deliveries import DueDelivery
from relay.ledger.destinations import Pause
from tests.support.samples import call_at

DOWN = Retry(code="503", message="busy")


def marks(*attempts: int) -> list[DueDelivery]:
    return [DueDelivery(call_at(), {}, 0, tried, None, 0, None, None) for tried in attempts]


def noted(breaker: Breaker, times: int, outcome: Outcome = DOWN, attempts: int = 0) -> list[Pause | None]:
    return [breaker.note(marks(attempts), [outcome]) for _ in range(times)]


@pytest.mark.parametrize("outcome", [DOWN, Unknown(code="503", message="busy")])
def test_five_pushes_in_a_row_without_success_open_it(outcome: Outcome) -> None:
    assert noted(Breaker(), 5, outcome) == [None] * 4 + [Pause("failing", 5, "503", "busy")]


@pytest.mark.parametrize("outcome", [Delivered(), Rejected(code="22")])
def test_whatever_gets_through_closes_it(outcome: Outcome) -> None:
    breaker = Breaker()
    noted(breaker, 4)
    breaker.note(marks(0, 0), [DOWN, outcome])
    assert noted(breaker, 4) == [None] * 4


def test_a_call_that_failed_before_says_nothing_about_the_others() -> None:
    assert noted(Breaker(), 50, attempts=1) == [None] * 50


def test_twenty_calls_that_failed_before_say_something_about_the_crm() -> None:
    breaker = Breaker()
    failed = [msgspec.structs.replace(marks(1)[0], call=call_at(id=f"cloudtalk-{n}")) for n in range(20)]
    waits = [breaker.note([mark], [DOWN]) for mark in failed]
    assert [wait is not None for wait in waits] == [False] * 19 + [True]


def test_each_wait_is_longer_up_to_a_minute() -> None:
    breaker = Breaker()
    assert [breaker.open(DOWN).seconds for _ in range(6)] == [5, 10, 20, 40, 60, 60]
    breaker.close()
    assert breaker.open(DOWN).seconds == 5


def test_what_was_not_tried_does_not_count() -> None:
    breaker = Breaker()
    assert [breaker.note(marks(0), [None]) for _ in range(9)] == [None] * 9


def test_what_was_under_way_when_it_opened_does_not_lengthen_the_wait() -> None:
    breaker = Breaker()
    assert [wait and wait.seconds for wait in noted(breaker, 9)] == [None] * 4 + [5] + [None] * 4
