"""Answers of CloudTalk about one call as events of the journal."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.call import HISTORY_RANK, Kind
from relay.cloudtalk.dialects import ENRICHMENT_PATH
from relay.cloudtalk.enrichment import ResponseKind, build_body
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.request import RawRequest
from relay.cloudtalk.text_limits import CUT_MARK, LONGEST_TEXT
from tests.support.enrichment import SMART_NOTES, missed, queue
from tests.support.folding import parser_in

UUID = "44fe27cd-5268-4670-993e-0129aabbccdd"
OUTCOME = {"status", "talking", "ended_at", "answered_at", "started_at", "duration", "voicemail", "waiting"}


def test_analytics_link_both_ids_and_say_why() -> None:
    content = missed(queue()) | {"cdr_id": 1002, "uuid": UUID, "call_times": {"talking_time": 9}}
    event = parser_in().parse_one(build_body(ResponseKind.ANALYTICS, "1002", content).request)
    assert event.aliases == (f"uuid:{UUID}", "id:1002")
    assert event.facts == {"call_id": "1002", "call_uuid": UUID, "missed_reason": "nobody picked up"}
    assert (event.kind, event.dialect) == (Kind.UPDATE, "rest")
    assert event.source_rank < HISTORY_RANK  # it is no row: number and time link it to nothing
    assert event.data == {"analytics": content}


@pytest.mark.parametrize(
    ("answer", "content", "kind", "fact"),
    [
        (ResponseKind.SUMMARY, {"summary": "All well."}, Kind.SUMMARY, {"summary": "All well."}),
        (
            ResponseKind.TRANSCRIPT,
            {"segments": [["Agent", "Hi"], ["Customer", "Ho"]]},
            Kind.TRANSCRIPT,
            {"transcript": "Agent: Hi\nCustomer: Ho"},
        ),
        (ResponseKind.SMART_NOTES, SMART_NOTES, Kind.UPDATE, None),
    ],
)
def test_texts_are_facts(
    answer: ResponseKind, content: dict[str, Any], kind: Kind, fact: dict[str, str] | None
) -> None:
    event = parser_in().parse_one(build_body(answer, "1002", content).request)
    assert event.kind is kind
    if fact is not None:
        assert event.facts == {"call_id": "1002", **fact}
        assert event.data == {}  # the text is not kept twice
    else:
        assert event.facts["smart_notes"].startswith("Reservation 4711")


def test_a_text_has_the_limit_of_all_texts() -> None:
    body = build_body(ResponseKind.SUMMARY, "1002", {"summary": "x" * (LONGEST_TEXT + 9)})
    event = parser_in().parse_one(body.request)
    assert len(event.facts["summary"]) == LONGEST_TEXT
    assert event.facts["summary"].endswith(CUT_MARK)
    assert event.warnings


def test_no_sender_of_a_webhook_can_send_such_an_event() -> None:
    body = build_body(ResponseKind.SUMMARY, "1002", {"summary": "False."})
    parsed = parser_in().parse(RawRequest(body.raw, "application/json", f"/{body.path}"))
    assert not isinstance(parsed, list) or parsed[0].dialect != "rest"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("summary", {"call_id": "x1", "answer": {}}),
        ("summary", {"call_id": 1002, "answer": {}}),
        ("summary", {"call_id": "0", "answer": {}}),
        ("summary", {"call_id": "1002", "answer": []}),
        ("sentiment", {"call_id": "1002", "answer": {}}),
    ],
)
def test_what_is_no_answer_is_refused(path: str, body: dict[str, Any]) -> None:
    request = RawRequest(msgspec.json.encode(body), "application/json", f"{ENRICHMENT_PATH}{path}")
    with pytest.raises(InvalidPayload):
        parser_in().parse(request)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(
    st.sampled_from(ResponseKind),
    st.dictionaries(
        st.sampled_from(["summary", "segments", "smartNotes", "call_steps", "uuid", "status"]), _JSON
    ),
)
def test_any_answer_is_an_event_without_an_outcome(answer: ResponseKind, content: dict[str, Any]) -> None:
    try:
        event = parser_in().parse_one(build_body(answer, "1002", content).request)
    except InvalidPayload:
        return
    assert "id:1002" in event.aliases
    assert OUTCOME.isdisjoint(event.facts)
    assert event.kind in {Kind.UPDATE, Kind.SUMMARY, Kind.TRANSCRIPT}
