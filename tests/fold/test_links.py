"""Links that no id states: rows of the history and webhooks by number and time, and legs that a row names."""

from itertools import permutations
from typing import Any

import pytest

from relay.call import CallEvent, Kind
from relay.fold import plan_changes
from relay.fold.ambiguous import find_doubts
from relay.fold.snapshot import Snapshot
from relay.instants import SECOND
from relay.ledger.aliases import AliasReason
from tests.support.history import row_event
from tests.support.memory_ledger import MemoryLedger
from tests.support.samples import make_event_with_ids as event

U1, U2, ID = "uuid:u1", "uuid:u2", "id:484371839"
STARTED_AT = 1_704_876_131 * SECOND  # as in the row
ENDED_AT = STARTED_AT + 36 * SECOND
NUMBERS: dict[str, Any] = {
    "external_number": "+30224000000",
    "internal_number": "+30211000000",
    "direction": "inbound",
}


def webhook(*aliases: str, at: int = 0, kind: Kind = Kind.STARTED, **facts: Any) -> CallEvent:
    """An event of a call that began `at` seconds after the call of the row."""
    stated = NUMBERS | {"started_at": STARTED_AT + at * SECOND} | facts
    known = {fact: value for fact, value in stated.items() if value is not None}
    return event(kind, *(aliases or (U1,)), **known)


def folded(*events: CallEvent) -> MemoryLedger:
    ledger = MemoryLedger()
    ledger.fold_each(*events)
    ledger.end_grace()
    return ledger


def aliases_of_calls(ledger: MemoryLedger) -> list[list[str]]:
    return sorted(row.state.aliases for row in ledger.live_rows)


# --- number and time ------------------------------------------------------------------------------


@pytest.mark.parametrize("alias", [U1, "other:mission-7"])
def test_a_row_and_webhooks_with_another_id_are_one_call_in_any_order(alias: str) -> None:
    events = [
        webhook(alias, dialect="mission" if alias.startswith("other:") else "workflow"),
        event(Kind.ANSWERED, alias, agent_id="5"),
        row_event(),
    ]
    for order in permutations(events):
        ledger = folded(*order)
        assert aliases_of_calls(ledger) == [sorted([alias, ID])]
        assert ledger.only_row.record.talking_seconds == 27
        assert set(ledger.owners.values()) == {ledger.only_row.id}


def test_a_row_waits_for_no_link() -> None:
    ledger = MemoryLedger()
    ledger.fold_each(webhook())
    ledger.fold_each(row_event(public_external="+34611111111"))
    assert (ledger.waiting, len(ledger.live_rows)) == ({}, 2)


def test_the_reason_of_a_link_by_number_and_time_is_kept() -> None:
    ledger = folded(webhook(), row_event())
    reasons = {alias.alias: alias.reason for changes in ledger.changes for alias in changes.aliases}
    assert reasons == {U1: AliasReason.STATED, ID: AliasReason.NUMBER_AND_TIME}


@pytest.mark.parametrize(
    ("facts", "linked"),
    [
        ({"at": 120}, False),  # the call of the row was over
        ({"at": 38}, True),
        ({"at": 39}, False),
        ({"at": -120}, True),
        ({"at": -121}, False),
        ({"at": -120, "ended_at": STARTED_AT - 2 * SECOND, "kind": Kind.ENDED}, True),
        ({"at": -120, "ended_at": STARTED_AT - 3 * SECOND, "kind": Kind.ENDED}, False),
        ({"internal_number": None}, True),
        ({"internal_number": "+34910000001"}, False),
        ({"direction": None}, True),
        ({"direction": "outbound"}, False),
        ({"external_number": "+34611111111"}, False),
        ({"external_number": "30224000000"}, False),
        ({"external_number": None}, False),
        ({"started_at": None}, False),
    ],
)
def test_number_and_time_link_a_row_if_nothing_contradicts(facts: dict[str, Any], linked: bool) -> None:
    for order in permutations([webhook(**facts), row_event()]):
        assert (len(folded(*order).live_rows) == 1) is linked


def test_a_long_call_may_have_begun_two_minutes_before_its_row() -> None:
    row = row_event(ended_at="2024-01-10T10:42:47+01:00")
    for at, linked in ((120, True), (121, False)):
        for order in permutations([webhook(at=at), row]):
            assert (len(folded(*order).live_rows) == 1) is linked


@pytest.mark.parametrize("ids", [(U1, "id:7"), ("id:7",)])
def test_a_webhook_with_another_call_id_is_another_call(ids: tuple[str, ...]) -> None:
    for order in permutations([webhook(*ids), row_event()]):
        assert len(folded(*order).live_rows) == 2


def test_a_row_whose_uuid_is_known_is_linked_by_it_alone() -> None:
    uuid = "44fe27cd-5268-4670-993e-0129aabbccdd"
    for order in permutations([webhook(), webhook(f"uuid:{uuid}"), row_event(uuid=uuid)]):
        assert aliases_of_calls(folded(*order)) == [[ID, f"uuid:{uuid}"], [U1]]


