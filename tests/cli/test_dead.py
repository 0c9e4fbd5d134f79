"""`relay dead`: list, show, replay and drop dead letters."""

import json

import msgspec
import pytest

from relay.instants import Instant
from relay.ledger import calls, deliveries, destinations
from relay.ledger.connection import Connection
from relay.ledger.states import DeliveryState
from tests.support.deliveries import delivered_update
from tests.support.home import LOCAL, Home
from tests.support.samples import RECEIVED_AT, make_call_row

REJECTED = delivered_update(
    state=DeliveryState.DEAD,
    delivered_version=0,
    attempted_at=RECEIVED_AT,
    remote_id=None,
    outcome="rejected",
    code="22P05",
    message="it's no [text]",
)
GAVE_UP = msgspec.structs.replace(
    REJECTED, call="cloudtalk-2", outcome="retry", code="500", message="oops", attempted_at=RECEIVED_AT - 1
)


@pytest.fixture
def with_dead_letters(home: Home) -> Home:
    """`crm` has dead letters of the calls 1 and 2, `other` of the call 1; call 3 is pending at both."""
    home.write_settings(LOCAL + LOCAL.replace("crm", "other"))

    def write(connection: Connection) -> None:
        destinations.register(connection, {"crm": "local", "other": "local"})
        rows = [make_call_row(f"cloudtalk-{name}", 1, contact_name="Ana") for name in "123"]
        calls.write(connection, rows, [])
        deliveries.enqueue(connection, [(row.id, 1) for row in rows], now=Instant(1))
        deliveries.settle(connection, "crm", [REJECTED, GAVE_UP], now=Instant(1))
        deliveries.settle(connection, "other", [REJECTED], now=Instant(1))

    home.write_ledger(write)
    return home


def list_dead(home: Home, *arguments: str) -> list[str]:
    return [f"{row['destination']} {row['id'][10:]}" for row in home.json("dead", "list", *arguments)]


# --- list and show ------------------------------------------------------------------------------------


def test_dead_letters_are_listed_with_the_crms_message_the_latest_first(with_dead_letters: Home) -> None:
    latest, *others = with_dead_letters.json("dead", "list")
    assert latest.pop("explanation").startswith("Not in crm: crm rejected the record at 2027-01-15T08:00:00Z")
    assert latest == {
        "id": "cloudtalk-1",
        "destination": "crm",
        "explanation_code": "rejected",
        "version": 1,
        "delivered_version": None,
        "attempts": 1,
        "attempted_at": "2027-01-15T08:00:00Z",
        "outcome": "rejected",
        "code": "22P05",
        "message": "it's no [text]",
    }
    assert [(row["id"], row["destination"]) for row in others] == [
        ("cloudtalk-1", "other"),
        ("cloudtalk-2", "crm"),
    ]
    heading, line, *_ = with_dead_letters.run("dead", "list").stdout.splitlines()
    assert heading.split() == ["id", "destination", "attempted_at", "attempts", "code", "message"]
    assert line.split()[:6] == ["cloudtalk-1", "crm", "2027-01-15", "09:00:00+01:00", "1", "22P05"]
    assert line.endswith("it's no [text]")


def test_the_dead_letters_of_one_destination_are_listed(with_dead_letters: Home) -> None:
    assert list_dead(with_dead_letters, "--destination", "other") == ["other 1"]


@pytest.mark.parametrize("name", ["1", "cloudtalk-1"])
def test_a_call_is_shown_with_the_message_of_each_crm_and_what_to_do(
    with_dead_letters: Home, name: str
) -> None:
    shown = with_dead_letters.json("dead", "show", name)
    assert (shown["id"], shown["contact_name"]) == ("cloudtalk-1", "Ana")
    assert [row["destination"] for row in shown["dead_letters"]] == ["crm", "other"]
    assert "relay dead replay cloudtalk-1" in shown["dead_letters"][0]["explanation"]
    record, crm, other, drop = with_dead_letters.run("dead", "show", name).stdout.split("\n\n")
    assert "Ana" in record
    for table, destination in ((crm, "crm"), (other, "other")):
        assert f"destination        {destination}" in table
        assert "22P05" in table
        assert "it's no [text]" in table
        assert "relay dead replay cloudtalk-1" in table
    assert drop == "To give one up: `relay dead drop cloudtalk-1`\n"


