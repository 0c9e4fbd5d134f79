"""The account finds what it is there to find: a chaos run that could not fail would prove nothing."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from crm_clients.settings import DEFAULT_LABELS
from relay.call import Status
from relay.simulator import generate_calls
from tests.chaos.account import Account, Journal, account_of
from tests.chaos.load import Told, key_of

CALLS = generate_calls(20, 1, datetime(2026, 1, 1, tzinfo=UTC), dialect="mixed")
TOLD = [Told(call) for call in CALLS]
EVENTS = [key_of(message) for call in CALLS for message in call.messages]


def rows() -> list[dict[str, Any]]:
    """What a CRM shows if all went well."""
    return [
        call.expected
        | {"state": call.expected["status"], "status": DEFAULT_LABELS[Status(call.expected["status"])]}
        for call in CALLS
    ]


def account(
    *, events: list[bytes] = EVENTS, crm: list[dict[str, Any]] | None = None, told: list[Told] = TOLD
) -> Account:
    return account_of(EVENTS, told, Journal(Counter(events), 0, {"delivered": 20}), crm or rows())


def test_where_all_went_well_it_is_good() -> None:
    assert account().good
    assert account().acknowledged == len(EVENTS)


def test_what_was_taken_and_not_acknowledged_is_no_loss() -> None:
    assert account(events=[*EVENTS, EVENTS[3], b"/cloudtalk/webhook  {}"]).good


def test_an_event_that_was_acknowledged_twice_must_be_there_twice() -> None:
    twice = account_of([*EVENTS, EVENTS[0]], TOLD, Journal(Counter(EVENTS), 0, {}), rows())
    assert twice.lost_events == [EVENTS[0].decode()]


def test_it_finds_an_event_that_the_ledger_lacks() -> None:
    found = account(events=EVENTS[1:])
    assert found.lost_events == [EVENTS[0].decode()]
    assert not found.good


def test_it_finds_a_call_that_the_crm_lacks() -> None:
    found = account(crm=rows()[1:])
    assert [CALLS[0].expected["call_uuid"] in lost for lost in found.lost_calls] == [True]
    assert not found.good


def test_it_finds_a_call_with_two_rows_and_a_row_of_no_call() -> None:
    half = rows()[0] | {"id": "cloudtalk-other"}
    stranger = rows()[0] | {"id": "cloudtalk-stranger", "call_id": "1", "call_uuid": "u"}
    assert len(account(crm=[*rows(), half]).doubled) == 1
    assert account(crm=[*rows(), stranger]).doubled == ["cloudtalk-stranger: nobody told of it"]


def test_it_finds_a_row_that_is_not_the_newest() -> None:
    over = next(n for n, call in enumerate(CALLS) if call.expected["status"] == "completed")
    crm = rows()
    crm[over] |= {"status": "En Progreso", "state": "in_progress"}
    found = account(crm=crm)
    assert len(found.stale) == 1
    assert "state is 'in_progress'" in found.stale[0]
    assert not found.good


def test_of_a_call_whose_messages_may_have_changed_places_it_asks_less() -> None:
    edited = next(n for n, call in enumerate(CALLS) if "tags" in call.order_dependent)
    crm = rows()
    crm[edited] |= {"tags": ["another"]}
    assert len(account(crm=crm).stale) == 1
    told = [Told(call, doubted=n == edited) for n, call in enumerate(CALLS)]
    assert account(crm=crm, told=told).good


def test_what_is_not_folded_owed_or_dead_is_not_good() -> None:
    for journal in (
        Journal(Counter(EVENTS), 1, {}),
        Journal(Counter(EVENTS), 0, {"pending": 1}),
        Journal(Counter(EVENTS), 0, {"dead": 1}),
    ):
        assert not account_of(EVENTS, TOLD, journal, rows()).good
