"""`relay quarantine`: list, show, retry and drop; and `relay rebuild`."""

import json
from collections.abc import Sequence

import pytest

from relay.ledger import journal, quarantine
from relay.ledger.connection import Connection
from relay.ledger.quarantine import NewQuarantinedBody, QuarantinedBody
from tests.support.home import Home, all_delivered
from tests.support.relay import WEBHOOK_PATH
from tests.support.samples import RECEIVED_AT

EVENT = b'{"event":"call.started","data":{"id":"7","direction":"inbound"}}'


@pytest.fixture
def two_bodies(home: Home) -> Home:
    """The first body can be parsed now, the second cannot."""
    home.add_quarantined_body(EVENT, reason="unreadable_field", message="direction: expected")
    home.add_quarantined_body(b"hello", reason="not_json", message="the body is not JSON")
    return home


def test_bodies_are_listed_and_shown_with_the_reason(two_bodies: Home) -> None:
    first, second = two_bodies.json("quarantine", "list")
    assert (first["id"], first["reason"], first["raw"]) == (1, "unreadable_field", EVENT.decode())
    assert first["received_at"].endswith("Z")
    assert two_bodies.json("quarantine", "show", "2") == second
    lines = two_bodies.run("quarantine", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["id", "1", "2"]


def test_people_see_times_in_the_zone_of_the_settings(two_bodies: Home) -> None:
    assert two_bodies.json("quarantine", "show", "1")["received_at"] == "2027-01-15T08:00:00Z"
    for command in (["list"], ["show", "1"]):
        assert "2027-01-15 09:00:00+01:00" in two_bodies.run("quarantine", *command).stdout


def test_retry_accepts_what_can_be_parsed_and_keeps_the_rest(two_bodies: Home) -> None:
    result = two_bodies.run("quarantine", "retry", "--all", "--json")
    assert result.exit_code == 1
    first, second = json.loads(result.stdout)
    assert (first["id"], first["events"], first["problem"]) == (1, 1, None)
    assert second["problem"].startswith("the body is not JSON")
    assert [row["id"] for row in two_bodies.json("quarantine", "list")] == [2]
    assert two_bodies.json("status")["events"] == {
        "accepted": 1,
        "unfolded": 1,
        "last_at": "2027-01-15T08:00:00Z",
        "aside": 0,
        "quarantined": 1,
        "quarantine_dropped": 0,
        "unclear": 0,
    }


def test_drop_deletes(two_bodies: Home) -> None:
    assert two_bodies.run("quarantine", "drop", "2").stdout == "1 dropped\n"
    assert two_bodies.run("quarantine", "drop", "--all").stdout == "1 dropped\n"
    assert two_bodies.json("quarantine", "list") == []


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_ids_or_all_are_required_and_not_both(two_bodies: Home, command: str) -> None:
    assert two_bodies.run("quarantine", command).exit_code == 2
    assert two_bodies.run("quarantine", command, "1", "--all").exit_code == 2


@pytest.mark.parametrize("command", ["show", "retry", "drop"])
def test_an_unknown_id_exits_with_1_and_changes_nothing(two_bodies: Home, command: str) -> None:
    arguments = ("9",) if command == "show" else ("1", "9")
    result = two_bodies.run("quarantine", command, *arguments)
    assert result.exit_code == 1
    assert "relay quarantine list" in result.stderr
    assert len(two_bodies.json("quarantine", "list")) == 2


@pytest.mark.parametrize("command", [("list",), ("retry", "--all"), ("drop", "--all")])
def test_a_full_quarantine_is_read_a_few_bodies_at_a_time(
    home: Home, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """A transaction may take 6 s, and the bodies of a full quarantine fit into no memory."""
    body = NewQuarantinedBody(RECEIVED_AT, "not_json", "", "", "application/json", WEBHOOK_PATH, "", EVENT)
    home.write_ledger(lambda connection: [quarantine.add(connection, body) for _ in range(120)])
    read: list[int] = []
    get_many = quarantine.get_many

    def count(connection: Connection, ids: Sequence[int]) -> list[QuarantinedBody]:
        read.append(len(ids))
        return get_many(connection, ids)

    monkeypatch.setattr(quarantine, "get_many", count)
    assert home.run("quarantine", *command).exit_code == 0
    assert read == [50, 50, 20]
    assert home.json("status")["events"]["quarantined"] == (120 if command == ("list",) else 0)


# --- events that were set aside ---------------------------------------------------------------------


@pytest.fixture
def set_aside(home: Home) -> Home:
    """A ledger with two folded events, of which the second was then set aside."""
    home.run_relay(
        {"event": "call.started", "data": {"id": "7"}},
        {"event": "call.ended", "data": {"id": "7", "status": "missed"}},
        until=all_delivered(1),
    )
    home.write_ledger(lambda c: journal.set_aside(c, 2, "ValueError('broken')"))
    return home


def test_an_event_that_was_set_aside_is_listed_shown_and_counted(set_aside: Home) -> None:
    set_aside.add_quarantined_body(b"hello", reason="not_json", message="no JSON")
    body, event = set_aside.json("quarantine", "list")
    assert (body["id"], body["kind"]) == (1, "body")
    assert (event["id"], event["kind"], event["reason"]) == ("e2", "event", "set_aside")
    assert event["message"] == "ValueError('broken')"
    assert json.loads(event["raw"])["event"] == "call.ended"
    assert set_aside.json("quarantine", "show", "e2") == event
    assert set_aside.json("status")["events"]["aside"] == 1
    assert "1 events could not be folded and were set aside" in set_aside.run("status").stdout


@pytest.mark.parametrize(
    "command", [["quarantine", "retry", "e2"], ["quarantine", "retry", "--all"], ["rebuild"]]
)
def test_an_event_that_was_set_aside_is_folded_after_a_retry(set_aside: Home, command: list[str]) -> None:
    assert set_aside.run(*command).exit_code == 0
    assert set_aside.json("quarantine", "list") == []
    set_aside.run_relay(until=all_delivered(1))
    events = set_aside.json("status")["events"]
    assert (events["accepted"], events["aside"], events["unfolded"]) == (2, 0, 0)
    assert [event["seq"] for event in set_aside.json("calls", "show", "7")["events"]] == [1, 2]


def test_an_event_that_was_set_aside_can_be_dropped(set_aside: Home) -> None:
    assert set_aside.run("quarantine", "drop", "e2").stdout == "1 dropped\n"
    assert set_aside.json("quarantine", "list") == []
    assert set_aside.json("status")["events"]["accepted"] == 1


def test_an_event_that_was_not_set_aside_is_no_entry(set_aside: Home) -> None:
    assert set_aside.run("quarantine", "drop", "e1").exit_code == 1
    assert set_aside.json("status")["events"]["accepted"] == 2


def test_a_rebuild_prints_how_many_calls_changed(two_bodies: Home) -> None:
    two_bodies.run("quarantine", "retry", "1")
    assert two_bodies.json("rebuild") == {"calls": 0, "changed": 0, "unread": 0, "skipped": 0, "retried": 0}
    assert two_bodies.run("rebuild").stdout == "0 calls recomputed, 0 changed\n"
