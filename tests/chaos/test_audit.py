"""The audit of a chaos run finds every kind of error: a check that cannot fail would prove nothing."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from crm_clients.settings import DEFAULT_LABELS
from relay.call import Status
from relay.simulator import generate_calls
from tests.chaos.audit import Audit, LedgerContents, compare
from tests.chaos.load import SentCall, event_key

CALLS = generate_calls(20, 1, datetime(2026, 1, 1, tzinfo=UTC), dialect="mixed")
SENT = [SentCall(call) for call in CALLS]
EVENTS = [event_key(message) for call in CALLS for message in call.messages]


def expected_rows() -> list[dict[str, Any]]:
    """The rows of a CRM without any error."""
    return [
        call.expected
        | {"state": call.expected["status"], "status": DEFAULT_LABELS[Status(call.expected["status"])]}
        for call in CALLS
    ]


def audit(
    *, events: list[bytes] = EVENTS, crm: list[dict[str, Any]] | None = None, sent: list[SentCall] = SENT
) -> Audit:
    """Audit a run in which all of EVENTS were acknowledged; `events` and `crm` are what was stored."""
    ledger = LedgerContents(Counter(events), 0, {"delivered": 20})
    return compare(EVENTS, sent, ledger, crm or expected_rows())


def test_a_run_without_errors_passes() -> None:
    assert audit().passed
    assert audit().acknowledged == len(EVENTS)


def test_a_stored_event_that_was_not_acknowledged_is_no_error() -> None:
    assert audit(events=[*EVENTS, EVENTS[3], b"/cloudtalk/webhook  {}"]).passed


def test_an_event_that_was_acknowledged_twice_must_be_stored_twice() -> None:
    twice = compare([*EVENTS, EVENTS[0]], SENT, LedgerContents(Counter(EVENTS), 0, {}), expected_rows())
    assert twice.lost_events == [EVENTS[0].decode()]


def test_an_event_that_is_missing_in_the_ledger_is_found() -> None:
    result = audit(events=EVENTS[1:])
    assert result.lost_events == [EVENTS[0].decode()]
    assert not result.passed


def test_a_call_that_is_missing_in_the_crm_is_found() -> None:
    result = audit(crm=expected_rows()[1:])
    assert [CALLS[0].expected["call_uuid"] in lost for lost in result.lost_calls] == [True]
    assert not result.passed


def test_a_call_with_two_rows_and_a_row_without_a_call_are_found() -> None:
    second = expected_rows()[0] | {"id": "cloudtalk-other"}
    stranger = expected_rows()[0] | {"id": "cloudtalk-stranger", "call_id": "1", "call_uuid": "u"}
    assert len(audit(crm=[*expected_rows(), second]).doubled) == 1
    assert audit(crm=[*expected_rows(), stranger]).doubled == [
        "cloudtalk-stranger: no call was sent for this row"
    ]


def test_a_row_of_an_older_version_is_found() -> None:
    ended = next(n for n, call in enumerate(CALLS) if call.expected["status"] == "completed")
    crm = expected_rows()
    crm[ended] |= {"status": "En Progreso", "state": "in_progress"}
    result = audit(crm=crm)
    assert len(result.stale) == 1
    assert "state is 'in_progress'" in result.stale[0]
    assert not result.passed


def test_of_a_call_in_uncertain_order_only_order_independent_fields_are_compared() -> None:
    edited = next(n for n, call in enumerate(CALLS) if "tags" in call.order_dependent)
    crm = expected_rows()
    crm[edited] |= {"tags": ["another"]}
    assert len(audit(crm=crm).stale) == 1
    sent = [SentCall(call, order_uncertain=n == edited) for n, call in enumerate(CALLS)]
    assert audit(crm=crm, sent=sent).passed


def test_events_that_are_not_folded_and_pending_or_dead_deliveries_are_errors() -> None:
    for ledger in (
        LedgerContents(Counter(EVENTS), 1, {}),
        LedgerContents(Counter(EVENTS), 0, {"pending": 1}),
        LedgerContents(Counter(EVENTS), 0, {"dead": 1}),
    ):
        assert not compare(EVENTS, SENT, ledger, expected_rows()).passed
