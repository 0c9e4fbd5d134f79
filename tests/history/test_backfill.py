"""An import of a range of history."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select

from relay.call import Call
from relay.history.api import HistoryApi
from relay.history.backfill import Backfill
from relay.history.counts import Counts
from relay.history.errors import ApiFailure
from relay.instants import SECOND, Instant
from relay.ledger import calls as ledger_calls
from relay.ledger import erasure, journal
from relay.ledger.connection import Connection
from relay.ledger.retention_queries import delete_old_calls
from relay.ledger.tables import calls as calls_table
from relay.ledger.tables import deliveries
from tests.fakes.cloudtalk_history import FakeHistory
from tests.support.folding import FoldingRelay, parser_in
from tests.support.history_calls import PastCall, past_calls

DAY = 86_400 * SECOND
MIDNIGHT = Instant(1_732_752_000 * SECOND)  # 2024-11-28T00:00:00Z
TOMORROW = Instant(MIDNIGHT + DAY)


async def backfill(
    relay: FoldingRelay,
    api: HistoryApi,
    *,
    since: Instant = MIDNIGHT,
    until: Instant | None = TOMORROW,
    is_dry: bool = False,
) -> Backfill:
    """Import a range, which is the 28th of November unless it is given, and fold it."""
    started = Backfill(relay.ledger, api, parser_in(), since, until, is_dry=is_dry)
    await started.start()
    await started.run(lambda: None)
    await relay.fold()
    return started


def found(imported: Backfill) -> tuple[int, int, int, int]:
    counts = imported.progress.counts
    return counts.calls, counts.known, counts.new, counts.filled


async def records(relay: FoldingRelay) -> dict[str, Call]:
    """The records by call_id."""
    listed = await relay.ledger.read(lambda c: c.execute(select(calls_table.c.id)).scalars())
    rows = await relay.ledger.read(lambda c: ledger_calls.get_many(c, list(listed)))
    return {str(row.record.call_id): row.record for row in rows.values() if row.record.merged_into is None}


async def count_events(relay: FoldingRelay) -> int:
    return await relay.ledger.read(journal.count_accepted)


async def receive(relay: FoldingRelay, *events: dict[str, Any]) -> None:
    await relay.receive(*(json.dumps(event).encode() for event in events))


async def test_all_pages_of_a_range_are_imported(
    relay: FoldingRelay, history_api: HistoryApi, cloudtalk: FakeHistory
) -> None:
    imported = await backfill(relay, history_api)
    assert imported.progress.counts == Counts(calls=7, new=7, requests=3)
    assert [page for _, _, page in cloudtalk.pages] == ["1", "2", "3"]
    by_call_id = await records(relay)
    assert sorted(by_call_id) == [str(1_000_000_000 + number) for number in range(7)]
    assert (by_call_id["1000000001"].status, by_call_id["1000000000"].status) == ("completed", "missed")


async def test_only_calls_that_began_in_the_range_are_imported_whatever_zone_cloudtalk_reads(
    relay: FoldingRelay, history_api: HistoryApi
) -> None:
    first = Instant(MIDNIGHT + 15 * 3_600 * SECOND)  # the fifth and the third call began at the edges
    imported = await backfill(relay, history_api, since=first, until=Instant(first + 1_800 * SECOND))
    assert found(imported) == (2, 0, 2, 0)
    assert sorted(await records(relay)) == ["1000000003", "1000000004"]


async def test_pages_of_older_calls_are_not_read(
    relay: FoldingRelay, history_api: HistoryApi, cloudtalk: FakeHistory, calls: list[PastCall]
) -> None:
    newest = Instant(MIDNIGHT + 16 * 3_600 * SECOND)
    older = (call._replace(started_at=call.started_at - timedelta(hours=1)) for call in calls[1:])
    cloudtalk.rows = [calls[0].row(), *(call.row() for call in older)]
    imported = await backfill(relay, history_api, since=newest)
    assert found(imported) == (1, 0, 1, 0)
    assert [page for _, _, page in cloudtalk.pages] == ["1", "2"]  # the second has older calls only


async def test_a_row_with_a_wrong_date_does_not_end_the_reading(
    relay: FoldingRelay, history_api: HistoryApi, cloudtalk: FakeHistory, calls: list[PastCall]
) -> None:
    def write_a_wrong_date(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            if row["Cdr"]["id"] == calls[1].call_id:
                row["Cdr"]["started_at"] = "1990-01-01T00:00:00Z"

    cloudtalk.change_rows = write_a_wrong_date
    assert found(await backfill(relay, history_api)) == (6, 0, 6, 0)


async def test_a_page_that_no_longer_exists_is_no_failure(
    relay: FoldingRelay, history_api: HistoryApi, cloudtalk: FakeHistory, calls: list[PastCall]
) -> None:
    def delete_the_newest_calls() -> None:
        if len(cloudtalk.pages) == 3:
            cloudtalk.rows = [call.row() for call in calls[3:]]

    cloudtalk.on_page = delete_the_newest_calls
    assert found(await backfill(relay, history_api)) == (7, 0, 7, 0)


async def test_half_a_character_in_a_row_does_not_hold_up_the_page(
    relay: FoldingRelay, history_api: HistoryApi, cloudtalk: FakeHistory
) -> None:
    cloudtalk.rows[0]["Contact"]["name"] = "Ana \ud83d"
    assert found(await backfill(relay, history_api)) == (7, 0, 7, 0)
    assert (await records(relay))["1000000000"].contact_name == "Ana ?"


async def test_a_repetition_appends_nothing(relay: FoldingRelay, history_api: HistoryApi) -> None:
    await backfill(relay, history_api)
    again = await backfill(relay, history_api)
    assert (found(again), await count_events(relay)) == ((7, 7, 0, 0), 7)


async def test_what_changed_at_cloudtalk_since_then_is_imported_even_if_it_was_so_before(
    relay: FoldingRelay, history_api: HistoryApi, cloudtalk: FakeHistory
) -> None:
    await backfill(relay, history_api)
    for number, tags in enumerate((["vip"], ["callback"], ["vip"]), 1):
        cloudtalk.rows[0]["Tags"] = [{"id": 1, "name": name} for name in tags]
        imported = await backfill(relay, history_api)
        assert found(imported) == (7, 7, 0, 1)
        assert (await records(relay))["1000000000"].tags == tags
        assert await count_events(relay) == 7 + number


async def test_a_known_call_gets_what_it_lacks_and_loses_nothing(
    relay: FoldingRelay, history_api: HistoryApi, calls: list[PastCall]
) -> None:
    await receive(relay, calls[1].ended("call_id"), calls[2].ended("call_uuid", "call_id"))
    imported = await backfill(relay, history_api)
    assert found(imported) == (7, 2, 5, 2)
    by_call_id = await records(relay)
    assert len(by_call_id) == 7
    record = by_call_id["1000000002"]
    assert (record.call_uuid, record.contact_name) == (calls[2].call_uuid, "Contact 2")


async def test_a_dry_run_counts_the_same_and_writes_nothing(
    relay: FoldingRelay, history_api: HistoryApi, calls: list[PastCall]
) -> None:
    await receive(relay, calls[1].ended("call_id"))
    counted = await backfill(relay, history_api, is_dry=True)
    assert (found(counted), await count_events(relay)) == ((7, 1, 6, 1), 1)
    imported = await backfill(relay, history_api)
    assert (found(imported), imported.is_continued) == ((7, 1, 6, 1), False)


async def test_a_page_that_failed_is_read_again_and_the_others_are_not(
    relay: FoldingRelay, history_api: HistoryApi, cloudtalk: FakeHistory
) -> None:
    def fail_at_the_third_page() -> None:
        if len(cloudtalk.pages) == 2:
            cloudtalk.faults.append("unauthorised")

    cloudtalk.on_page = fail_at_the_third_page
    with pytest.raises(ApiFailure):
        await backfill(relay, history_api)
    continued = await backfill(relay, history_api)
    assert [page for _, _, page in cloudtalk.pages] == ["1", "2", "3", "3"]
    assert (found(continued), continued.is_continued) == ((7, 0, 7, 0), True)
    assert not (await backfill(relay, history_api)).is_continued


async def test_another_range_begins_at_its_first_page(
    relay: FoldingRelay, history_api: HistoryApi, cloudtalk: FakeHistory
) -> None:
    cloudtalk.on_page = lambda: cloudtalk.faults.append("unauthorised")
    with pytest.raises(ApiFailure):
        await backfill(relay, history_api)
    cloudtalk.on_page = lambda: None
    cloudtalk.faults.clear()
    other = await backfill(relay, history_api, until=Instant(TOMORROW + DAY))
    assert (found(other), other.is_continued) == ((7, 0, 7, 0), False)


async def test_without_an_end_an_import_that_was_interrupted_continues_and_then_reads_what_is_newer(
    relay: FoldingRelay, history_api: HistoryApi, cloudtalk: FakeHistory
) -> None:
    since = Instant(relay.ledger.now() - DAY)
    today = past_calls(7, datetime.now(UTC) - timedelta(hours=1), seconds_apart=900, people=1_000)
    cloudtalk.rows = [call.row() for call in today]
    cloudtalk.on_page = lambda: cloudtalk.faults.append("unauthorised")
    with pytest.raises(ApiFailure):
        await backfill(relay, history_api, since=since, until=None)
    cloudtalk.on_page = lambda: None
    cloudtalk.faults.clear()
    (newer,) = past_calls(1, datetime.now(UTC), seconds_apart=1, people=1)
    cloudtalk.rows.append(newer._replace(number=20).row())
    continued = await backfill(relay, history_api, since=since, until=None)
    assert (found(continued), continued.is_continued) == ((8, 0, 8, 0), True)


async def test_no_call_is_lost_when_new_ones_move_the_rows_to_other_pages(
    relay: FoldingRelay, history_api: HistoryApi, cloudtalk: FakeHistory, calls: list[PastCall]
) -> None:
    late = past_calls(12, calls[0].started_at, seconds_apart=450, people=1_000)[1:12:2]

    def add_a_call() -> None:
        if len(cloudtalk.pages) in {2, 3, 4} and late:
            call = late.pop()
            cloudtalk.rows.append(call._replace(number=call.number + 20).row())

    cloudtalk.on_page = add_a_call
    imported = await backfill(relay, history_api)
    assert found(imported) == (10, 0, 10, 0)
    assert len(await records(relay)) == 10


async def test_a_call_that_retention_deleted_does_not_come_back(
    relay: FoldingRelay, history_api: HistoryApi
) -> None:
    await backfill(relay, history_api)
    now = relay.ledger.now()
    await relay.ledger.write(lambda c: c.execute(delete(deliveries)))  # a pending call is never deleted
    await relay.ledger.write(lambda c: delete_old_calls(c, before=Instant(now + DAY), now=now))
    again = await backfill(relay, history_api)
    assert (found(again), await records(relay)) == ((7, 7, 0, 0), {})


async def test_rows_without_an_id_are_counted(
    relay: FoldingRelay, history_api: HistoryApi, cloudtalk: FakeHistory
) -> None:
    del cloudtalk.rows[0]["Cdr"]["id"]
    imported = await backfill(relay, history_api)
    assert (found(imported), imported.progress.counts.unreadable) == ((6, 0, 6, 0), 1)


# --- calls that only their uuid can identify ------------------------------------------------------


def twins(newest_at: datetime) -> list[PastCall]:
    """Two calls of one number at the same time."""
    first, second = past_calls(2, newest_at, seconds_apart=4, people=1)
    return [first._replace(talking=10), second._replace(talking=20)]


async def announce_twins(relay: FoldingRelay, cloudtalk: FakeHistory, newest_at: datetime) -> list[PastCall]:
    """Let two calls be known by their uuids alone, and be the whole history."""
    calls = twins(newest_at)
    await receive(relay, *(call.ended("call_uuid") for call in calls))
    cloudtalk.rows = [call.row() for call in calls]
    return calls


async def test_the_analytics_api_identifies_a_row_that_several_calls_fit(
    relay: FoldingRelay, history_api: HistoryApi, cloudtalk: FakeHistory, calls: list[PastCall]
) -> None:
    known = await announce_twins(relay, cloudtalk, calls[0].started_at)
    cloudtalk.uuids = {call.call_id: call.call_uuid for call in known}
    counted = await backfill(relay, history_api, is_dry=True)
    assert counted.progress.counts == Counts(calls=2, ambiguous=2, requests=1)
    assert cloudtalk.looked_up == []
    imported = await backfill(relay, history_api)
    assert imported.progress.counts == Counts(calls=2, known=2, filled=2, asked=2, requests=4)
    by_call_id = await records(relay)
    found = {call_id: (record.call_uuid, record.talking_seconds) for call_id, record in by_call_id.items()}
    assert found == {call.call_id: (call.call_uuid, call.talking) for call in known}
    again = await backfill(relay, history_api)
    assert (again.progress.counts.known, again.progress.counts.asked) == (2, 0)


async def test_a_row_that_nobody_can_identify_is_a_call_of_its_own(
    relay: FoldingRelay, history_api: HistoryApi, cloudtalk: FakeHistory, calls: list[PastCall]
) -> None:
    await announce_twins(relay, cloudtalk, calls[0].started_at)
    imported = await backfill(relay, history_api)
    assert imported.progress.counts == Counts(calls=2, new=2, asked=2, requests=3)
    again = await backfill(relay, history_api)
    assert (again.progress.counts.known, again.progress.counts.asked) == (2, 0)


async def test_a_row_that_cloudtalk_cannot_identify_yet_waits_for_a_later_import(
    relay: FoldingRelay, history_api: HistoryApi, cloudtalk: FakeHistory
) -> None:
    await announce_twins(relay, cloudtalk, datetime.now(UTC) - timedelta(minutes=5))
    today = Instant(relay.ledger.now() - DAY)
    imported = await backfill(relay, history_api, since=today, until=None)
    assert imported.progress.counts == Counts(calls=2, postponed=2, asked=2, requests=3)
    assert await count_events(relay) == 2


async def test_a_number_that_was_forgotten_does_not_come_back(
    relay: FoldingRelay, history_api: HistoryApi
) -> None:
    await backfill(relay, history_api)
    forgotten = (await records(relay))["1000000003"]
    number, now = str(forgotten.external_number), relay.ledger.now()

    def forget(connection: Connection) -> None:
        erasure.forget_number(connection, number, now=now)
        fields: dict[str, frozenset[str]] = {"crm": frozenset()}
        erasure.erase_calls(connection, [forgotten.id], fields, now=now, by_number=True)

    await relay.ledger.write(forget)
    again = await backfill(relay, history_api)

    assert sorted(await records(relay)) == [f"100000000{n}" for n in (0, 1, 2, 4, 5, 6)]
    assert (again.progress.counts.new, again.progress.counts.filled) == (0, 0)
    assert await count_events(relay) == 6


async def test_a_row_that_may_be_a_call_without_a_start_is_identified_by_the_analytics_api(
    relay: FoldingRelay, history_api: HistoryApi, cloudtalk: FakeHistory
) -> None:
    (call,) = past_calls(1, datetime.now(UTC), seconds_apart=1, people=1)
    event = call.ended("call_uuid")
    del event["started_at"], event["ended_at"]
    await receive(relay, event)
    cloudtalk.rows, cloudtalk.uuids = [call.row()], {call.call_id: call.call_uuid}
    imported = await backfill(relay, history_api, since=Instant(relay.ledger.now() - DAY), until=None)
    assert (found(imported), imported.progress.counts.asked) == ((1, 1, 0, 1), 1)
    assert list(await records(relay)) == [call.call_id]
