"""`relay calls`: list, show and split calls, as tables and as JSON."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.home import Home, all_delivered

RECORD = [
    *("id", "call_id", "call_uuid", "direction", "status", "from", "to", "external_number"),
    *("internal_number", "contact_id", "contact_name", "agent_id", "agent_name", "agent_email"),
    *("started_at", "answered_at", "ended_at", "response_seconds", "duration_seconds", "talking_seconds"),
    *("waiting_seconds", "wrapup_seconds", "recording_url", "tags", "notes", "transcript", "summary"),
    *("follow_up", "version", "cloudtalk_data", "merged_into", "legs", "called_back_at", "called_back_by"),
    *("missed_reason", "smart_notes"),
]
"""The fields of the record, in their order."""


def event(kind: str, name: str, **data: Any) -> dict[str, Any]:
    return {"event": f"call.{kind}", "data": {"id": name, "direction": "inbound"} | data}


def test_the_latest_calls_come_first(home: Home) -> None:
    started = {
        "middle": "2026-01-02T10:00:00Z",
        "first": "2026-01-01T10:00:00Z",
        "last": "2026-01-03T10:00:00Z",
    }
    home.run_relay(
        *(event("started", name, started_at=at) for name, at in started.items()), until=all_delivered(3)
    )
    ids = ["cloudtalk-last", "cloudtalk-middle", "cloudtalk-first"]
    assert [call["id"] for call in home.json("calls", "list")] == ids
    assert [call["id"] for call in home.json("calls", "list", "--limit", "2")] == ids[:2]


def test_a_listed_call_is_the_canonical_record(home: Home) -> None:
    home.run_relay(event("ended", "1", status="missed", contact_name="Íñigo"), until=all_delivered(1))
    (call,) = home.json("calls", "list")
    assert list(call) == [*RECORD, "deliveries"]
    assert call["deliveries"] == [{"destination": "crm", "state": "delivered"}]
    assert (call["status"], call["contact_name"], call["follow_up"], call["tags"]) == (
        "missed",
        "Íñigo",
        True,
        [],
    )


def test_without_a_terminal_each_call_is_one_line(home: Home) -> None:
    long = "x" * 150
    home.run_relay(
        event("started", long, contact_name="María José " * 9), event("ended", "2"), until=all_delivered(2)
    )
    result = home.run("calls", "list")
    heading, *lines = result.stdout.splitlines()
    assert heading.split() == ["id", "direction", "status", "number", "contact", "started", "secs"]
    assert sorted(line.split()[0] for line in lines) == ["cloudtalk-2", f"cloudtalk-{long}"]


def test_without_calls_the_list_is_empty(home: Home) -> None:
    assert home.json("calls", "list") == []
    result = home.run("calls", "list")
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == "\nno calls\n"
    waiting = home.run("calls", "list", "--unanswered").stderr
    assert waiting == "\nno customer whose call was missed in the last 7 days waits for a call\n"


def test_calls_without_an_answer_are_listed(home: Home) -> None:
    now = datetime.now(UTC)
    missed = {
        name: event("missed", name, **{"from": number}, started_at=f"{now - timedelta(hours=age):%FT%TZ}")
        for name, number, age in (
            ("first", "+34600000001", 3),
            ("again", "+34600000001", 2),
            ("settled", "+34600000002", 2),
        )
    }
    talked = event("ended", "talked", **{"from": "+34600000002"}, status="answered")
    home.run_relay(*missed.values(), talked, until=all_delivered(4))
    (call,) = home.json("calls", "list", "--unanswered")
    assert (call["id"], call["follow_up"], call["missed_calls"]) == ("cloudtalk-again", True, 2)
    assert 3 * 3_600 <= call["unanswered_seconds"] < 3 * 3_600 + 120
    assert call["first_missed_at"] == f"{now - timedelta(hours=3):%FT%TZ}"
    _, line = home.run("calls", "list", "--unanswered").stdout.splitlines()
    assert line.split()[:5] == ["cloudtalk-again", "+34600000001", "2", "3", "h"]
    waiting = "calls: 4; 1 missed customer waits for a call (longest: 3 h"
    assert waiting in home.run("status").stdout
    other = home.run("calls", "list", "--unanswered", "--status", "missed")
    assert (other.exit_code, "leave out the other conditions" in other.stderr) == (2, True)


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_an_invalid_limit_is_a_usage_error(home: Home, limit: str) -> None:
    assert home.run("calls", "list", "--limit", limit).exit_code == 2


def test_a_call_is_shown_with_its_events_and_deliveries(home: Home) -> None:
    sent = [event("started", "1", started_at="2026-01-01T10:00:00Z"), event("ended", "1", duration=61)]
    home.run_relay(*sent, until=all_delivered(1))
    call = home.json("calls", "show", "cloudtalk-1")
    assert list(call) == [*RECORD, "agents", "events", "deliveries", "explanations", "events_left_out"]
    assert (call["status"], call["duration_seconds"], call["merged_into"]) == ("completed", 61, None)
    assert [list(view) for view in call["events"]] == [
        ["seq", "kind", "dialect", "said_at", "received_at", "raw"]
    ] * 2
    assert [(view["kind"], json.loads(view["raw"])) for view in call["events"]] == [
        ("started", sent[0]),
        ("ended", sent[1]),
    ]
    assert [view["seq"] for view in call["events"]] == [1, 2]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(call["events"][0]["received_at"])).seconds < 60
    (delivery,) = call["deliveries"]
    explanation, pushes = delivery.pop("explanation"), delivery.pop("pushes")
    assert [push["version"] for push in pushes][-1] == call["version"]
    assert explanation.startswith(f"In crm: it has the newest version ({call['version']}) since 20")
    assert delivery == {
        "destination": "crm",
        "state": "delivered",
        "explanation_code": "delivered",
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
def test_a_call_is_found_by_the_id_of_the_record_and_by_the_id_of_cloudtalk(home: Home, name: str) -> None:
    home.run_relay(event("started", name), until=all_delivered(1))
    for wanted in (name, f"cloudtalk-{name}"):
        assert home.json("calls", "show", wanted)["call_id"] == name


def test_the_tables_show_the_fields_the_legs_the_events_and_the_deliveries(home: Home) -> None:
    home.run_relay(event("missed", "1", contact_name="Ana", duration=5), until=all_delivered(1))
    shown = home.run("calls", "show", "1").stdout.split("\n\n")
    fields, legs, events, deliveries, pushes, explanation = shown
    assert pushes.splitlines()[2].split()[:1] == ["crm"]
    assert explanation.startswith("In crm: it has the newest version (1) since 20")
    values = {line.split()[0]: line.partition(" ")[2].strip() for line in fields.splitlines()}
    assert list(values) == ["field", *(field for field in RECORD if field != "legs"), "agents"]
    assert (values["contact_name"], values["tags"], values["notes"], values["follow_up"]) == (
        "Ana",
        "[]",
        "",
        "True",
    )
    assert json.loads(values["cloudtalk_data"])["duration"] == 5
    assert [line.split() for line in legs.splitlines()] == [
        ["legs"],
        ["agent_id", "agent_name", "started_at", "ended_at", "talking_seconds", "outcome"],
        ["missed"],
    ]
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


def test_markup_and_control_characters_in_names_are_shown_as_text(home: Home) -> None:
    name = "[red]Ana[/blue] :smile: \x1b[2J\nBob"
    home.run_relay(event("started", "1", contact_name=name), until=all_delivered(1))
    for command in (("calls", "list"), ("calls", "show", "1")):
        shown = home.run(*command).stdout
        assert "[red]Ana[/blue] :smile: \\x1b[2J\\nBob" in shown
        assert "\x1b" not in shown


def test_an_unknown_call_exits_with_1_and_says_what_to_do(home: Home) -> None:
    result = home.run("calls", "show", "nobody")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no call has the id nobody\nNo event of any call has arrived yet;" in result.stderr
    home.run_relay(event("started", "1"), until=all_delivered(1))
    assert "relay calls list" in home.run("calls", "show", "nobody").stderr


def test_an_unreadable_ledger_exits_with_1(home: Home) -> None:
    (home.folder / "relay.db").write_text("Dear diary, " * 1000)
    result = home.run("calls", "list")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "relay.db" in result.stderr
    assert isinstance(result.exception, SystemExit)


def test_a_table_lists_50_calls_and_json_all(home: Home) -> None:
    names = [str(number) for number in range(60)]
    home.run_relay(*(event("started", name) for name in names), until=all_delivered(60))
    assert len(home.json("calls", "list")) == 60
    assert len(home.json("calls", "list", "--limit", "7")) == 7
    result = home.run("calls", "list")
    assert len(result.stdout.splitlines()) == 51
    assert "the latest 50 calls; there are more: use --limit" in result.stderr


def test_a_filter_matches_by_number_name_agent_time_status_and_delivery(home: Home) -> None:
    home.run_relay(
        event(
            "ended",
            "1",
            status="missed",
            contact_name="Ana García",
            from_number="+34600112233",
            started_at="2026-01-01T23:30:00Z",
        ),
        event(
            "ended",
            "2",
            status="answered",
            contact_name="Ana Gil",
            agent_name="Luis Peña",
            agent_id=7,
            from_number="+34911223344",
            started_at="2026-01-02T10:00:00Z",
        ),
        until=all_delivered(2),
    )
    for arguments, names in {
        ("--number", "600112233"): ["1"],
        ("--number", "0034 911"): ["2"],
        ("--number", "2233"): ["1"],
        ("--name", "garcia ANA"): ["1"],
        ("--name", "ana g"): ["2", "1"],
        ("--agent", "pena"): ["2"],
        ("--agent", "7"): ["2"],
        ("--since", "2026-01-02"): ["2", "1"],
        ("--until", "2026-01-02"): [],
        ("--since", "2026-01-02T10:00:00+00:00"): ["2"],
        ("--status", "missed"): ["1"],
        ("--status", "perdida"): ["1"],
        ("--status", "Completada", "--status", "missed"): ["2", "1"],
        ("--direction", "inbound"): ["2", "1"],
        ("--direction", "unknown"): [],
        ("--destination", "crm", "--delivery", "delivered"): ["2", "1"],
        ("--delivery", "dead"): [],
        ("--name", "ana", "--status", "missed", "--limit", "1"): ["1"],
    }.items():
        assert [call["call_id"] for call in home.json("calls", "list", *arguments)] == names, arguments


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--number", "x"), "'--number': a number is found by 2 digits"),
        (("--name", "…"), "'--name': a name is found by letters"),
        (("--since", "soon"), "'--since': expected a date such as 2024-11-28"),
        (("--status", "lost"), "'--status': no status is called 'lost'"),
        (("--direction", "up"), "'--direction': no direction is called 'up'"),
        (("--delivery", "sent"), "'--delivery': no state of a delivery is called 'sent'"),
    ],
)
def test_a_filter_that_cannot_be_read_is_a_usage_error(
    home: Home, arguments: tuple[str, ...], problem: str
) -> None:
    home.create_files()
    result = home.run("calls", "list", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr


def test_times_are_shown_in_the_settings_time_zone(home: Home) -> None:
    home.run_relay(event("started", "1", started_at="2026-07-01T10:00:30Z"), until=all_delivered(1))
    assert "2026-07-01 12:00+02:00" in home.run("calls", "list").stdout
    shown = home.run("calls", "show", "1").stdout
    assert "started_at        2026-07-01 12:00:30+02:00" in shown
    assert "1    started  mission  2026-07-01 12:00:30+02:00  " in shown
    assert home.json("calls", "show", "1")["started_at"] == "2026-07-01T10:00:30Z"


def test_a_number_with_spaces_needs_quotes(home: Home) -> None:
    result = home.run("calls", "show", "0034", "612", "345", "678")
    assert result.exit_code == 2
    assert "write a number with spaces in quotes: '0034 612 345 678'" in result.stderr


def test_of_a_number_the_newest_call_is_shown_and_the_others_are_counted(home: Home) -> None:
    times = {"1": "2026-01-01T10:00:00Z", "2": "2026-01-03T10:00:00Z", "3": "2026-01-02T10:00:00Z"}
    number = "+34600112233"
    home.run_relay(
        *(event("started", name, from_number=number, started_at=at) for name, at in times.items()),
        event("started", "4455", from_number="+34911223344"),
        until=all_delivered(4),
    )
    shown = home.run("calls", "show", "600 11 22 33")
    assert shown.exit_code == 0
    assert "cloudtalk-2" in shown.stdout
    assert "the newest of 3 calls with the number 600 11 22 33" in shown.stderr
    assert "relay calls list --number '600 11 22 33'" in shown.stderr
    alone = home.run("calls", "show", "3344")
    assert (alone.exit_code, alone.stderr) == (0, "")
    assert "cloudtalk-4455" in alone.stdout
    assert home.run("calls", "show", "600112233", "--log").exit_code == 0
    assert home.run("calls", "show", "699").exit_code == 1


def test_a_call_is_split_by_any_of_its_ids(home: Home) -> None:
    uuid = "44fe27cd-5268-4670-993e-0129aabbccdd"
    linked = {"event": "call.ended", "call_uuid": uuid, "call_id": 77, "talking_time": 5}
    home.run_relay(linked, until=all_delivered(1))
    assert home.json("calls", "split", "77") == {
        "kept": f"cloudtalk-{uuid}",
        "split_off": "cloudtalk-77",
        "events_moved": 0,
    }
    assert home.run("calls", "split", "nobody").exit_code == 1
