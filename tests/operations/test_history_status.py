"""Whether CloudTalk's history is read, and what was found."""

import msgspec
import pytest

from relay.history.counts import Counts
from relay.history.reading import Progress
from relay.history.windows import Range, divide
from relay.instants import SECOND, Duration, Instant, iso
from relay.ledger import Ledger, history_cursors, history_searches
from relay.ledger.history_cursors import HistoryCursor
from relay.ledger.history_searches import HistorySearch
from relay.operations.explanation import Situation, situation_of
from relay.operations.history_status import (
    BackfillStatus,
    FailingSearch,
    HistoryStatus,
    LastSearch,
    get_history,
)
from relay.settings import Settings

NOW = Instant(1_800_000_000 * SECOND)
PERIOD = Duration(900 * SECOND)
MONTH = 31 * 86_400 * SECOND


async def history(ledger: Ledger, *, period: Duration | None = PERIOD) -> HistoryStatus:
    situation = Situation({}, NOW, reconcile_period=period)
    return await ledger.read(lambda c: get_history(c, situation))


async def test_the_last_search_and_the_next_one_are_shown(ledger: Ledger) -> None:
    assert await history(ledger) == HistoryStatus(True, None, None, None, [])
    began_at = Instant(NOW - 60 * SECOND)
    search = HistorySearch(Instant(NOW - 5 * SECOND), Instant(NOW - PERIOD), 9, 2, 1, began_at)
    await ledger.write(lambda c: history_searches.record_finished(c, search))
    found = await history(ledger)
    assert found.last == LastSearch(iso(search.at), iso(search.since), 9, 2, 1)
    assert found.next_at == iso(began_at + PERIOD)


@pytest.mark.parametrize("period", [PERIOD, None])
async def test_a_failure_is_shown_while_the_reconciler_is_on(ledger: Ledger, period: Duration | None) -> None:
    await ledger.write(lambda c: history_searches.record_failed(c, "unauthorised", "401", now=NOW))
    expected = FailingSearch(iso(NOW), "unauthorised", "401") if period else None
    assert (await history(ledger, period=period)).failing == expected


@pytest.mark.parametrize(("age", "is_running"), [(179, True), (181, False)])
async def test_an_import_that_is_not_finished_is_shown_with_its_progress(
    ledger: Ledger, age: int, is_running: bool
) -> None:
    wanted = Range(Instant(NOW - 3 * MONTH), NOW)
    progress = Progress(divide(wanted), Counts(calls=30, new=20, filled=4, requests=2))
    left = progress.position.pages_left
    encoded = msgspec.json.encode(progress).decode()
    cursor = HistoryCursor(wanted.since, wanted.until, True, encoded)
    await ledger.write(lambda c: history_cursors.save(c, cursor, now=Instant(NOW - age * SECOND)))
    since, until = iso(wanted.since), iso(wanted.until)
    assert left > 1
    assert (await history(ledger)).backfills == [BackfillStatus(since, until, is_running, 30, 20, 4, 2, left)]


@pytest.mark.parametrize(
    ("every_minutes", "key_id", "expected"), [(15, "id", PERIOD), (0, "id", None), (15, "", None)]
)
def test_the_reconciler_is_on_with_a_period_and_an_api_key(
    every_minutes: int, key_id: str, expected: Duration | None
) -> None:
    settings = Settings.model_validate(
        {
            "reconcile": {"every_minutes": every_minutes},
            "cloudtalk": {"api": {"key_id": key_id, "key_secret": "x" if key_id else None}},
        }
    )
    assert situation_of(settings, NOW).reconcile_period == expected
