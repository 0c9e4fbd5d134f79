"""`relay dead`: a person looks at what a CRM will not have, and decides."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection

from relay.cli.ledger import write_ledger
from relay.ledger import calls, deliveries, destinations
from relay.ledger.deliveries import DeliveryUpdate
from relay.ledger.states import DeliveryState
from relay.settings import load
from tests.support.home import LOCAL, Home
from tests.support.samples import RECEIVED_AT, call_row

DEAD = DeliveryUpdate(
    call="cloudtalk-1",
    version=1,
    state=DeliveryState.DEAD,
    delivered_version=0,
    due_at=0,
    attempts=1,
    attempted_at=RECEIVED_AT,
    failing_for=0,
    remote_id=None,
    outcome="rejected",
    code="22P05",
    message="it's no [text]",
)
GIVEN_UP = msgspec.structs.replace(
    DEAD, call="cloudtalk-2", outcome="retry", code="500", message="oops", attempted_at=RECEIVED_AT - 1
)


@pytest.fixture
def graveyard(home: Home) -> Home:
    """`crm` will not have the calls 1 and 2, nor `other` the call 1; the call 3 is owed to both."""
    home.write(LOCAL + LOCAL.replace("crm", "other"))

    def work(connection: Connection) -> None:
        destinations.register(connection, {"crm": "local", "other": "local"})
        rows = [call_row(f"cloudtalk-{name}", 1, contact_name="Ana") for name in "123"]
        calls.write(connection, rows, [])
        deliveries.enqueue(connection, [(row.id, 1) for row in rows], now=1)
        deliveries.settle(connection, "crm", [DEAD, GIVEN_UP], now=1)
        deliveries.settle(connection, "other", [DEAD], now=1)

    write(home, work)
    return home


def write(home: Home, work: Callable[[Connection], Any]) -> None:
    write_ledger(load(home.path), work)


def dead(home: Home, *arguments: str) -> list[str]:
    return [f"{row['destination']} {row['id'][10:]}" for row in home.json("dead", "list", *arguments)]


def owed(home: Home) -> dict[str, int]:
    return {row["name"]: row["pending"] for row in home.json("destinations", "list")}


# --- looking ------------------------------------------------------------------------------------


def test_they_are_listed_with_the_crms_words_the_latest_first(graveyard: Home) -> None:
    first, *others = graveyard.json("dead", "list")
    assert first == {
        "id": "cloudtalk-1",
        "destination": "crm",
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
    heading, line, *_ = graveyard.run("dead", "list").stdout.splitlines()
    assert heading.split() == ["id", "destination", "attempted_at", "attempts", "code", "message"]
    assert line.split()[:5] == ["cloudtalk-1", "crm", "2027-01-15T08:00:00Z", "1", "22P05"]
    assert line.endswith("it's no [text]")


def test_those_of_one_crm_are_listed_alone(graveyard: Home) -> None:
    assert dead(graveyard, "--destination", "other") == ["other 1"]


@pytest.mark.parametrize("name", ["1", "cloudtalk-1"])
def test_a_call_is_shown_with_what_each_crm_said_and_what_to_do(graveyard: Home, name: str) -> None:
    shown = graveyard.json("dead", "show", name)
    assert (shown["id"], shown["contact_name"]) == ("cloudtalk-1", "Ana")
    assert [letter["destination"] for letter in shown["letters"]] == ["crm", "other"]
    assert "relay dead replay cloudtalk-1" in shown["letters"][0]["hint"]
    record, crm, other = graveyard.run("dead", "show", name).stdout.split("\n\n")
    assert "Ana" in record
    for told, destination in ((crm, "crm"), (other, "other")):
        assert f"destination        {destination}" in told
        assert "22P05" in told
        assert "it's no [text]" in told
        assert "relay dead drop cloudtalk-1" in told


def test_what_was_given_up_is_not_said_to_be_refused(graveyard: Home) -> None:
    hints = [graveyard.json("dead", "show", name)["letters"][0]["hint"] for name in "12"]
    assert "the CRM refuses this record" in hints[0]
    assert "it kept failing while the CRM took other calls" in hints[1]


def test_the_letter_of_a_call_that_went_into_another_is_found_by_its_own_id(graveyard: Home) -> None:
    row = call_row("cloudtalk-2", 2)
    merged = msgspec.structs.replace(
        row, record=msgspec.structs.replace(row.record, merged_into="cloudtalk-3")
    )
    write(graveyard, lambda c: calls.write(c, [], [merged]))
    assert graveyard.json("dead", "show", "cloudtalk-2")["letters"][0]["code"] == "500"


@pytest.mark.parametrize("wanted", [("nobody",), ("3",), ("2", "--destination", "other")])
def test_under_what_is_not_dead_nothing_is_shown(graveyard: Home, wanted: tuple[str, ...]) -> None:
    done = graveyard.run("dead", "show", *wanted)
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"nothing is dead under {wanted[0]};" in done.stderr


# --- deciding -----------------------------------------------------------------------------------


def test_a_call_is_owed_afresh_to_whoever_would_not_have_it(graveyard: Home) -> None:
    assert graveyard.run("dead", "replay", "1").stdout == "2 owed again\n"
    assert dead(graveyard) == ["crm 2"]
    assert owed(graveyard) == {"crm": 2, "other": 3}


def test_several_are_replayed_and_told_to_scripts(graveyard: Home) -> None:
    assert graveyard.json("dead", "replay", "2", "cloudtalk-1", "1", "--destination", "crm") == [
        {"id": "cloudtalk-1", "destination": "crm"},
        {"id": "cloudtalk-2", "destination": "crm"},
    ]
    assert dead(graveyard) == ["other 1"]


def test_dropped_ones_are_given_up(graveyard: Home) -> None:
    assert graveyard.run("dead", "drop", "1", "--destination", "other").stdout == "1 dropped\n"
    assert dead(graveyard) == ["crm 1", "crm 2"]
    assert owed(graveyard) == {"crm": 1, "other": 2}


@pytest.mark.parametrize(("command", "said"), [("replay", "owed again"), ("drop", "dropped")])
def test_all_are_decided_at_once_and_a_second_time_there_is_none(
    graveyard: Home, command: str, said: str
) -> None:
    assert graveyard.run("dead", command, "--all").stdout == f"3 {said}\n"
    done = graveyard.run("dead", command, "--all")
    assert (done.exit_code, done.stdout) == (0, f"0 {said}\n")
    assert dead(graveyard) == []


@pytest.mark.parametrize("command", ["replay", "drop"])
def test_one_that_is_not_dead_ends_with_1_and_nothing_is_done(graveyard: Home, command: str) -> None:
    done = graveyard.run("dead", command, "1", "nobody", "3")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "nothing is dead under nobody, 3; `relay dead list`" in done.stderr
    assert len(dead(graveyard)) == 3


@pytest.mark.parametrize("command", ["replay", "drop"])
def test_it_must_be_told_which(graveyard: Home, command: str) -> None:
    assert graveyard.run("dead", command).exit_code == 2
    assert graveyard.run("dead", command, "1", "--all").exit_code == 2
    assert len(dead(graveyard)) == 3


@pytest.mark.parametrize(
    "command", [("list",), ("show", "1"), ("replay", "--all"), ("drop", "--all"), ("replay", "1")]
)
def test_an_unknown_destination_ends_with_1_and_names_the_known(
    graveyard: Home, command: tuple[str, ...]
) -> None:
    done = graveyard.run("dead", *command, "--destination", "cmr")
    assert (done.exit_code, "no destination cmr; there are crm, other" in done.stderr) == (1, True)
    assert len(dead(graveyard)) == 3


def test_without_any_there_is_nothing_to_list(home: Home) -> None:
    assert json.loads(home.run("dead", "list", "--json").stdout) == []
