"""The size of the fold's next batch after successes and failures."""

from relay.fold.batch_size import BatchSize
from relay.ledger import LedgerUnavailable
from relay.ledger.errors import LedgerTimeout

UNAVAILABLE = LedgerUnavailable("no memory")
TIMEOUT = LedgerTimeout("it takes too long")


def test_a_failure_halves_the_next_batch_and_a_success_doubles_it() -> None:
    size = BatchSize()
    sizes = [(size.events, size.bytes)]
    for _ in range(2):
        assert not size.note_failure(UNAVAILABLE)
        sizes.append((size.events, size.bytes))
    for _ in range(3):
        size.note_success(100)
        sizes.append((size.events, size.bytes))
    whole, half, quarter = (200, 4_194_304), (100, 2_097_152), (50, 1_048_576)
    assert sizes == [whole, half, quarter, half, whole, whole]


def test_a_batch_has_at_least_one_event() -> None:
    size = BatchSize()
    assert not any(size.note_failure(UNAVAILABLE) for _ in range(20))
    assert size.events == 1


def test_each_third_timeout_of_an_event_alone_is_too_often() -> None:
    size = BatchSize()
    for _ in range(8):  # to one event, and then to fewer bytes than that
        assert not size.note_failure(UNAVAILABLE)
    timeouts = [size.note_failure(TIMEOUT) for _ in range(5)]
    assert timeouts == [False, False, True, False, False]
    assert not size.note_failure(UNAVAILABLE)
    assert size.note_failure(TIMEOUT)


def test_a_success_forgets_the_timeouts() -> None:
    size = BatchSize()
    for error in (*[UNAVAILABLE] * 8, TIMEOUT, TIMEOUT):
        assert not size.note_failure(error)
    size.note_success(1)
    assert not size.note_failure(UNAVAILABLE)
    assert [size.note_failure(TIMEOUT) for _ in range(3)] == [False, False, True]


def test_few_events_are_expected_after_few_and_never_after_a_failure() -> None:
    size = BatchSize()
    expected = [size.expects_few]
    for events in (16, 15):
        size.note_success(events)
        expected.append(size.expects_few)
    size.note_failure(UNAVAILABLE)
    expected.append(size.expects_few)
    size.note_success(15)
    expected.append(size.expects_few)
    assert expected == [True, False, True, False, True]