def test_where_several_calls_fit_a_row_begins_a_call_of_its_own() -> None:
    ledger = folded(webhook(), webhook(U2, at=1), row_event())
    assert aliases_of_calls(ledger) == [[ID], [U1], [U2]]
    ledger.fold_each(webhook(U2, ID, kind=Kind.ENDED))
    assert aliases_of_calls(ledger) == [[ID, U2], [U1]]


def test_a_row_that_is_marked_as_alone_is_linked_by_ids_only() -> None:
    for order in permutations([webhook(), row_event(alone=True)]):
        ledger = folded(*order)
        assert aliases_of_calls(ledger) == [[ID], [U1]]
        ledger.fold_each(event(Kind.ENDED, U1, ID))
        assert aliases_of_calls(ledger) == [[ID, U1]]


def test_a_redial_is_not_taken_for_the_call_before() -> None:
    redial = webhook(U2, at=50)
    for order in permutations([webhook(), redial, row_event()]):
        assert aliases_of_calls(folded(*order)) == [[ID, U1], [U2]]


def test_webhooks_alone_are_not_linked_by_number_and_time() -> None:
    for order in permutations([webhook(), webhook("id:7", kind=Kind.MODIFIED)]):
        assert len(folded(*order).live_rows) == 2


def test_two_records_of_one_call_become_one_when_its_row_arrives() -> None:
    events = [webhook(), webhook(ID, kind=Kind.MODIFIED, tags=["a"]), row_event()]
    for order in permutations(events):
        assert aliases_of_calls(folded(*order)) == [[ID, U1]]


def test_a_start_that_is_stated_late_links_the_call() -> None:
    events = [event(Kind.RINGING, U1, agent_id="5"), row_event(), webhook()]
    for order in permutations(events):
        assert aliases_of_calls(folded(*order)) == [[ID, U1]]


@pytest.mark.parametrize(
    ("seconds", "linked"), [(36, True), (156, True), (157, False), (-84, True), (-85, False)]
)
def test_the_ends_link_a_call_without_a_start(seconds: int, linked: bool) -> None:
    """The call of the row took 36 seconds."""
    ended = webhook(kind=Kind.ENDED, started_at=None, ended_at=STARTED_AT + seconds * SECOND)
    for order in permutations([ended, row_event()]):
        assert (len(folded(*order).live_rows) == 1) is linked


def test_a_start_decides_between_calls_whose_ends_fit() -> None:
    ended = webhook(kind=Kind.ENDED, started_at=None, ended_at=ENDED_AT)
    later = row_event("5", started_at="2024-01-10T09:43:11+01:00", ended_at="2024-01-10T09:44:00+01:00")
    ledger = folded(row_event(), later, ended)
    assert aliases_of_calls(ledger) == [[ID], ["id:5"], [U1]]
    ledger.fold_each(webhook())
    assert aliases_of_calls(ledger) == [[ID, U1], ["id:5"]]


@pytest.mark.parametrize("time", ["started_at", "ended_at"])
def test_the_number_and_the_time_may_come_with_different_events(time: str) -> None:
    timed: dict[str, Any] = {time: {"started_at": STARTED_AT, "ended_at": ENDED_AT}[time]}
    events = [
        event(Kind.ENDED, U1, **timed),
        webhook(kind=Kind.MODIFIED, started_at=None),
        row_event(),
    ]
    for order in permutations(events):
        assert aliases_of_calls(folded(*order)) == [[ID, U1]]


def test_an_id_that_a_person_split_off_is_not_linked_by_number_and_time() -> None:
    ledger = MemoryLedger()
    ledger.fold_each(webhook(), event(Kind.MODIFIED, ID, tags=["a"]))
    (unfolded,) = ledger.append([row_event()])
    for pinned, merged in ((frozenset[str](), 1), (frozenset({ID}), 0)):
        snapshot = Snapshot(ledger.owners, ledger.rows, pinned=pinned)
        assert len(plan_changes([unfolded], snapshot).merged) == merged


