"""The dialect `rest`: rows of CloudTalk's history."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.call import CallEvent, Kind, build_record, state_from_event
from relay.cloudtalk.dialects import HISTORY_PATH
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.history import history_request, parse_history_row
from relay.cloudtalk.request import RawRequest
from relay.instants import SECOND, Instant
from tests.support.folding import parser_in
from tests.support.history import make_row, row_event

UUID = "44fe27cd-5268-4670-993e-0129aabbccdd"
STARTED_AT = 1_704_876_131 * SECOND  # 2024-01-10T08:42:11Z
FACTS = {
    "call_id": "484371839",
    "direction": "inbound",
    "external_number": "+30224000000",
    "internal_number": "+30211000000",
    "started_at": STARTED_AT,
    "answered_at": STARTED_AT + 9 * SECOND,
    "ended_at": STARTED_AT + 36 * SECOND,
    "duration": 36,
    "talking": 27,
    "waiting": 9,
    "wrapup": 4,
    "agent_id": "298523",
    "agent_name": "Ana X",
    "agent_email": "ana@example.test",
    "contact_id": "820877451",
    "contact_name": "FAMILY",
    "notes": "first\na < b",
    "tags": ["vip"],
}


def without_digest(facts: dict[str, Any]) -> dict[str, Any]:
    return {fact: value for fact, value in facts.items() if not fact.startswith("row:")}


def status_of(event: CallEvent) -> str:
    return build_record(
        state_from_event(event, seq=1, received_at=Instant(STARTED_AT)), id="x", version=1
    ).status


def test_a_row_states_a_call_that_is_over() -> None:
    event = row_event()
    assert without_digest(event.facts) == FACTS
    assert (event.kind, event.dialect, event.name) == (Kind.ENDED, "rest", "484371839")
    assert (event.aliases, event.source_rank, event.warnings) == (("id:484371839",), 4, ())
    assert (event.occurred_at, event.message_ids) == (STARTED_AT + 36 * SECOND, ())
    assert event.data == make_row()


@pytest.mark.parametrize(
    ("cdr", "facts"),
    [
        ({"type": "outgoing"}, {"direction": "outbound"}),
        ({"type": "internal"}, {"direction": "internal"}),
        ({"public_external": 39351340000}, {"external_number": "+39351340000"}),
        ({"public_external": "00 34 612 345 678"}, {"external_number": "+34612345678"}),
        ({"public_external": "612345678"}, {"external_number": "+34612345678"}),
        ({"public_external": "anonymous"}, {"external_number": None}),
        ({"public_internal": 34910000000}, {"internal_number": "+34910000000"}),
        ({"public_internal": None}, {"internal_number": "+30211000000"}),
        ({"started_at": "2024-01-10T08:42:12Z"}, {"started_at": STARTED_AT + SECOND}),
        ({"started_at": "2024-01-10 09:42:12"}, {"started_at": STARTED_AT + SECOND}),
        ({"started_at": "2024-01-10T14:12:12+0530"}, {"started_at": STARTED_AT + SECOND}),
        ({"talking_time": 0, "answered_at": None}, {"talking": 0, "answered_at": None}),
        ({"talking_time": None, "answered_at": ""}, {"talking": 0, "answered_at": None}),
        ({"talking_time": None}, {"talking": None}),
        ({"answered_at": "0000-00-00 00:00:00"}, {"answered_at": None}),
        ({"is_voicemail": "1"}, {"voicemail": True}),
        ({"billsec": "0"}, {"duration": None}),
        ({"billsec": 0, "ended_at": "2024-01-10T09:42:11+01:00"}, {"duration": 0, "ended_at": STARTED_AT}),
        ({"user_id": "0", "Agent": {"id": 0, "email": None}}, {"agent_id": None, "agent_email": None}),
        ({"Agent": {"id": 5, "firstname": "Ñ", "lastname": "O&#39;X"}}, {"agent_name": "Ñ O'X"}),
        ({"Agent": [], "user_id": None}, {"agent_id": None, "agent_name": None}),
        ({"Contact": {"id": 0, "name": ""}}, {"contact_id": None, "contact_name": None}),
        ({"Contact": {"id": 7, "name": "A &amp; B"}}, {"contact_id": "7", "contact_name": "A & B"}),
        ({"Notes": None, "Tags": []}, {"notes": None, "tags": None}),
        ({"Tags": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]}, {"tags": ["a", "b"]}),
        ({"recording_link": "https://my.cloudtalk.io/r/play/1"}, {"recording_url": None}),
        (
            {"recorded": "1"},
            {"api_recording_url": "https://my.cloudtalk.io/api/calls/recording/484371839.json"},
        ),
        ({"transferred_from": 484371838}, {"leg_of": ["484371838"]}),
        ({"redirected_from": "484371838", "transferred_from": "0"}, {"leg_of": ["484371838"]}),
        ({"redirected_from": "+34612345678"}, {"leg_of": None}),
        ({"transferred_from": "484371839"}, {"leg_of": None}),
        ({"transferred_from": [1]}, {"leg_of": None}),
    ],
)
def test_values_of_a_row_are_parsed_as_in_the_other_dialects(
    cdr: dict[str, Any], facts: dict[str, Any]
) -> None:
    event = row_event(**cdr)
    assert {fact: event.fact(fact) for fact in facts} == facts


@pytest.mark.parametrize("id_", [484371839, "484371839", "484371839.0", " 484371839 "])
def test_the_id_of_a_row_may_be_a_number_or_a_text(id_: object) -> None:
    assert row_event(id_).aliases == ("id:484371839",)


@pytest.mark.parametrize("id_", [None, "", "0", 0, "abc", UUID, "null", True, {"a": 1}, -5, "9" * 20])
def test_a_row_without_a_numeric_id_is_refused(id_: object) -> None:
    with pytest.raises(InvalidPayload, match=r"Cdr\.id: expected the numeric id") as refused:
        row_event(id_)
    assert (refused.value.reason, refused.value.pointer) == ("missing_id", "/Cdr/id")


@pytest.mark.parametrize("row", [{}, {"Cdr": None}, {"Cdr": []}, {"x": 1}])
def test_what_is_no_row_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(InvalidPayload):
        parse_history_row(parser_in(), row)


def test_a_call_that_is_still_running_only_updates_facts() -> None:
    event = row_event(ended_at=None, answered_at=None, talking_time="0", wrapup_time=None)
    assert (event.kind, event.occurred_at, status_of(event)) == (Kind.UPDATE, None, "in_progress")


@pytest.mark.parametrize(
    ("cdr", "status"),
    [
        ({}, "completed"),
        ({"talking_time": "0", "answered_at": None}, "missed"),
        ({"talking_time": "0", "answered_at": None, "is_voicemail": True}, "voicemail"),
        ({"talking_time": 0, "answered_at": None, "type": "outgoing"}, "no_answer"),
        ({"talking_time": 0, "answered_at": None, "type": "internal"}, "no_answer"),
        ({"talking_time": None, "answered_at": None}, "missed"),
        ({"answered_at": None}, "completed"),
    ],
)
def test_the_status_follows_from_talking_time_voicemail_and_answer(cdr: dict[str, Any], status: str) -> None:
    assert status_of(row_event(**cdr)) == status
    assert row_event(**cdr).missing is None


# --- ids that the relay adds --------------------------------------------------------------------


def test_the_uuid_of_the_analytics_api_is_added_beside_the_row() -> None:
    event = row_event(uuid=UUID.upper())
    assert event.aliases == (f"uuid:{UUID}", "id:484371839")
    assert (event.name, event.fact("call_uuid"), event.fact("call_id")) == (UUID, UUID, "484371839")
    assert event.data == make_row()
    assert row_event(uuid="made-up").aliases == ("id:484371839",)


def test_a_row_that_fits_several_calls_is_marked() -> None:
    assert row_event(alone=True).fact("alone") is True
    assert row_event(alone=True).data == make_row()


def test_only_the_row_itself_counts_for_its_digest() -> None:
    digest = row_event().fact("row:484371839")
    assert digest == row_event(uuid=UUID, alone=True).fact("row:484371839")
    assert digest != row_event(Tags=[]).fact("row:484371839")


# --- the journal --------------------------------------------------------------------------------


def test_a_stored_row_is_parsed_again_to_the_same_event() -> None:
    stored = parse_history_row(parser_in(), make_row(), uuid=UUID)
    request = RawRequest(stored.raw, "application/json", "history/calls")
    assert parser_in().parse(request) == [stored.event]
    assert history_request(make_row(), uuid=UUID) == request


def test_a_row_is_stored_as_it_came_with_what_is_known_besides() -> None:
    assert msgspec.json.decode(history_request(make_row()).raw) == make_row()
    added = msgspec.json.decode(history_request(make_row(), uuid=UUID, alone=True).raw)
    assert {key: value for key, value in added.items() if key not in make_row()} == {
        "uuid": UUID,
        "alone": True,
    }


@pytest.mark.parametrize(
    "path", ["/history/calls", "/cloudtalk/webhook", "/cloudtalk/webhook/history/calls", ""]
)
@pytest.mark.parametrize("added", [{}, {"event": "call.ended"}])
def test_a_sender_cannot_fake_the_rank_of_the_history(path: str, added: dict[str, str]) -> None:
    body = msgspec.json.encode(make_row() | added)
    events = parser_in().parse(RawRequest(body, "application/json", path))
    assert isinstance(events, list)
    (event,) = events
    assert (event.dialect, event.source_rank, event.aliases) == ("workflow", 2, ("id:484371839",))
    assert "row:484371839" not in event.facts


def test_no_request_has_the_path_of_the_history() -> None:
    assert not HISTORY_PATH.startswith("/")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_CDR_KEYS = st.sampled_from(sorted(make_row()["Cdr"]))
_PARTS = st.sampled_from(["Agent", "Contact", "CallNumber", "Notes", "Tags", "Ratings", "Other"])


@given(st.dictionaries(_CDR_KEYS, _VALUES), st.dictionaries(_PARTS, _VALUES))
def test_any_row_is_an_event_or_refused(cdr: dict[str, Any], parts: dict[str, Any]) -> None:
    row = make_row() | parts
    row["Cdr"] = row["Cdr"] | cdr
    try:
        stored = parse_history_row(parser_in(), row)
    except InvalidPayload:
        return
    assert stored.event.dialect == "rest"
    assert parser_in().parse(RawRequest(stored.raw, "application/json", HISTORY_PATH)) == [stored.event]
