"""A transferred call: one uuid with several call_ids, the same customer, within four hours. One record."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.call import CallEvent, Kind
from relay.fold.matching import TRANSFER_WITHIN
from relay.instants import SECOND
from tests.support.memory_ledger import MemoryLedger
from tests.support.samples import T0
from tests.support.samples import make_event_with_ids as event

UUID = "uuid:44fe27cd-5268-4670-993e-0129aabbccdd"
CUSTOMER: dict[str, Any] = {"external_number": "+34612345678", "direction": "inbound"}


def leg(number: int, *, uuid: str = UUID, dialect: str = "workflow", **changes: Any) -> CallEvent:
    """The Ended of one leg: `number` counts the legs, each a minute after the one before."""
    began = T0 + number * 60 * SECOND
    facts = {"started_at": began, "ended_at": began + 59 * SECOND, "talking": number, "agent_id": str(number)}
    return event(Kind.ENDED, uuid, f"id:{100 + number}", dialect=dialect, **CUSTOMER | facts | changes)


def folded(*events: CallEvent) -> MemoryLedger:
    ledger = MemoryLedger()
    ledger.fold_each(*events)
    ledger.end_grace()
    return ledger


@pytest.mark.parametrize("dialect", ["workflow", "flow", "signed", "mission"])
@pytest.mark.parametrize("uuid", [UUID, "other:made-up"])
def test_a_transferred_call_is_one_record_in_any_order(uuid: str, dialect: str) -> None:
    legs = [leg(number, uuid=uuid, dialect=dialect) for number in range(3)]
    for order in (legs, legs[::-1], [legs[1], legs[0], legs[2]]):
        ledger = folded(*order)
        record = ledger.only_row.record
        assert [part.talking_seconds for part in record.legs] == [0, 1, 2]
        assert (record.status, record.agent_id, record.call_id) == ("completed", "2", "100")
        assert set(ledger.owners) == {uuid, "id:100", "id:101", "id:102"}
        assert not any(changes.conflicts for changes in ledger.changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"external_number": "+34699999999"},
        {"external_number": "611"},
        {"external_number": None},
        {"started_at": T0 + TRANSFER_WITHIN + 1},
        {"started_at": T0 - TRANSFER_WITHIN - 1},
    ],
)
def test_another_customer_or_another_time_is_a_conflict(changes: dict[str, Any]) -> None:
    ledger = folded(leg(0), leg(1, **changes))
    assert len(ledger.live_rows) == 2
    (conflict,) = [conflict for plan in ledger.changes for conflict in plan.conflicts]
    assert conflict.dropped == (UUID,)


def test_without_a_stated_start_the_arrivals_are_compared() -> None:
    ledger = folded(leg(0, started_at=None), leg(1, started_at=None))
    assert len(ledger.only_row.record.legs) == 2


def test_a_record_that_began_with_the_second_call_id_is_merged() -> None:
    tagged = event(Kind.MODIFIED, "id:101", tags=["vip"])
    ledger = folded(leg(0), tagged, leg(1))
    assert (ledger.only_row.record.tags, len(ledger.only_row.record.legs)) == (["vip"], 2)


def test_a_record_with_the_second_call_id_and_another_customer_is_not_merged() -> None:
    tagged = event(Kind.MODIFIED, "id:101", tags=["vip"], external_number="+34699999999")
    ledger = folded(leg(0), tagged, leg(1))
    assert {tuple(row.record.tags) for row in ledger.live_rows} == {(), ("vip",)}


def test_two_uuids_with_one_call_id_are_no_transfer() -> None:
    assert len(folded(leg(0), leg(0, uuid="uuid:another")).live_rows) == 2


def test_events_with_the_call_id_of_any_leg_belong_to_the_call() -> None:
    url = "https://example.test/2.wav"
    ledger = folded(leg(1), leg(2), event(Kind.RECORDING, "id:102", recording_url=url))
    assert ledger.only_row.record.recording_url == url


@given(st.integers(2, 5), st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=200, deadline=None)
def test_any_number_of_legs_with_recordings_and_edits_is_one_record(
    count: int, random: Random, delivers: bool
) -> None:
    events = [event(Kind.STARTED, UUID, started_at=T0, **CUSTOMER)]
    for number in range(count):
        events.append(leg(number, dialect=random.choice(["workflow", "flow", "signed"])))
        events.append(event(Kind.RECORDING, f"id:{100 + number}", recording_url="https://example.test/1.wav"))
        events.append(event(Kind.MODIFIED, f"id:{100 + number}", tags=["vip"]))
    events += random.choices(events, k=3)
    random.shuffle(events)
    ledger = MemoryLedger()
    for received in events:
        ledger.fold_each(received)
        if delivers:
            ledger.deliver_all()
    ledger.end_grace()
    record = ledger.only_row.record
    assert [(part.agent_id, part.talking_seconds) for part in record.legs] == [
        (str(number), number) for number in range(count)
    ]
    assert (record.talking_seconds, record.status, record.tags) == (count - 1, "completed", ["vip"])