def test_the_explanation_depends_on_whether_the_crm_rejected_the_call(with_dead_letters: Home) -> None:
    shown = [with_dead_letters.json("dead", "show", name)["dead_letters"][0] for name in "12"]
    assert [found["explanation_code"] for found in shown] == ["rejected", "gave_up"]
    assert "crm accepted other calls (500: oops)" in shown[1]["explanation"]


def test_the_dead_letter_of_a_merged_call_is_found_by_its_own_id(with_dead_letters: Home) -> None:
    row = make_call_row("cloudtalk-2", 2)
    merged = msgspec.structs.replace(
        row, record=msgspec.structs.replace(row.record, merged_into="cloudtalk-3")
    )
    with_dead_letters.write_ledger(lambda c: calls.write(c, [], [merged]))
    assert with_dead_letters.json("dead", "show", "cloudtalk-2")["dead_letters"][0]["code"] == "500"


@pytest.mark.parametrize("wanted", [("nobody",), ("3",), ("2", "--destination", "other")])
def test_a_call_without_a_dead_letter_exits_with_1(with_dead_letters: Home, wanted: tuple[str, ...]) -> None:
    result = with_dead_letters.run("dead", "show", *wanted)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"no dead letter for {wanted[0]};" in result.stderr


# --- replay and drop -----------------------------------------------------------------------------------


def test_a_replayed_call_is_pending_again_at_each_destination(with_dead_letters: Home) -> None:
    assert with_dead_letters.run("dead", "replay", "1").stdout == "2 pending again\n"
    assert list_dead(with_dead_letters) == ["crm 2"]
    assert with_dead_letters.count_pending() == {"crm": 2, "other": 3}


def test_several_calls_are_replayed_and_printed_as_json(with_dead_letters: Home) -> None:
    assert with_dead_letters.json("dead", "replay", "2", "cloudtalk-1", "1", "--destination", "crm") == [
        {"id": "cloudtalk-1", "destination": "crm"},
        {"id": "cloudtalk-2", "destination": "crm"},
    ]
    assert list_dead(with_dead_letters) == ["other 1"]


def test_dropped_calls_are_not_pending(with_dead_letters: Home) -> None:
    assert with_dead_letters.run("dead", "drop", "1", "--destination", "other").stdout == "1 dropped\n"
    assert list_dead(with_dead_letters) == ["crm 1", "crm 2"]
    assert with_dead_letters.count_pending() == {"crm": 1, "other": 2}


@pytest.mark.parametrize(("command", "change"), [("replay", "pending again"), ("drop", "dropped")])
def test_all_changes_every_dead_letter_and_a_second_time_none(
    with_dead_letters: Home, command: str, change: str
) -> None:
    assert with_dead_letters.run("dead", command, "--all").stdout == f"3 {change}\n"
    result = with_dead_letters.run("dead", command, "--all")
    assert (result.exit_code, result.stdout) == (0, f"0 {change}\n")
    assert list_dead(with_dead_letters) == []


@pytest.mark.parametrize("command", ["replay", "drop"])
def test_an_id_without_a_dead_letter_exits_with_1_and_changes_nothing(
    with_dead_letters: Home, command: str
) -> None:
    result = with_dead_letters.run("dead", command, "1", "nobody", "3")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no dead letter for nobody, 3; `relay dead list`" in result.stderr
    assert len(list_dead(with_dead_letters)) == 3


@pytest.mark.parametrize("command", ["replay", "drop"])
def test_ids_or_all_are_required_and_not_both(with_dead_letters: Home, command: str) -> None:
    assert with_dead_letters.run("dead", command).exit_code == 2
    assert with_dead_letters.run("dead", command, "1", "--all").exit_code == 2
    assert len(list_dead(with_dead_letters)) == 3


@pytest.mark.parametrize(
    "command", [("list",), ("show", "1"), ("replay", "--all"), ("drop", "--all"), ("replay", "1")]
)
def test_an_unknown_destination_exits_with_1_and_names_the_known_ones(
    with_dead_letters: Home, command: tuple[str, ...]
) -> None:
    result = with_dead_letters.run("dead", *command, "--destination", "cmr")
    assert (
        result.exit_code,
        "no destination is named cmr; the destinations are crm, other" in result.stderr,
    ) == (1, True)
    assert len(list_dead(with_dead_letters)) == 3


def test_without_dead_letters_the_list_is_empty(home: Home) -> None:
    assert json.loads(home.run("dead", "list", "--json").stdout) == []
