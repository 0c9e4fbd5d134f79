"""`relay replay`: calls are owed again, and a relay that serves brings them."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.support.home import LOCAL, Home, settled

OTHER = LOCAL.replace("crm", "other")
BEGAN = {"a": "2024-11-27T23:30:00Z", "b": "2024-11-28T10:00:00Z", "c": "2024-11-29T10:00:00Z"}


def ended(name: str, **data: Any) -> dict[str, Any]:
    facts = {"id": name, "direction": "inbound", "duration": 20, "started_at": BEGAN.get(name)}
    return {"event": "call.ended", "data": facts | data}


@pytest.fixture
def served(home: Home) -> Home:
    """The calls a, b and c are delivered to `crm`; a new CRM came into the settings since."""
    home.take(*map(ended, BEGAN), until=settled(3))
    home.write(LOCAL + OTHER)
    return home


def owed(home: Home) -> dict[str, int]:
    return {row["name"]: row["pending"] for row in home.json("destinations", "list")}


def rows(home: Home, name: str) -> list[str]:
    with closing(sqlite3.connect(home.folder / f"{name}.db")) as connection:
        return [id_[10:] for (id_,) in connection.execute("SELECT id FROM calls ORDER BY id")]


def test_a_new_crm_is_brought_its_history(served: Home) -> None:
    done = served.run("replay", "--destination", "other")
    assert (done.exit_code, done.stdout) == (0, "3 calls are owed again to other\n")
    assert owed(served) == {"crm": 0, "other": 3}
    served.take(until=settled(3))
    assert rows(served, "other") == ["a", "b", "c"]


def test_without_a_destination_all_of_the_settings_are_owed(served: Home) -> None:
    served.write(LOCAL + OTHER + "enabled = false")
    found = served.json("replay")
    assert found == {"destinations": ["crm", "other"], "calls": 3, "left_out": 0}
    assert owed(served) == {"crm": 3, "other": 3}
    assert served.json("replay") == found
    assert owed(served) == {"crm": 3, "other": 3}


def test_what_a_person_deleted_is_written_again_and_what_is_there_is_not(home: Home) -> None:
    home.take(*map(ended, BEGAN), until=settled(3))
    with closing(sqlite3.connect(home.crm)) as connection, connection:
        connection.execute("DELETE FROM calls WHERE id = 'cloudtalk-b'")
        connection.execute("UPDATE calls SET notes = 'theirs'")
    home.run("replay")
    home.take(until=settled(3))
    assert rows(home, "crm") == ["a", "b", "c"]
    with closing(sqlite3.connect(home.crm)) as connection:
        kept = connection.execute("SELECT count(*) FROM calls WHERE notes = 'theirs'").fetchone()
    assert kept == (2,)


def test_what_a_filter_let_not_pass_is_looked_at_anew(home: Home) -> None:
    home.write(f"{LOCAL}[destinations.crm.when]\nminimum_seconds = 60\n")
    home.take(*map(ended, BEGAN), until=lambda s: s["calls"] == 3 and not s["destinations"][0]["pending"])
    home.write(f"{LOCAL}[destinations.crm.when]\nminimum_seconds = 5\n")
    home.run("replay")
    home.take(until=settled(3))
    assert rows(home, "crm") == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("when", "calls"),
    [
        (("--since", "2024-11-28"), 3),  # a began at half past midnight in Madrid
        (("--since", "2024-11-28T00:00:00Z"), 2),
        (("--since", "2024-11-28T00:30:01"), 2),
        (("--until", "2024-11-29"), 2),
        (("--since", "2024-11-28T10:00:00Z", "--until", "2024-11-29T11:00:00+01:00"), 1),
        (("--since", "2024-11-30"), 0),
        (("--since", "2024-11-30", "--until", "2024-11-28"), 0),
    ],
)
def test_calls_of_a_time_are_owed(served: Home, when: tuple[str, ...], calls: int) -> None:
    assert served.json("replay", *when)["calls"] == calls
    assert owed(served)["crm"] == calls


def test_named_calls_are_owed_by_any_of_their_ids(served: Home) -> None:
    found = served.json("replay", "--call", "a", "--call", "cloudtalk-a", "--call", "c")
    assert (found["calls"], owed(served)["crm"]) == (2, 2)


def test_calls_between_colleagues_are_left_out_unless_they_are_wanted(served: Home) -> None:
    served.write(LOCAL)
    served.take(ended("d", direction="internal"), until=lambda s: s["calls"] == 4)
    done = served.run("replay")
    assert (done.stdout, done.stderr) == (
        "3 calls are owed again to crm\n",
        "1 left out: no CRM is to have them\n",
    )
    served.write(f"[cloudtalk]\nforward_internal = true\n{LOCAL}")
    assert served.json("replay")["calls"] == 4


def test_where_nothing_is_found_it_says_so(home: Home) -> None:
    done = home.run("replay")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "no call to owe again\n", "")


def test_an_unknown_call_ends_with_1_and_nothing_is_owed(served: Home) -> None:
    done = served.run("replay", "--call", "a", "--call", "nobody")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no call nobody;" in done.stderr
    assert owed(served) == {"crm": 0}


def test_an_unknown_destination_ends_with_1_and_names_the_known(served: Home) -> None:
    done = served.run("replay", "--destination", "cmr")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no destination cmr; there are crm, other" in done.stderr


def test_settings_without_a_destination_end_with_1(served: Home) -> None:
    served.write("")
    assert served.run("replay").exit_code == 1


@pytest.mark.parametrize("arguments", [("--since", "yesterday"), ("--until", "2024-13-01"), ("--since", "")])
def test_a_time_that_is_none_ends_with_2_and_shows_one(home: Home, arguments: tuple[str, ...]) -> None:
    done = home.run("replay", *arguments)
    assert done.exit_code == 2
    assert arguments[0] in done.stderr
    assert "2024-11-28T10:30:00" in done.stderr


def test_calls_are_named_or_a_time_is_and_not_both(served: Home) -> None:
    assert served.run("replay", "--call", "a", "--since", "2024-11-28").exit_code == 2
