"""Which call a row of the history is, if no id says so."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from relay.history import importer
from relay.history.api import HistoryApi
from relay.instants import Instant
from relay.ledger.request_limit import SharedRequestLimit
from tests.fakes.cloudtalk_history import FakeHistory
from tests.history.conftest import open_api
from tests.history.test_backfill import DAY, backfill, count_events, found, receive, records, twins
from tests.support.folding import FoldingRelay, folding_relay
from tests.support.history_calls import PastCall, past_calls


async def test_an_event_without_times_that_arrives_after_its_row_is_no_second_call(
    relay: FoldingRelay, history_api: HistoryApi, cloudtalk: FakeHistory
) -> None:
    (call,) = past_calls(1, datetime.now(UTC) - timedelta(minutes=1), seconds_apart=1, people=1)
    cloudtalk.rows, cloudtalk.uuids = [call.row()], {call.call_id: call.call_uuid}
    since = Instant(relay.ledger.now() - DAY)
    await backfill(relay, history_api, since=since, until=None)
    event = call.ended("call_uuid")
    del event["started_at"], event["ended_at"]
    await receive(relay, event)
    assert len(await records(relay)) == 2
    imported = await backfill(relay, history_api, since=since, until=None)
    assert (imported.progress.counts.known, imported.progress.counts.asked) == (1, 1)
    (record,) = (await records(relay)).values()
    assert (record.call_id, record.call_uuid, record.tags) == (call.call_id, call.call_uuid, ["tag-0"])
    again = await backfill(relay, history_api, since=since, until=None)
    assert again.progress.counts.asked == 0


async def test_a_row_that_may_be_a_call_without_times_is_asked_for_once(
    relay: FoldingRelay,
    history_api: HistoryApi,
    cloudtalk: FakeHistory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CloudTalk does not know the call_uuid, and does not lag any more."""
    monkeypatch.setattr(importer, "_LAG", 0)
    (call,) = past_calls(1, datetime.now(UTC) - timedelta(minutes=5), seconds_apart=1, people=1)
    cloudtalk.rows = [call.row()]
    event = call.ended("call_uuid")
    del event["started_at"], event["ended_at"]
    since = Instant(relay.ledger.now() - DAY)
    await backfill(relay, history_api, since=since, until=None)
    await receive(relay, event)
    asked = [
        (await backfill(relay, history_api, since=since, until=None)).progress.counts.asked for _ in range(3)
    ]
    assert (asked, len(await records(relay))) == ([1, 0, 0], 2)


# --- calls to which webhooks give another number ---------------------------------------------------


def by_another_number(call: PastCall, number: int) -> dict[str, Any]:
    """The Ended of the mission, whose `data.id` is a number that is no call_id."""
    started_at, ended_at = (each.isoformat() for each in (call.started_at, call.ended_at))
    data = {
        "id": number,
        "direction": "inbound",
        "from": call.external,
        "to": "+34910000000",
        "contact_name": "Ana",
        "started_at": started_at,
        "ended_at": ended_at,
        "status": "completed" if call.talking else "missed",
    }
    return {"event": "call.ended" if call.talking else "call.missed", "data": data}


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_call_to_which_webhooks_give_another_number_is_one_call_with_its_row(
    relay: FoldingRelay, history_api: HistoryApi, calls: list[PastCall], is_first: bool
) -> None:
    """Seven calls on three pages, with the numbers of a customer's own program, in both orders."""
    webhooks = [by_another_number(call, 7_000 + call.number) for call in calls]
    if is_first:
        await receive(relay, *webhooks)
    imported = await backfill(relay, history_api)
    if is_first:
        assert found(imported) == (7, 7, 0, 7)
    else:
        await receive(relay, *webhooks)
        assert len(await records(relay)) == 14
        await backfill(relay, history_api)
    by_call_id = await records(relay)
    assert sorted(by_call_id) == sorted(call.call_id for call in calls)
    for call in calls:
        record = by_call_id[call.call_id]
        assert (record.talking_seconds, len(record.legs)) == (call.talking, 1)
        assert is_first is (record.id == f"cloudtalk-{7_000 + call.number}")
    events = await count_events(relay)
    again = await backfill(relay, history_api)
    assert (found(again), await count_events(relay)) == ((7, 7, 0, 0), events)


async def test_two_calls_of_one_person_at_one_time_stay_two_if_their_numbers_are_call_ids(
    relay: FoldingRelay, history_api: HistoryApi, cloudtalk: FakeHistory, calls: list[PastCall]
) -> None:
    """The webhook of the first call was lost, so only the number of the second one contradicts."""
    first, second = twins(calls[0].started_at)
    await receive(relay, by_another_number(second, int(second.call_id)))
    for rows in ([first, second], [second, first]):
        cloudtalk.rows = [call.row() for call in rows]
        await backfill(relay, history_api)
        assert sorted(await records(relay)) == sorted([first.call_id, second.call_id])


