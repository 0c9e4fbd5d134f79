"""Why a call was missed, who was rung, and call backs that CloudTalk states."""

from itertools import permutations
from typing import Any

import msgspec
import pytest

from relay.call import (
    ASKED_RANK,
    HISTORY_RANK,
    CallBack,
    Kind,
    MissedReason,
    Status,
    build_record,
    call_back_of,
    is_from_history,
    is_only_from_history,
    missed_reason_in_spanish,
)
from relay.instants import SECOND, Instant
from tests.support.samples import T0, join_events, make_event

MINUTE = 60 * SECOND
MISSED = make_event(Kind.ENDED, T0, direction="inbound", talking=0, started_at=T0)
ANSWERS: dict[str, Any] = {
    "missed_reason": "nobody picked up",
    "rung": [["7", "Ana"], ["8", "Bea"]],
    "resolved_at": T0 + 14 * MINUTE,
    "resolved_by": "Bea",
}
ANALYTICS = make_event(Kind.UPDATE, data={"analytics": {}}, **ANSWERS)


def test_a_missed_call_has_its_reason_in_any_order_of_arrival() -> None:
    for order in permutations([MISSED, ANALYTICS]):
        record = build_record(join_events(*order), id="cloudtalk-1", version=1)
        assert (record.status, record.missed_reason) == (Status.MISSED, "nobody picked up")
        assert [(leg.agent_id, leg.agent_name, leg.outcome) for leg in record.legs[1:]] == [
            ("7", "Ana", Status.MISSED),
            ("8", "Bea", Status.MISSED),
        ]


def test_an_agent_who_has_a_leg_gets_no_second_one() -> None:
    missed_by_ana = make_event(
        Kind.ENDED,
        T0,
        direction="inbound",
        talking=0,
        started_at=T0,
        agent_id="7",
        agent_email="ana@example.test",
    )
    record = build_record(join_events(missed_by_ana, ANALYTICS), id="cloudtalk-1", version=1)
    assert [leg.agent_id for leg in record.legs] == ["7", "8"]
    assert record.legs[0].agent_email == "ana@example.test"


def test_a_call_that_proves_to_be_answered_has_no_reason() -> None:
    answered = make_event(Kind.ENDED, T0 + 1, direction="inbound", talking=9, started_at=T0)
    record = build_record(join_events(MISSED, ANALYTICS, answered), id="cloudtalk-1", version=1)
    assert (record.status, record.missed_reason, record.called_back_at) == (Status.COMPLETED, None, None)


@pytest.mark.parametrize(
    ("found", "began", "agent", "call"),
    [
        (None, 14, "Bea", ""),
        (CallBack("cloudtalk-2", Instant(T0 + 20 * MINUTE), "Ana"), 14, "Bea", ""),
        (CallBack("cloudtalk-2", Instant(T0 + 9 * MINUTE), "Ana"), 9, "Ana", "cloudtalk-2"),
        (CallBack("cloudtalk-2", Instant(T0 + 14 * MINUTE), "Ana"), 14, "Ana", "cloudtalk-2"),
    ],
)
def test_the_earlier_call_back_counts(found: CallBack | None, began: int, agent: str, call: str) -> None:
    state = msgspec.structs.replace(join_events(MISSED, ANALYTICS), call_back=found)
    assert call_back_of(state) == CallBack(call, Instant(T0 + began * MINUTE), agent)
    record = build_record(state, id="cloudtalk-1", version=1)
    assert (record.follow_up, record.called_back_by) == (False, agent)


def test_a_call_back_before_the_missed_call_is_none() -> None:
    early = ANSWERS | {"resolved_at": T0}
    state = join_events(MISSED, make_event(Kind.UPDATE, data={}, **early))
    assert call_back_of(state) is None
    assert build_record(state, id="cloudtalk-1", version=1).follow_up


def test_each_reason_has_its_spanish_text() -> None:
    assert len({missed_reason_in_spanish(reason) for reason in MissedReason}) == len(MissedReason)
    assert all(missed_reason_in_spanish(reason) != reason for reason in MissedReason)
    assert missed_reason_in_spanish("queue was full") == "queue was full"


def test_an_answer_about_a_call_is_neither_a_row_of_the_history_nor_a_webhook() -> None:
    asked = msgspec.structs.replace(ANALYTICS, source_rank=ASKED_RANK)
    row = msgspec.structs.replace(MISSED, source_rank=HISTORY_RANK)
    assert is_only_from_history(join_events(row, asked))
    assert not is_only_from_history(join_events(MISSED, asked))
    assert not is_from_history(join_events(MISSED, asked))