# --- which rows are ambiguous -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "rows", "ambiguous"),
    [
        ([], [row_event()], []),
        ([webhook()], [row_event()], []),
        ([webhook(), webhook(U2)], [row_event()], [0]),
        ([webhook(), webhook(U2)], [row_event(uuid="44fe27cd-5268-4670-993e-0129aabbccdd")], []),
        ([webhook(), webhook(U2), webhook(ID)], [row_event()], [0]),
        ([webhook(), webhook(U2, at=50)], [row_event()], []),
        ([webhook(), webhook(U2)], [row_event(alone=True)], []),
        # two rows that fit one call
        ([webhook()], [row_event("1"), row_event("2")], [0, 1]),
        ([webhook(), webhook("id:1")], [row_event("1"), row_event("2")], [0, 1]),
        ([webhook(U1, "id:1")], [row_event("1"), row_event("2")], []),
        ([webhook()], [row_event("1"), row_event("2", transferred_from="1")], []),
        ([webhook(), event(Kind.MODIFIED, "id:1")], [row_event("2", transferred_from="1")], []),
    ],
)
def test_a_row_is_ambiguous_if_several_calls_fit_it_or_several_rows_fit_its_call(
    known: list[CallEvent], rows: list[CallEvent], ambiguous: list[int]
) -> None:
    ledger = folded(*known)
    unfolded = ledger.append(rows)
    found = find_doubts(unfolded, Snapshot(ledger.owners, ledger.rows))
    assert found.to_ask == {unfolded[index].seq for index in ambiguous}


# --- legs -------------------------------------------------------------------------------------------


def leg(number: int, *, of: object = None, **cdr: Any) -> CallEvent:
    """The row of one leg: `number` counts them, each five minutes after the one before."""
    times = {
        f"{name}_at": f"2024-01-10T{9 + number // 12:02}:{number % 12 * 5:02}:{second:02}+01:00"
        for name, second in (("started", 0), ("answered", 5), ("ended", 59))
    }
    facts: dict[str, Any] = {
        "transferred_from": of,
        "user_id": str(10 + number),
        "talking_time": 10 + number,
        "Agent": None,
    }
    return row_event(str(100 + number), **times | facts | cdr)


def test_a_row_that_names_another_call_is_a_leg_of_it_in_any_order() -> None:
    for order in permutations([leg(0), leg(1, of=100), leg(2, redirected_from="101")]):
        ledger = folded(*order)
        assert aliases_of_calls(ledger) == [["id:100", "id:101", "id:102"]]
        record = ledger.only_row.record
        assert [part.agent_id for part in record.legs] == ["10", "11", "12"]
        assert (record.agent_id, record.call_id, record.talking_seconds) == ("12", "100", 12)


def test_two_rows_that_name_the_same_call_are_legs_of_it_in_any_order() -> None:
    for order in permutations([leg(0), leg(1, of="100"), leg(2, of="100")]):
        assert aliases_of_calls(folded(*order)) == [["id:100", "id:101", "id:102"]]


def test_legs_and_webhooks_of_one_call_are_one_record_in_any_order() -> None:
    started = event(
        Kind.STARTED, U1, started_at=1_704_873_600 * SECOND, **NUMBERS
    )  # 2024-01-10T09:00:00+01:00
    tagged = event(Kind.MODIFIED, "id:101", tags=["vip"])
    for order in permutations([started, tagged, leg(0), leg(1, of=100)]):
        ledger = folded(*order)
        assert aliases_of_calls(ledger) == [["id:100", "id:101", U1]]
        assert len(ledger.only_row.record.legs) == 2


@pytest.mark.parametrize(
    "contradiction",
    [
        {"public_external": "+34611111111"},
        {
            "started_at": "2024-01-10T13:05:01+01:00",
            "answered_at": None,
            "ended_at": "2024-01-10T13:06:00+01:00",
        },
    ],
)
def test_another_customer_or_another_time_is_no_leg_in_any_order(contradiction: dict[str, Any]) -> None:
    for order in permutations([leg(0), leg(1, of="100", **contradiction)]):
        ledger = folded(*order)
        assert aliases_of_calls(ledger) == [["id:100"], ["id:101"]]
        ledger.fold_each(event(Kind.MODIFIED, "id:100", tags=["a"]), event(Kind.MODIFIED, "id:101"))
        assert len(ledger.live_rows) == 2


def test_a_withheld_caller_who_was_transferred_is_one_call() -> None:
    withheld = {"public_external": "anonymous"}
    for order in permutations([leg(0, **withheld), leg(1, of="100", **withheld)]):
        assert len(folded(*order).only_row.record.legs) == 2


def test_legs_of_calls_with_different_uuids_stay_apart() -> None:
    first, second = "44fe27cd-5268-4670-993e-0129aabbccdd", "44fe27cd-5268-4670-993e-0129aabbccde"
    calls = [webhook(f"uuid:{first}", "id:100"), webhook(f"uuid:{second}", "id:101")]
    for order in permutations([*calls, leg(1, of="100")]):
        assert len(folded(*order).live_rows) == 2


def test_the_reference_to_a_call_is_no_id_of_the_leg() -> None:
    ledger = folded(leg(1, of="100"))
    reasons = {alias.alias: alias.reason for changes in ledger.changes for alias in changes.aliases}
    assert reasons == {"id:101": AliasReason.STATED, "leg_of:100": AliasReason.LEG}
    assert ledger.only_row.state.aliases == ["id:101"]
    ledger.fold_each(leg(0))
    assert ledger.only_row.state.aliases == ["id:100", "id:101"]
