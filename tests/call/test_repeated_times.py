"""The repeated autumn hour: the instants of a call are chosen from the facts of all its events."""

import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.call import Call, CallEvent, build_record
from relay.cloudtalk.request import RawRequest
from tests.support.folding import parser_in
from tests.support.samples import join_events

PATH = "/cloudtalk/webhook"
SUMMER_ENDS = {
    "Europe/Madrid": datetime(2026, 10, 25, 1, tzinfo=UTC),
    "America/New_York": datetime(2026, 11, 1, 6, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2026, 4, 4, 15, tzinfo=UTC),
}


def parse(kind: str, zone: str = "Europe/Madrid", **data: Any) -> CallEvent:
    raw = json.dumps({"event": f"call.{kind}", "data": {"id": "fold2", **data}}).encode()
    events = parser_in(zone).parse(RawRequest(raw, "application/json", PATH))
    assert isinstance(events, list)
    return events[0]


def records(*events: CallEvent) -> list[Call]:
    """The record of these events in each order, with a duplicate."""
    return [build_record(join_events(*order, order[0]), id="x", version=1) for order in permutations(events)]


@pytest.mark.parametrize(
    ("bodies", "times", "duration"),
    [
        (
            {
                "started": {"started_at": "2026-10-25 01:55:00"},
                "ended": {"ended_at": "2026-10-25 02:05:00", "talking_time": 4_190},
            },
            ["2026-10-24T23:55:00Z", None, "2026-10-25T01:05:00Z"],
            4_200,
        ),
        (
            {
                "started": {"started_at": "2026-10-25 01:55:00"},
                "ended": {"ended_at": "2026-10-25 02:05:00", "talking_time": 590},
            },
            ["2026-10-24T23:55:00Z", None, "2026-10-25T00:05:00Z"],
            600,
        ),
        (
            {
                "started": {"started_at": "2026-10-25 02:50:00"},
                "ended": {"ended_at": "2026-10-25 02:10:00"},
            },
            ["2026-10-25T00:50:00Z", None, "2026-10-25T01:10:00Z"],
            1_200,
        ),
        (
            {
                "started": {"started_at": "2026-10-25 02:55:00"},
                "answered": {"answered_at": "2026-10-25 02:05:00"},
            },
            ["2026-10-25T00:55:00Z", "2026-10-25T01:05:00Z", None],
            None,
        ),
        (
            {
                "started": {"started_at": "2026-10-25 02:50:00"},
                "ended": {"ended_at": "2026-10-25 03:05:00", "talking_time": 890},
            },
            ["2026-10-25T01:50:00Z", None, "2026-10-25T02:05:00Z"],
            900,
        ),
        (
            {
                "started": {"started_at": "2026-10-25T01:20:00Z"},
                "ended": {"ended_at": "2026-10-25 02:25:00"},
            },
            ["2026-10-25T01:20:00Z", None, "2026-10-25T01:25:00Z"],
            300,
        ),
    ],
)
def test_times_in_different_events_are_chosen_together(
    bodies: dict[str, dict[str, Any]], times: list[str | None], duration: int | None
) -> None:
    for record in records(*(parse(kind, **data) for kind, data in bodies.items())):
        assert [record.started_at, record.answered_at, record.ended_at] == times
        assert record.duration_seconds == duration


def test_times_under_the_keys_of_several_dialects_are_chosen_together() -> None:
    event = parse("ended", started_at="2026-10-25 02:50:00", end_time="2026-10-25 02:10:00")
    for record in records(event):
        assert (record.started_at, record.ended_at) == ("2026-10-25T00:50:00Z", "2026-10-25T01:10:00Z")


def test_a_second_key_of_a_time_adds_no_alternative() -> None:
    exact = {"ended_at": "2026-10-25T02:05:00+02:00", "end_time": "2026-10-25 02:05:00"}
    event = parse("ended", started_at="2026-10-25 01:55:00", talking_time=4_190, **exact)
    for record in records(event):
        assert record.ended_at == "2026-10-25T00:05:00Z"


def test_a_leg_has_the_times_of_its_call() -> None:
    started = parse("started", started_at="2026-10-25 02:50:00")
    ended = parse("ended", ended_at="2026-10-25 02:10:00", talking_time=1_190, agent_name="Ana")
    for record in records(started, ended):
        (leg,) = record.legs
        assert leg.ended_at == record.ended_at == "2026-10-25T01:10:00Z"


def test_an_alternative_of_a_time_that_another_event_states_exactly_does_not_count() -> None:
    """The later Ended has an offset, and its end fits the durations worse."""
    started = parse("started", started_at="2026-10-25 01:55:00")
    local = parse("ended", ended_at="2026-10-25 02:05:00", talking_time=4_190)
    exact = parse("ended", ended_at="2026-10-25T02:30:00+01:00", talking_time=4_190)
    for record in records(started, local, exact):
        assert record.ended_at == "2026-10-25T01:30:00Z"


@pytest.mark.parametrize("zone", SUMMER_ENDS)
@given(st.data())
def test_a_call_whose_events_have_one_time_each_keeps_its_length(zone: str, data: st.DataObject) -> None:
    seconds = data.draw(st.integers(1, 1_700), label="length")
    started_at = SUMMER_ENDS[zone] + timedelta(seconds=data.draw(st.integers(-3_500, 3_500), label="start"))
    moments = [
        started_at,
        started_at + timedelta(seconds=seconds // 2),
        started_at + timedelta(seconds=seconds),
    ]
    local = [moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S") for moment in moments]
    events = [
        parse("started", zone, started_at=local[0]),
        parse("answered", zone, answered_at=local[1]),
        parse("ended", zone, ended_at=local[2], talking_time=seconds),
    ]
    for record in records(*events):
        assert None not in (record.started_at, record.answered_at, record.ended_at)
        assert str(record.started_at) <= str(record.answered_at) <= str(record.ended_at)
        assert record.duration_seconds == seconds
