"""What searches of CloudTalk's history found, and since when they fail."""

from relay.instants import Instant
from relay.ledger import Ledger, history_searches
from relay.ledger.history_searches import HistorySearch, SearchFailure


async def fail(ledger: Ledger, now: int, code: str = "unavailable") -> None:
    await ledger.write(lambda c: history_searches.record_failed(c, code, "no answer", now=Instant(now)))


async def test_before_the_first_search_nothing_is_noted(ledger: Ledger) -> None:
    assert await ledger.read(history_searches.find_last) is None
    assert await ledger.read(history_searches.find_failure) is None


async def test_the_time_of_the_first_failure_stays_until_a_search_finishes(ledger: Ledger) -> None:
    await fail(ledger, 5)
    await fail(ledger, 7, "unauthorised")
    expected = SearchFailure(Instant(5), Instant(7), "unauthorised", "no answer")
    assert await ledger.read(history_searches.find_failure) == expected

    search = HistorySearch(Instant(9), Instant(1), 3, 2, 1, Instant(8))
    await ledger.write(lambda c: history_searches.record_finished(c, search))
    assert await ledger.read(history_searches.find_failure) is None
    assert await ledger.read(history_searches.find_last) == search

    await fail(ledger, 11)
    failure = await ledger.read(history_searches.find_failure)
    assert failure is not None
    assert (failure.since, await ledger.read(history_searches.find_last)) == (11, search)
