"""The record: what is built from the facts of a call."""

from typing import Any

import msgspec
import pytest

from relay.call import (
    ANSWER_WITHIN,
    Call,
    CallEvent,
    Kind,
    Status,
    build_record,
    changed_fields,
    join,
    known_fields,
    state_from_event,
)
from relay.instants import SECOND, Instant, iso
from tests.support.samples import T0, join_events, make_call, make_event

S, A, E, M = Kind.STARTED, Kind.ANSWERED, Kind.ENDED, Kind.MISSED
FROM_TO: dict[str, Any] = {"from": "+1", "to": "+2"}


def record_of(*events: CallEvent, received_at: int = T0) -> Call:
    return build_record(join_events(*events, received_at=received_at), id="cloudtalk-1", version=1)


def test_each_fact_is_a_field_of_the_record() -> None:
    facts: dict[str, Any] = {
        "call_id": "7",
        "call_uuid": "u-7",
        "direction": "inbound",
        "from": "+1",
        "to": "+2",
        "external_number": "+3",
        "internal_number": "+4",
        "contact_id": "c",
        "contact_name": "Ana",
        "recording_url": "https://example.test/1.wav",
        "tags": ["t"],
        "notes": "n",
        "transcript": "tr",
        "summary": "s",
    }
    durations: dict[str, Any] = {"duration": 60, "talking": 40, "waiting": 15, "wrapup": 4}
    agent: dict[str, Any] = {"agent_id": "1", "agent_name": "Luis", "agent_email": "luis@example.test"}
    times: dict[str, Any] = {"started_at": T0, "answered_at": T0 + 15 * SECOND, "ended_at": T0 + 60 * SECOND}
    record = msgspec.to_builtins(record_of(make_event(E, **facts, **durations, **agent, **times)))
    assert {field: record[field] for field in facts} == facts
    assert {name: record[f"{name}_seconds"] for name in durations} == durations
    assert {field: record[field] for field in agent} == agent
    assert [record[time] for time in times] == [
        "2024-11-28T10:30:00Z",
        "2024-11-28T10:30:15Z",
        "2024-11-28T10:31:00Z",
    ]
    assert (record["id"], record["version"], record["response_seconds"]) == ("cloudtalk-1", 1, 15)


def test_unknown_facts_are_null_and_lists_are_empty() -> None:
    record = record_of(make_event(S))
    assert (record.tags, record.legs) == ([], [])
    assert (record.notes, record.direction, record.call_uuid, record.agent_id) == (None, None, None, None)


def test_an_end_in_the_payload_of_a_started_does_not_count() -> None:
    call = record_of(make_event(S, started_at=T0, ended_at=T0 + SECOND, duration=1, status="answered"))
    assert (call.ended_at, call.duration_seconds, call.status) == (None, None, Status.IN_PROGRESS)


def test_the_parties_depend_on_the_direction() -> None:
    inbound = record_of(make_event(S, direction="inbound", **FROM_TO))
    outbound = record_of(make_event(S, direction="outbound", **FROM_TO))
    assert (inbound.external_number, inbound.internal_number) == ("+1", "+2")
    assert (outbound.external_number, outbound.internal_number) == ("+2", "+1")


@pytest.mark.parametrize(
    ("direction", "caller", "callee"),
    [("inbound", "+1", "+2"), ("outbound", "+2", "+1"), ("internal", "+2", "+1"), (None, None, None)],
)
def test_the_caller_and_the_callee_follow_from_the_numbers_and_the_direction(
    direction: str | None, caller: str | None, callee: str | None
) -> None:
    stated: dict[str, Any] = {} if direction is None else {"direction": direction}
    call = record_of(make_event(S, external_number="+1", internal_number="+2", **stated))
    assert (call.from_, call.to) == (caller, callee)
    assert (call.external_number, call.internal_number) == ("+1", "+2")


def test_without_a_direction_the_parties_are_unknown() -> None:
    call = record_of(make_event(S, **FROM_TO))
    assert (call.external_number, call.internal_number, call.from_, call.to) == (None, None, "+1", "+2")


@pytest.mark.parametrize(
    ("arrived_at", "ended_at", "response_seconds"),
    [
        (T0 + 7 * SECOND, None, 7),
        (T0, None, 0),
        (T0 + 7 * SECOND, T0 + 60 * SECOND, 7),
        (T0 + 61 * SECOND, T0 + 60 * SECOND, None),
        # An end in whole seconds was up to a second later.
        (T0 + 60 * SECOND, T0 + 60 * SECOND, 60),
        (T0 + 61 * SECOND - 1, T0 + 60 * SECOND, 60),
        (T0 + SECOND - 1, T0, 0),
        (T0 + 60 * SECOND + 1, T0 + 60 * SECOND + 1, 60),
        (T0 + 60 * SECOND + 2, T0 + 60 * SECOND + 1, None),
        (T0 + SECOND - 1, T0 - SECOND, None),
        (T0 - 1, None, None),
        (T0 + ANSWER_WITHIN, None, 3600),
        (T0 + ANSWER_WITHIN + 1, None, None),
    ],
)
def test_the_arrival_of_an_answered_is_the_time_of_the_answer_if_plausible(
    arrived_at: int, ended_at: int | None, response_seconds: int | None
) -> None:
    facts: dict[str, Any] = {"started_at": T0} | ({} if ended_at is None else {"ended_at": ended_at})
    answered = state_from_event(make_event(A), seq=1, received_at=Instant(arrived_at))
    ended = state_from_event(make_event(E, **facts), seq=2, received_at=Instant(arrived_at))
    call = build_record(join(answered, ended), id="x", version=1)
    assert call.response_seconds == response_seconds
    assert (call.answered_at is None) == (response_seconds is None)


