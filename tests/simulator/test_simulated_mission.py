import re
from datetime import UTC, datetime, timedelta

import pytest

from relay.call import FIELDS
from relay.simulator import SimulatedCall, scenarios

NOW = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)


def test_the_same_seed_gives_the_same_calls() -> None:
    assert scenarios(50, 7, NOW) == scenarios(50, 7, NOW)


def test_another_seed_gives_other_calls() -> None:
    assert not ids(scenarios(50, 7, NOW)) & ids(scenarios(50, 8, NOW))


def test_a_longer_run_of_a_seed_names_its_calls_alike() -> None:
    assert ids(scenarios(10, 7, NOW)) < ids(scenarios(20, 7, NOW))


def ids(calls: list[SimulatedCall]) -> set[str]:
    return {call.expected["id"] for call in calls}


def test_an_id_names_its_run_and_its_place() -> None:
    assert [call.expected["id"] for call in scenarios(2, 0xABC, NOW)] == [
        "cloudtalk-sim-00000abc-000000",
        "cloudtalk-sim-00000abc-000001",
    ]


@pytest.fixture(scope="module")
def many() -> list[SimulatedCall]:
    return scenarios(2_000, 1, NOW)


def names(call: SimulatedCall) -> tuple[str, ...]:
    return tuple(body["event"] for body in call.events)


def end(call: SimulatedCall) -> str | None:
    status: str | None = call.events[-1]["data"].get("status")
    return status


STARTED, ANSWERED, ENDED, MISSED = "call.started", "call.answered", "call.ended", "call.missed"


@pytest.mark.parametrize(
    ("direction", "events", "says", "status", "follow_up"),
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
def test_each_way_a_call_may_go_has_its_expected_outcome(
    many: list[SimulatedCall],
    direction: str,
    events: tuple[str, ...],
    says: str | None,
    status: str,
    *,
    follow_up: bool,
) -> None:
    alike = [c for c in many if (c.expected["direction"], names(c), end(c)) == (direction, events, says)]
    assert alike
    assert {(c.expected["status"], c.expected["follow_up"]) for c in alike} == {(status, follow_up)}


def test_no_call_goes_another_way_than_the_table_says(many: list[SimulatedCall]) -> None:
    assert len({(call.expected["direction"], names(call), end(call)) for call in many}) == 13


def test_the_expected_record_names_fields_of_the_record(many: list[SimulatedCall]) -> None:
    assert set(many[0].expected) < set(FIELDS)
    assert not {"answered_at", "response_seconds"} & set(many[0].expected)


def test_numbers_stand_by_direction(many: list[SimulatedCall]) -> None:
    for call in many:
        said = call.expected
        caller, callee = said["external_number"], said["internal_number"]
        if said["direction"] == "outbound":
            caller, callee = callee, caller
        assert (said["from"], said["to"]) == (caller, callee)
        assert re.fullmatch(r"\+346000\d{5}", said["external_number"])
        assert re.fullmatch(r"\+349[13]000000\d", said["internal_number"])


def test_a_call_began_before_now_and_ends_after_it(many: list[SimulatedCall]) -> None:
    for call in many:
        started = datetime.fromisoformat(call.expected["started_at"])
        assert timedelta(seconds=2) <= NOW - started < timedelta(seconds=7)
        if call.expected["ended_at"]:
            ended = datetime.fromisoformat(call.expected["ended_at"])
            assert ended > NOW
            assert (ended - started).total_seconds() == call.expected["duration_seconds"]


def test_spacing_lets_each_call_begin_later() -> None:
    calls = scenarios(100, 1, NOW, spacing=timedelta(minutes=1))
    last = datetime.fromisoformat(calls[-1].expected["started_at"])
    assert timedelta(minutes=98) < last - NOW < timedelta(minutes=99)


def test_a_call_under_way_has_no_end(many: list[SimulatedCall]) -> None:
    under_way = [call for call in many if call.expected["status"] in {"in_progress", "answered"}]
    assert under_way
    assert all(call.expected["ended_at"] is call.expected["duration_seconds"] is None for call in under_way)


def test_a_new_contact_is_known_once_a_later_event_bears_it(many: list[SimulatedCall]) -> None:
    late = [call for call in many if call.events[0]["data"]["contact_id"] is None and len(call.events) > 1]
    known = [call.expected["contact_name"] for call in late if call.events[1]["data"]["contact_id"]]
    assert known
    assert all(known)
    unknown = [call.expected["contact_id"] for call in late if call.events[1]["data"]["contact_id"] is None]
    assert unknown
    assert not any(unknown)


def test_some_names_have_accents(many: list[SimulatedCall]) -> None:
    assert any(not (call.expected["contact_name"] or "").isascii() for call in many)