@pytest.mark.parametrize("is_call_id", [True, False])
async def test_at_the_edge_of_a_page_cloudtalk_is_asked_whether_a_number_is_a_call_id(
    relay: FoldingRelay,
    history_api: HistoryApi,
    cloudtalk: FakeHistory,
    calls: list[PastCall],
    is_call_id: bool,
) -> None:
    """The row of the other call would be the first one of the next page."""
    others = past_calls(2, calls[0].started_at, seconds_apart=300, people=1_000)
    first, second = (call._replace(number=50 + call.number) for call in twins(others[1].started_at))
    second = second._replace(started_at=first.started_at - timedelta(seconds=1))
    number = int(second.call_id) if is_call_id else 7_000
    await receive(relay, by_another_number(first if not is_call_id else second, number))
    rows = [others[0]._replace(number=60), others[1]._replace(number=61), first]
    if is_call_id:
        rows.append(second)
    cloudtalk.rows = [call.row() for call in [*rows, calls[3], calls[4]]]
    imported = await backfill(relay, history_api)
    expected = {call.call_id for call in [*rows, calls[3], calls[4]]}
    assert set(await records(relay)) == expected
    asked = [each.query["call_id"] for each in cloudtalk.asked if "call_id" in each.query]
    assert asked == [str(number)]
    assert imported.progress.counts.new == 4 + is_call_id


# --- rows on different pages that fit the same call -------------------------------------------------


@pytest.mark.parametrize("newer", range(6))
async def test_rows_that_fit_one_call_are_found_on_whichever_pages_they_are(
    relay: FoldingRelay, history_api: HistoryApi, cloudtalk: FakeHistory, calls: list[PastCall], newer: int
) -> None:
    """Two rows of one number fit the only call that is known, and other calls are between them."""
    first, second = twins(calls[0].started_at)
    other = past_calls(9, calls[0].started_at, seconds_apart=1, people=1_000)
    between = [call._replace(number=20 + call.number, external=f"+3491111111{call.number}") for call in other]
    cloudtalk.rows = [call.row() for call in [*between[: newer + 1], first, second]]
    cloudtalk.uuids = {first.call_id: first.call_uuid, second.call_id: second.call_uuid}
    await receive(relay, second.ended("call_uuid"))
    await backfill(relay, history_api)
    found = await records(relay)
    assert len(found) == newer + 3
    assert found[second.call_id].call_uuid == second.call_uuid
    assert found[first.call_id].call_uuid in {None, first.call_uuid}
    assert found[second.call_id].talking_seconds == second.talking


# --- any order --------------------------------------------------------------------------------------

MISSION: Final = "a number of the mission"
BARE: Final = "the uuid without times"
END_ONLY: Final = "the uuid and the end"
WAYS: Final = (("call_uuid",), ("call_id",), ("call_uuid", "call_id"), MISSION, BARE, END_ONLY, None)


def calls_of_people(chance: random.Random) -> list[tuple[PastCall, Any]]:
    """Calls of the last half hour, and how each was announced. Some people call twice at one time, and some
    call again at once; the numbers of the mission do not show which of two calls of one time is meant.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    made: list[tuple[PastCall, Any]] = []
    for person in range(8):
        way = chance.choice(WAYS)
        began = now - timedelta(seconds=chance.randint(900, 1_800))
        gaps = [0, chance.choice([70, 400])] if way == MISSION else [0, chance.choice([0, 3, 70, 400])]
        for gap in gaps[: chance.randint(1, 2)]:
            call = PastCall(
                len(made),
                began + timedelta(seconds=gap),
                f"+3460000000{person}",
                chance.choice([0, 5, 20]),
            )
            announced = way if way in {MISSION, BARE} else chance.choice([*WAYS[:3], END_ONLY, None])
            made.append((call, announced))
    return made


def announce(call: PastCall, way: Any) -> list[dict[str, Any]]:
    if way is None:
        return []
    if way == MISSION:
        return [by_another_number(call, 7_000 + call.number)]
    event = call.ended(*(("call_uuid",) if way in {BARE, END_ONLY} else way))
    for time in {BARE: ("started_at", "ended_at"), END_ONLY: ("started_at",)}.get(way, ()):
        del event[time]
    return [call.started(), event] if "call_uuid" in way else [event]


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("seed", range(16))
async def test_webhooks_and_imports_in_any_order_give_one_record_for_each_call(
    tmp_path: Path, cloudtalk: FakeHistory, seed: int
) -> None:
    chance = random.Random(seed)
    calls = calls_of_people(chance)
    cloudtalk.uuids = {call.call_id: call.call_uuid for call, _ in calls}
    steps: list[Any] = [event for call, way in calls for event in announce(call, way)]
    starts = dict.fromkeys((call.external, call.started_at) for call, _ in calls)
    # Calls that began in the same second are in the history at the same time.
    steps += [
        [call.row() for call, _ in calls if (call.external, call.started_at) == start] for start in starts
    ]
    steps += [None] * 3
    chance.shuffle(steps)
    cloudtalk.rows = []
    async with folding_relay(tmp_path, f"sqlite:///{tmp_path}/relay.db") as relay:
        limit = SharedRequestLimit(relay.ledger, per_minute=1_000_000)
        api = open_api(cloudtalk, limit)
        since = Instant(relay.ledger.now() - DAY)
        for step in [*steps, None]:
            if step is None:
                await backfill(relay, api, since=since, until=None)
            elif isinstance(step, list):
                cloudtalk.rows += step
            else:
                await receive(relay, step)
        await api.aclose()
        by_call_id = await records(relay)
    assert sorted(by_call_id) == [call.call_id for call, _ in calls]
    for call, _ in calls:
        assert by_call_id[call.call_id].talking_seconds == call.talking
        assert by_call_id[call.call_id].call_uuid in {None, call.call_uuid}