@pytest.mark.parametrize("kind", [A, S, Kind.MODIFIED])
def test_a_stated_time_of_the_answer_counts_also_without_a_leg(kind: Kind) -> None:
    times: dict[str, Any] = {"started_at": T0, "answered_at": T0 + 15 * SECOND}
    call = record_of(make_event(kind, **times), received_at=T0 + 40 * SECOND)
    assert (call.answered_at, call.response_seconds, call.legs) == ("2024-11-28T10:30:15Z", 15, [])


def test_a_transferred_call_was_answered_when_its_first_leg_was() -> None:
    first, second = (
        make_event(
            E,
            call_id=f"{at}",
            agent_id=f"{at}",
            started_at=T0 + at * SECOND,
            answered_at=T0 + (at + 5) * SECOND,
            talking=30,
        )
        for at in (10, 60)
    )
    for events in ((first, second), (second, first)):
        call = record_of(*events)
        assert (call.started_at, call.answered_at) == ("2024-11-28T10:30:10Z", "2024-11-28T10:30:15Z")
        assert [leg.agent_id for leg in call.legs] == ["10", "60"]


def test_the_earliest_arrival_of_an_answered_counts() -> None:
    first, again = (
        state_from_event(make_event(A, started_at=T0), seq=seq, received_at=Instant(T0 + seconds * SECOND))
        for seq, seconds in ((1, 5), (2, 9))
    )
    for state in (join(first, again), join(again, first)):
        assert build_record(state, id="cloudtalk-1", version=1).response_seconds == 5


def test_a_duration_that_is_not_stated_is_the_time_from_start_to_end() -> None:
    times: dict[str, Any] = {"started_at": T0, "ended_at": T0 + 61 * SECOND}
    assert record_of(make_event(E, **times)).duration_seconds == 61
    assert record_of(make_event(E, **times, duration=60)).duration_seconds == 60
    assert record_of(make_event(E, started_at=T0, ended_at=T0 - 1)).duration_seconds is None
    assert record_of(make_event(E, started_at=T0, ended_at=T0)).duration_seconds == 0
    assert record_of(make_event(E, started_at=T0, ended_at=T0 + 2 * SECOND - 1)).duration_seconds == 1


@pytest.mark.parametrize(
    ("facts", "duration"),
    [
        ({"talking": 41, "waiting": 9}, 50),
        ({"talking": 0, "waiting": 17}, 17),
        ({"talking": 41, "waiting": 0, "started_at": T0}, 41),
        ({"talking": 41, "waiting": 9, "ended_at": T0}, 50),
        ({"talking": 41, "waiting": 9, "started_at": T0, "ended_at": T0 - SECOND}, 50),
        ({"talking": 41, "waiting": 9, "started_at": T0, "ended_at": T0 + 60 * SECOND}, 60),
        ({"talking": 41, "waiting": 9, "duration": 49}, 49),
        ({"talking": 41, "waiting": 9, "duration": 0}, 0),
        ({"talking": 41}, None),
        ({"waiting": 9}, None),
    ],
)
def test_without_start_and_end_the_duration_is_talking_and_waiting_time(
    facts: dict[str, Any], duration: int | None
) -> None:
    assert record_of(make_event(E, **facts)).duration_seconds == duration


def test_a_call_that_has_not_ended_has_no_duration() -> None:
    assert record_of(make_event(A, talking=41, waiting=9)).duration_seconds is None


def test_times_are_iso_utc_with_milliseconds_only_if_there_are_any() -> None:
    assert iso(T0) == "2024-11-28T10:30:00Z"
    assert iso(T0 + 1_500) == "2024-11-28T10:30:00.001Z"
    assert iso(None) is None


def test_changed_fields_has_only_fields_that_are_delivered() -> None:
    before = record_of(make_event(S, T0, contact_name="Ana", direction="inbound"))
    after = record_of(make_event(S, T0, contact_name="Ana", direction="inbound"), make_event(M, T0))
    assert changed_fields(before, after) == ["status", "follow_up", "legs"]


@pytest.mark.parametrize(
    ("status", "direction", "known"),
    [
        ("in_progress", "inbound", set()),
        ("answered", "inbound", set()),
        ("completed", "inbound", {"status", "follow_up"}),
        ("completed", None, {"status", "follow_up"}),
        ("missed", "inbound", {"status", "follow_up"}),
        ("missed", None, {"status"}),
        ("voicemail", "inbound", {"status", "follow_up"}),
        ("voicemail", None, {"status"}),
        ("no_answer", "outbound", {"status", "follow_up"}),
    ],
)
def test_the_status_is_known_once_the_call_is_over(
    status: str, direction: str | None, known: set[str]
) -> None:
    call = msgspec.structs.replace(
        make_call(), status=Status(status), direction=direction, notes="n", waiting_seconds=0
    )
    known_direction = {"direction"} if direction else set()
    assert known_fields(call) == {"notes", "waiting_seconds", "cloudtalk_data"} | known_direction | known


def test_an_empty_field_is_not_known() -> None:
    record = msgspec.structs.replace(
        make_call(), status=Status.COMPLETED, notes="", tags=[], cloudtalk_data={}, talking_seconds=0
    )
    assert known_fields(record) == {"status", "follow_up", "talking_seconds"}


def test_the_id_and_the_version_of_a_record_are_no_changes() -> None:
    record = record_of(make_event(E, contact_name="Ana"))
    other = msgspec.structs.replace(record, id="other", version=9, merged_into="cloudtalk-2")
    assert changed_fields(record, other) == []
    assert changed_fields(record, msgspec.structs.replace(record, notes="n", tags=["t"])) == ["tags", "notes"]
