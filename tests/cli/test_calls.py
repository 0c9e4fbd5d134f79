"""`relay calls`: the joined records, for people and for scripts."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.home import Home, settled

RECORD = [
    *("id", "call_id", "call_uuid", "direction", "status", "from", "to", "external_number"),
    *("internal_number", "contact_id", "contact_name", "agent_id", "agent_name", "agent_email"),
    *("started_at", "answered_at", "ended_at", "response_seconds", "duration_seconds", "talking_seconds"),
    *("waiting_seconds", "wrapup_seconds", "recording_url", "tags", "notes", "transcript", "summary"),
    *("follow_up", "version", "cloudtalk_data", "merged_into"),
]
"""As the contract lists them."""


def event(kind: str, name: str, **data: Any) -> dict[str, Any]:
    return {"event": f"call.{kind}", "data": {"id": name, "direction": "inbound"} | data}


def test_the_calls_that_began_last_come_first(home: Home) -> None:
    began = {
        "middle": "2026-01-02T10:00:00Z",
        "first": "2026-01-01T10:00:00Z",
        "last": "2026-01-03T10:00:00Z",
    }
    home.take(*(event("started", name, started_at=at) for name, at in began.items()), until=settled(3))
    ids = ["cloudtalk-last", "cloudtalk-middle", "cloudtalk-first"]
    assert [call["id"] for call in home.json("calls", "list")] == ids
    assert [call["id"] for call in home.json("calls", "list", "--limit", "2")] == ids[:2]


def test_a_listed_call_is_the_canonical_record(home: Home) -> None:
    home.take(event("ended", "1", status="missed", contact_name="Íñigo"), until=settled(1))
    (call,) = home.json("calls", "list")
    assert list(call) == RECORD
    assert (call["status"], call["contact_name"], call["follow_up"], call["tags"]) == (
        "missed",
        "Íñigo",
        True,
        [],
    )


def test_off_a_terminal_each_call_is_one_line(home: Home) -> None:
    long = "x" * 150
    home.take(event("started", long, contact_name="María José " * 9), event("ended", "2"), until=settled(2))
    done = home.run("calls", "list")
    heading, *lines = done.stdout.splitlines()
    assert heading.split() == ["id", "direction", "status", "number", "contact", "started", "seconds"]
    assert sorted(line.split()[0] for line in lines) == ["cloudtalk-2", f"cloudtalk-{long}"]


def test_without_calls_there_is_nothing_to_list(home: Home) -> None:
    assert home.json("calls", "list") == []
    assert len(home.run("calls", "list").stdout.splitlines()) == 1


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_a_limit_is_a_count(home: Home, limit: str) -> None:
    assert home.run("calls", "list", "--limit", limit).exit_code == 2


def test_a_call_is_shown_with_its_events_and_deliveries(home: Home) -> None:
    sent = [event("started", "1", started_at="2026-01-01T10:00:00Z"), event("ended", "1", duration=61)]
    home.take(*sent, until=settled(1))
    call = home.json("calls", "show", "cloudtalk-1")
    assert list(call) == [*RECORD, "agents", "events", "deliveries"]
    assert (call["status"], call["duration_seconds"], call["merged_into"]) == ("completed", 61, None)
    assert [list(told) for told in call["events"]] == [
        ["seq", "kind", "dialect", "said_at", "received_at", "raw"]
    ] * 2
    assert [(told["kind"], json.loads(told["raw"])) for told in call["events"]] == [
        ("started", sent[0]),
        ("ended", sent[1]),
    ]
    assert [told["seq"] for told in call["events"]] == [1, 2]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(call["events"][0]["received_at"])).seconds < 60
    (delivery,) = call["deliveries"]
    assert delivery == {
        "destination": "crm",
        "state": "delivered",
        "version": call["version"],
        "delivered_version": call["version"],
        "attempts": delivery["attempts"],
        "next_attempt_at": None,
        "remote_id": "cloudtalk-1",
        "outcome": "delivered",
        "code": None,
        "message": None,
    }


@pytest.mark.parametrize("name", ["42", "A1B2C3D4-0000-4000-8000-00000000ABCD", "my call"])
def test_a_call_is_found_by_the_records_id_and_by_cloudtalks(home: Home, name: str) -> None:
    home.take(event("started", name), until=settled(1))
    for wanted in (name, f"cloudtalk-{name}"):
        assert home.json("calls", "show", wanted)["call_id"] == name


def test_a_person_reads_the_fields_then_the_events_then_the_deliveries(home: Home) -> None:
    home.take(event("missed", "1", contact_name="Ana", duration=5), until=settled(1))
    fields, events, deliveries = home.run("calls", "show", "1").stdout.split("\n\n")
    told = {line.split()[0]: line.partition(" ")[2].strip() for line in fields.splitlines()}
    assert list(told) == ["field", *RECORD, "agents"]
    assert (told["contact_name"], told["tags"], told["notes"], told["follow_up"]) == ("Ana", "[]", "", "True")
    assert json.loads(told["cloudtalk_data"])["duration"] == 5
    assert [line.split()[:3] for line in events.splitlines()] == [
        ["events"],
        ["seq", "kind", "dialect"],
        ["1", "missed", "mission"],
    ]
    assert [line.split()[:2] for line in deliveries.splitlines()] == [
        ["deliveries"],
        ["destination", "state"],
        ["crm", "delivered"],
    ]


def test_others_words_are_shown_and_not_obeyed(home: Home) -> None:
    name = "[red]Ana[/blue] :smile: \x1b[2J\nBob"
    home.take(event("started", "1", contact_name=name), until=settled(1))
    for command in (("calls", "list"), ("calls", "show", "1")):
        shown = home.run(*command).stdout
        assert "[red]Ana[/blue] :smile: \\x1b[2J\\nBob" in shown
        assert "\x1b" not in shown


def test_an_unknown_call_ends_with_1_and_says_where_to_look(home: Home) -> None:
    done = home.run("calls", "show", "nobody")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "nobody" in done.stderr
    assert "relay calls list" in done.stderr


def test_a_ledger_that_cannot_be_read_ends_with_1(home: Home) -> None:
    (home.folder / "relay.db").write_text("Dear diary, " * 1000)
    done = home.run("calls", "list")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "relay.db" in done.stderr
    assert isinstance(done.exception, SystemExit)


def test_a_table_is_a_screenful_and_scripts_get_all(home: Home) -> None:
    names = [str(number) for number in range(60)]
    home.take(*(event("started", name) for name in names), until=settled(60))
    assert len(home.json("calls", "list")) == 60
    assert len(home.json("calls", "list", "--limit", "7")) == 7
    done = home.run("calls", "list")
    assert len(done.stdout.splitlines()) == 51
    assert "50 of 60" in done.stderr


def test_a_call_is_split_by_any_of_its_ids(home: Home) -> None:
    uuid = "44fe27cd-5268-4670-993e-0129aabbccdd"
    linked = {"event": "call.ended", "call_uuid": uuid, "call_id": 77, "talking_time": 5}
    home.take(linked, until=settled(1))
    assert home.json("calls", "split", "77") == {
        "kept": f"cloudtalk-{uuid}",
        "split_off": "cloudtalk-77",
        "events_moved": 0,
    }
    assert home.run("calls", "split", "nobody").exit_code == 1
