"""The time at which the ledger has to be read for due deliveries."""

from relay.delivery.next_due import NextDue
from relay.instants import Instant


def test_the_ledger_is_read_at_the_start_and_when_something_was_enqueued() -> None:
    next_due = NextDue()
    times = [next_due.at]
    next_due.begin_read()
    next_due.note(Instant(100))
    times.append(next_due.at)
    next_due.read_now()
    times.append(next_due.at)
    assert times == [0, 100, 0]


def test_the_earliest_time_since_the_read_counts() -> None:
    next_due = NextDue()
    next_due.begin_read()
    for due_at in (Instant(300), None, Instant(200), Instant(400)):
        next_due.note(due_at)
    assert next_due.at == 200


def test_without_a_pending_delivery_no_time_is_late_enough() -> None:
    next_due = NextDue()
    next_due.begin_read()
    next_due.note(None)
    assert next_due.at > 10**18


def test_what_is_enqueued_during_the_read_asks_for_another_one() -> None:
    next_due = NextDue()
    next_due.begin_read()
    next_due.read_now()
    next_due.note(Instant(500))
    assert next_due.at == 0
