"""The repeated autumn hour: the instants of a call are chosen from the facts of all its events."""

import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.call import Call, CallEvent, CallState, Kind, Register, Stamp, build_record, choose_instants
from relay.call.agents import NOBODY
from relay.call.repeated_times import resolve_times
from relay.call.state import LegState
from relay.cloudtalk.request import RawRequest
from relay.instants import SECOND, Instant
from tests.support.folding import parser_in
from tests.support.samples import T0, join_events

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


# --- one choice --------------------------------------------------------------------------------------

HOUR = 3_600 * SECOND


def at(minutes: int) -> Instant:
    """An instant, counted from the beginning of the hour that is repeated."""
    return Instant(minutes * 60 * SECOND)


def repeated(time: str, minutes: int) -> dict[str, int]:
    """A time that is this instant or the one an hour later."""
    return {time: at(minutes), f"{time}_repeated": at(minutes) + HOUR}


@pytest.mark.parametrize(
    ("facts", "chosen"),
    [
        ({}, {}),
        ({"started_at": at(5)}, {}),
        # a call without any other time began in the first of the two hours
        (repeated("started_at", 5), {"started_at": at(5)}),
        ({"started_at": at(65), "started_at_repeated": at(5)}, {"started_at": at(5)}),
        # no time is before the one that precedes it
        (repeated("started_at", 50) | {"answered_at": at(49)}, {"started_at": at(50)}),
        (repeated("started_at", 50) | {"answered_at": at(50)}, {"started_at": at(50)}),
        ({"started_at": at(61)} | repeated("answered_at", 5), {"answered_at": at(65)}),
        ({"started_at": at(65)} | repeated("answered_at", 5), {"answered_at": at(65)}),
        ({"answered_at": at(10)} | repeated("ended_at", 9), {"ended_at": at(69)}),
        ({"started_at": at(5), "ended_at": at(6)} | repeated("answered_at", 5), {"answered_at": at(5)}),
        (
            repeated("started_at", 50) | repeated("answered_at", 55) | repeated("ended_at", 10),
            {"started_at": at(50), "answered_at": at(55), "ended_at": at(70)},
        ),
        # the order counts more than the durations
        ({"started_at": at(10), "duration": 0} | repeated("ended_at", 9), {"ended_at": at(69)}),
        # the shortest call, or the one that lasts as long as its durations say
        ({"started_at": at(5)} | repeated("ended_at", 10), {"ended_at": at(10)}),
        ({"started_at": at(5), "duration": 3_900} | repeated("ended_at", 10), {"ended_at": at(70)}),
        ({"started_at": at(5), "talking": 3_900} | repeated("ended_at", 10), {"ended_at": at(70)}),
        ({"started_at": at(5), "waiting": 3_900} | repeated("ended_at", 10), {"ended_at": at(70)}),
        (
            {"started_at": at(5), "talking": 1_900, "waiting": 2_000} | repeated("ended_at", 10),
            {"ended_at": at(70)},
        ),
        (
            {"started_at": at(5), "duration": 300, "talking": 3_900} | repeated("ended_at", 10),
            {"ended_at": at(10)},
        ),
        # half an hour more than the shorter call, and half an hour less than the longer one
        ({"started_at": at(5), "duration": 2_100} | repeated("ended_at", 10), {"ended_at": at(10)}),
        ({"started_at": at(5), "duration": 2_101} | repeated("ended_at", 10), {"ended_at": at(70)}),
        ({"started_at": at(5), "duration": 2_099} | repeated("ended_at", 10), {"ended_at": at(10)}),
        ({"started_at": at(5), "talking": 2_100} | repeated("ended_at", 10), {"ended_at": at(10)}),
        ({"started_at": at(5), "waiting": 2_100} | repeated("ended_at", 10), {"ended_at": at(10)}),
        ({"started_at": at(5)} | repeated("ended_at", 5), {"ended_at": at(5)}),
        # parts of a second do not count
        ({"started_at": at(5) + 999_999, "duration": 3_899} | repeated("ended_at", 10), {"ended_at": at(70)}),
    ],
)
def test_the_instants_that_make_a_call_consistent_are_chosen(
    facts: dict[str, Any], chosen: dict[str, int]
) -> None:
    assert choose_instants(facts) == chosen


STAMPS = {seq: Stamp(Kind.ENDED, 0, T0, T0) for seq in (1, 2, 3)}


def resolved(facts: dict[str, Register], leg: dict[str, Register]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The times of a call, and those of its leg, after the choice."""
    legs = {"key": LegState("7", NOBODY, [Kind.ENDED], leg)}
    state = resolve_times(CallState(STAMPS, {}, facts, {}, legs=legs))
    assert state.legs["key"].call_id == "7"
    return state.facts, state.legs["key"].facts


def test_a_time_that_another_event_states_has_no_alternative() -> None:
    exact = {"started_at": (1, at(5)), "ended_at": (3, at(10))}
    facts, _ = resolved(exact | {"ended_at_repeated": (2, at(70)), "duration": (3, 3_900)}, {})
    assert facts["ended_at"] == (3, at(10))
    only_other = {"started_at": (1, at(5)), "ended_at_repeated": (2, at(70)), "duration": (3, 3_900)}
    assert "ended_at" not in resolved(only_other, {})[0]


def test_a_time_of_the_same_event_is_the_same_instant_in_the_call_and_in_its_leg() -> None:
    ended: dict[str, Register] = {"ended_at": (2, at(10)), "ended_at_repeated": (2, at(70))}
    facts, leg = resolved({"started_at": (1, at(65)), **ended}, {**ended, "talking": (2, 3)})
    assert facts["ended_at"] == (2, at(70))
    assert leg == {"ended_at": (2, at(70)), "talking": (2, 3)}


def test_a_time_of_another_event_is_chosen_from_the_facts_of_the_leg() -> None:
    facts: dict[str, Register] = {
        "started_at": (1, at(65)),
        "ended_at": (3, at(20)),
        "ended_at_repeated": (3, at(80)),
    }
    of_leg: dict[str, Register] = {
        "started_at": (1, at(5)),
        "ended_at": (2, at(10)),
        "ended_at_repeated": (2, at(70)),
        "talking": (2, 3_900),
    }
    call, leg = resolved(facts, of_leg)
    assert call["ended_at"] == (3, at(80))
    assert leg["ended_at"] == (2, at(70))
    assert leg["started_at"] == (1, at(5))
    assert resolved(facts, of_leg | {"talking": (2, 300)})[1]["ended_at"] == (2, at(10))


def test_a_call_without_an_alternative_is_returned_as_it_is() -> None:
    state = CallState(STAMPS, {}, {"started_at": (1, at(5))}, {})
    assert resolve_times(state) is state


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
