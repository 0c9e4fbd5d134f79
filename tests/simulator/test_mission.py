import re
from datetime import UTC, datetime, timedelta

import pytest

from relay.call import FIELDS
from relay.simulator import SimulatedCall, generate_calls

NOW = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)


def test_the_same_seed_gives_the_same_calls() -> None:
    assert generate_calls(50, 7, NOW) == generate_calls(50, 7, NOW)


def test_another_seed_gives_other_calls() -> None:
    assert not ids(generate_calls(50, 7, NOW)) & ids(generate_calls(50, 8, NOW))


def test_a_longer_run_of_a_seed_has_the_same_first_calls() -> None:
    assert ids(generate_calls(10, 7, NOW)) < ids(generate_calls(20, 7, NOW))


def ids(calls: list[SimulatedCall]) -> set[str]:
    return {call.expected["id"] for call in calls}


def test_an_id_contains_the_seed_and_the_number_of_the_call() -> None:
    assert [call.expected["id"] for call in generate_calls(2, 0xABC, NOW)] == [
        "cloudtalk-sim-00000abc-000000",
        "cloudtalk-sim-00000abc-000001",
    ]


@pytest.fixture(scope="module")
def calls() -> list[SimulatedCall]:
    return generate_calls(2_000, 1, NOW)


def scenario_key(call: SimulatedCall) -> tuple[str, tuple[str, ...], str | None]:
    """The direction, the events, and the status that the last event contains."""
    names = tuple(body["event"] for body in call.bodies)
    return call.expected["direction"], names, call.bodies[-1]["data"].get("status")


STARTED, ANSWERED, ENDED, MISSED = "call.started", "call.answered", "call.ended", "call.missed"


@pytest.mark.parametrize(
    ("direction", "events", "last_status", "status", "follow_up"),
    [
        ("inbound", (STARTED, ANSWERED, ENDED), "completed", "completed", False),
        ("inbound", (STARTED, MISSED), "missed", "missed", True),
        ("inbound", (STARTED, MISSED, ENDED), "missed", "missed", True),
        ("inbound", (STARTED, ENDED), "missed", "missed", True),
        ("inbound", (STARTED, ENDED), None, "completed", False),
        ("inbound", (STARTED,), None, "in_progress", False),
        ("inbound", (STARTED, ANSWERED), "answered", "answered", False),
        ("outbound", (STARTED, ANSWERED, ENDED), "completed", "completed", False),
        ("outbound", (STARTED, ENDED), "missed", "no_answer", False),
        ("outbound", (STARTED, MISSED), "missed", "no_answer", False),
        ("outbound", (STARTED, ANSWERED, ENDED), None, "completed", False),
        ("outbound", (STARTED,), None, "in_progress", False),
        ("outbound", (STARTED, ANSWERED), "answered", "answered", False),
    ],
)
def test_each_scenario_has_its_expected_status(
    calls: list[SimulatedCall],
    direction: str,
    events: tuple[str, ...],
    last_status: str | None,
    status: str,
    *,
    follow_up: bool,
) -> None:
    key = direction, events, last_status
    matching = [c.expected for c in calls if scenario_key(c) == key]
    assert matching
    assert {(record["status"], record["follow_up"]) for record in matching} == {(status, follow_up)}


def test_there_are_no_other_scenarios(calls: list[SimulatedCall]) -> None:
    assert len(set(map(scenario_key, calls))) == 13


def test_the_expected_record_has_only_fields_of_the_record(calls: list[SimulatedCall]) -> None:
    assert set(calls[0].expected) < set(FIELDS)
    assert not {"answered_at", "response_seconds"} & set(calls[0].expected)


def test_from_and_to_depend_on_the_direction(calls: list[SimulatedCall]) -> None:
    for call in calls:
        record = call.expected
        caller, callee = record["external_number"], record["internal_number"]
        if record["direction"] == "outbound":
            caller, callee = callee, caller
        assert (record["from"], record["to"]) == (caller, callee)
        assert re.fullmatch(r"\+346\d{8}", record["external_number"])
        assert re.fullmatch(r"\+349[13]000000\d", record["internal_number"])


def test_each_call_has_a_customer_of_its_own(calls: list[SimulatedCall]) -> None:
    assert len({call.expected["external_number"] for call in calls}) == len(calls) > 1


def test_a_call_starts_before_now_and_ends_after_it(calls: list[SimulatedCall]) -> None:
    for call in calls:
        started = datetime.fromisoformat(call.expected["started_at"])
        assert timedelta(seconds=2) <= NOW - started < timedelta(seconds=7)
        if call.expected["ended_at"]:
            ended = datetime.fromisoformat(call.expected["ended_at"])
            assert ended > NOW
            assert (ended - started).total_seconds() == call.expected["duration_seconds"]


def test_spacing_starts_each_call_later() -> None:
    calls = generate_calls(100, 1, NOW, spacing=timedelta(minutes=1))
    last = datetime.fromisoformat(calls[-1].expected["started_at"])
    assert timedelta(minutes=98) < last - NOW < timedelta(minutes=99)


def test_a_call_in_progress_has_no_end(calls: list[SimulatedCall]) -> None:
    in_progress = [call for call in calls if call.expected["status"] in {"in_progress", "answered"}]
    assert in_progress
    assert all(call.expected["ended_at"] is call.expected["duration_seconds"] is None for call in in_progress)


def test_a_contact_that_a_later_event_has_is_expected(calls: list[SimulatedCall]) -> None:
    late = [call for call in calls if call.bodies[0]["data"]["contact_id"] is None and len(call.bodies) > 1]
    known = [call.expected["contact_name"] for call in late if call.bodies[1]["data"]["contact_id"]]
    assert known
    assert all(known)
    unknown = [call.expected["contact_id"] for call in late if call.bodies[1]["data"]["contact_id"] is None]
    assert unknown
    assert not any(unknown)


def test_some_names_have_accents(calls: list[SimulatedCall]) -> None:
    assert any(not (call.expected["contact_name"] or "").isascii() for call in calls)
