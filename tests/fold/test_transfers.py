"""A transferred call: one uuid with several call_ids, no other customer, within four hours. One record."""

from collections.abc import Callable
from itertools import permutations
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.call import CallEvent, Kind
from relay.cloudtalk.request import RawRequest
from relay.fold.matching import TRANSFER_WITHIN
from relay.instants import SECOND
from tests.support.folding import parser_in
from tests.support.memory_ledger import MemoryLedger
from tests.support.samples import T0
from tests.support.samples import make_event_with_ids as event

UUID = "uuid:44fe27cd-5268-4670-993e-0129aabbccdd"
CUSTOMER: dict[str, Any] = {"external_number": "+34612345678", "direction": "inbound"}


def leg(number: int, *, uuid: str = UUID, dialect: str = "workflow", **changes: Any) -> CallEvent:
    """The Ended of one leg: `number` counts the legs, each a minute after the one before."""
    began = T0 + number * 60 * SECOND
    facts = {"started_at": began, "ended_at": began + 59 * SECOND, "talking": number, "agent_id": str(number)}
    stated = {fact: value for fact, value in (CUSTOMER | facts | changes).items() if value is not None}
    return event(Kind.ENDED, uuid, f"id:{100 + number}", dialect=dialect, **stated)


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
        {"started_at": T0 + TRANSFER_WITHIN + 1},
        {"started_at": T0 - TRANSFER_WITHIN - 1},
    ],
)
def test_another_customer_or_another_time_is_a_conflict(changes: dict[str, Any]) -> None:
    ledger = folded(leg(0), leg(1, **changes))
    assert len(ledger.live_rows) == 2
    (conflict,) = [conflict for plan in ledger.changes for conflict in plan.conflicts]
    assert conflict.dropped == (UUID,)


WITHHELD: dict[str, Any] = {"external_number": None}


@pytest.mark.parametrize("dialect", ["workflow", "flow", "signed", "mission"])
@pytest.mark.parametrize("withheld", [{0}, {1}, {2}, {0, 1}, {1, 2}, {0, 1, 2}])
def test_a_leg_without_a_number_is_a_leg_of_the_call_with_its_uuid(withheld: set[int], dialect: str) -> None:
    legs = [leg(n, dialect=dialect, **(WITHHELD if n in withheld else {})) for n in range(3)]
    for order in permutations(legs):
        ledger = folded(*order, order[0])
        record = ledger.only_row.record
        assert [part.talking_seconds for part in record.legs] == [0, 1, 2]
        assert (record.status, record.follow_up, record.agent_id) == ("completed", False, "2")
        assert not any(changes.conflicts for changes in ledger.changes)


@pytest.mark.parametrize(
    "uuid", ["019336d0-8d2c-7b1a-9f0e-6f1d2c3b4a59", "6fa459ea-ee8a-1ca4-894e-db77e160355e"]
)
def test_a_uuid_of_any_version_links_legs_without_a_number(uuid: str) -> None:
    legs = [leg(number, uuid=f"uuid:{uuid}", **WITHHELD) for number in range(2)]
    assert len(folded(*legs).only_row.record.legs) == 2


@pytest.mark.parametrize("number", ["611", "ventas@example.test"])
def test_legs_with_a_number_that_identifies_no_customer_are_linked_by_their_uuid(number: str) -> None:
    legs = [leg(n, external_number=number) for n in range(2)]
    assert len(folded(*legs).only_row.record.legs) == 2


@pytest.mark.parametrize(
    "typed",
    [
        "other:made-up",
        "uuid:00000000-0000-0000-0000-000000000000",
        "uuid:ffffffff-ffff-ffff-ffff-ffffffffffff",
        "uuid:11111111-1111-1111-1111-111111111111",
        "uuid:12345678-1234-1234-1234-123456789012",
        "uuid:11111111-2222-3333-4444-555555555555",
    ],
)
def test_a_typed_constant_does_not_merge_calls_without_a_number(typed: str) -> None:
    ledger = folded(*(leg(number, uuid=typed, **WITHHELD) for number in range(100)))
    assert len(ledger.live_rows) == 100


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"started_at": T0 + TRANSFER_WITHIN + 1}),
        ({}, {"started_at": T0 - TRANSFER_WITHIN - 1}),
        ({}, {"direction": "outbound"}),
        ({"internal_number": "+34910000001"}, {"internal_number": "+34910000002"}),
        ({"to": "+34910000001"}, {"internal_number": "+34910000002"}),
    ],
)
def test_without_a_number_another_time_own_number_or_direction_is_a_conflict(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    for legs in permutations([leg(0, **WITHHELD | first), leg(1, **WITHHELD | second)]):
        assert len(folded(*legs).live_rows) == 2


@pytest.mark.parametrize("unknown", [{"direction": None}, {"internal_number": "+34910000001"}])
def test_without_a_number_an_unknown_direction_or_own_number_is_no_contradiction(
    unknown: dict[str, Any],
) -> None:
    for legs in permutations([leg(0, **WITHHELD), leg(1, **WITHHELD | unknown)]):
        assert len(folded(*legs).only_row.record.legs) == 2


@pytest.mark.parametrize(
    ("path", "message_id", "wrap"),
    [
        ("/cloudtalk/webhook", "msg", lambda body: {"type": "call.ended", "company_id": 7, "data": body}),
        ("/cloudtalk/webhook/call.ended", None, lambda body: body),
    ],
    ids=["signed", "workflow"],
)
def test_the_bodies_of_a_withheld_caller_who_was_transferred_give_one_call(
    path: str, message_id: str | None, wrap: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    events = []
    for call_id, talking, agent in (("4300000001", 0, "Luz"), ("4300000002", 88, "Noa")):
        body = {"call_uuid": UUID[5:], "call_id": call_id, "talking_time": talking, "agent_name": agent}
        body |= {"direction": "inbound", "caller_id_status": "withheld"}
        message = None if message_id is None else f"{message_id}-{call_id}"
        raw = msgspec.json.encode(wrap(body))
        parsed = parser_in().parse(RawRequest(raw, "application/json", path, message_id=message))
        assert isinstance(parsed, list)
        events += parsed
    assert {parsed.name for parsed in events} == {UUID[5:]}
    for order in permutations(events):
        row = folded(*order).only_row
        assert (row.id, row.record.status, row.record.follow_up) == (
            f"cloudtalk-{UUID[5:]}",
            "completed",
            False,
        )
        assert [(part.agent_name, part.talking_seconds) for part in row.record.legs] == [
            ("Luz", 0),
            ("Noa", 88),
        ]


def test_two_uuids_with_one_call_id_and_no_number_are_no_transfer() -> None:
    other = "uuid:f240bbac-87c9-4f6e-bf70-924b57d47db7"
    assert len(folded(leg(0, **WITHHELD), leg(0, uuid=other, **WITHHELD)).live_rows) == 2


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
@settings(max_examples=2 * settings().max_examples, deadline=None)
def test_any_number_of_legs_with_recordings_and_edits_is_one_record(
    count: int, random: Random, delivers: bool
) -> None:
    def customer() -> dict[str, Any]:
        return random.choice([CUSTOMER, WITHHELD])

    events = [event(Kind.STARTED, UUID, started_at=T0, **{**customer(), "direction": "inbound"})]
    for number in range(count):
        events.append(leg(number, dialect=random.choice(["workflow", "flow", "signed"]), **customer()))
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
