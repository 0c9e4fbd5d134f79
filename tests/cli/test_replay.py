"""`relay replay`: calls become pending again, and a relay delivers them."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.support.home import LOCAL, Home, all_delivered

OTHER = LOCAL.replace("crm", "other")
STARTED_AT = {"a": "2024-11-27T23:30:00Z", "b": "2024-11-28T10:00:00Z", "c": "2024-11-29T10:00:00Z"}


def ended(name: str, **data: Any) -> dict[str, Any]:
    facts = {"id": name, "direction": "inbound", "duration": 20, "started_at": STARTED_AT.get(name)}
    return {"event": "call.ended", "data": facts | data}


@pytest.fixture
def delivered(home: Home) -> Home:
    """The calls a, b and c are delivered to `crm`; then `other` was added to the settings."""
    home.run_relay(*map(ended, STARTED_AT), until=all_delivered(3))
    home.write_settings(LOCAL + OTHER)
    return home


def crm_call_ids(home: Home, name: str) -> list[str]:
    with closing(sqlite3.connect(home.folder / f"{name}.db")) as connection:
        return [id_[10:] for (id_,) in connection.execute("SELECT id FROM calls ORDER BY id")]


def test_a_new_crm_receives_the_calls_of_the_past(delivered: Home) -> None:
    result = delivered.run("replay", "--destination", "other")
    assert (result.exit_code, result.stdout) == (0, "3 calls are pending again for other\n")
    assert delivered.count_pending() == {"crm": 0, "other": 3}
    delivered.run_relay(until=all_delivered(3))
    assert crm_call_ids(delivered, "other") == ["a", "b", "c"]


def test_without_a_destination_calls_are_pending_for_all_of_the_settings(delivered: Home) -> None:
    delivered.write_settings(LOCAL + OTHER + "enabled = false")
    replayed = delivered.json("replay")
    assert replayed == {
        "destinations": ["crm", "other"],
        "calls": 3,
        "left_out": 0,
        "counts": [
            {"destination": "crm", "pending": 3, "up_to_date": 3, "filtered": 0},
            {"destination": "other", "pending": 3, "up_to_date": 0, "filtered": 0},
        ],
    }
    assert delivered.count_pending() == {"crm": 3, "other": 3}
    assert delivered.json("replay") == replayed
    assert delivered.count_pending() == {"crm": 3, "other": 3}


def test_a_record_that_was_deleted_in_the_crm_is_written_again_and_others_are_not(home: Home) -> None:
    home.run_relay(*map(ended, STARTED_AT), until=all_delivered(3))
    with closing(sqlite3.connect(home.crm)) as connection, connection:
        connection.execute("DELETE FROM calls WHERE id = 'cloudtalk-b'")
        connection.execute("UPDATE calls SET notes = 'edited'")
    home.run("replay")
    home.run_relay(until=all_delivered(3))
    assert crm_call_ids(home, "crm") == ["a", "b", "c"]
    with closing(sqlite3.connect(home.crm)) as connection:
        edited = connection.execute("SELECT count(*) FROM calls WHERE notes = 'edited'").fetchone()
    assert edited == (2,)


def test_a_call_is_delivered_after_its_filter_was_changed(home: Home) -> None:
    home.write_settings(f"{LOCAL}[destinations.crm.when]\nminimum_seconds = 60\n")
    home.run_relay(*map(ended, STARTED_AT), until=lambda s: s.calls == 3 and not s.destinations[0].pending)
    home.write_settings(f"{LOCAL}[destinations.crm.when]\nminimum_seconds = 5\n")
    home.run("replay")
    home.run_relay(until=all_delivered(3))
    assert crm_call_ids(home, "crm") == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("when", "calls", "filtered"),
    [
        ("directions = ['outbound']", [], 3),
        ("minimum_seconds = 30", ["b", "c"], 1),
        ("statuses = ['missed', 'voicemail']", ["c"], 2),
    ],
)
def test_only_calls_that_the_filter_admits_are_counted_and_delivered(
    home: Home, when: str, calls: list[str], filtered: int
) -> None:
    bodies = [ended("a"), ended("b", duration=40), ended("c", duration=50, status="missed")]
    home.run_relay(*bodies, until=all_delivered(3))
    home.write_settings(f"{LOCAL}{OTHER}[destinations.other.when]\n{when}\n")
    home.run("setup", "other")
    result = home.run("replay", "--destination", "other")
    text = f"{len(calls)} calls are pending again for other; {filtered} calls do not match its filter\n"
    assert (result.exit_code, result.stdout, result.stderr) == (0, text, "")
    assert home.json("replay", "--destination", "other")["calls"] == len(calls)
    assert home.count_pending()["other"] == len(calls)
    home.run_relay(until=lambda status: not status.destinations[1].pending)
    assert crm_call_ids(home, "other") == calls


def test_a_disabled_destination_is_named(delivered: Home) -> None:
    delivered.write_settings(f"{OTHER}enabled = false")
    assert delivered.run("replay").stdout == (
        "3 calls are pending again for other; nothing is sent until it is enabled in the settings\n"
    )


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        (("--since", "2024-11-28"), 3),  # call a started at half past midnight in Madrid
        (("--since", "2024-11-28T00:00:00Z"), 2),
        (("--since", "2024-11-28T00:30:01"), 2),
        (("--until", "2024-11-29"), 2),
        (("--since", "2024-11-28T10:00:00Z", "--until", "2024-11-29T11:00:00+01:00"), 1),
        (("--since", "2024-11-30"), 0),
        (("--since", "2024-11-30", "--until", "2024-11-28"), 0),
    ],
)
def test_calls_of_a_time_range_are_pending(delivered: Home, options: tuple[str, ...], calls: int) -> None:
    assert delivered.json("replay", *options)["calls"] == calls
    assert delivered.count_pending()["crm"] == calls


def test_calls_are_named_by_any_of_their_ids(delivered: Home) -> None:
    replayed = delivered.json("replay", "--call", "a", "--call", "cloudtalk-a", "--call", "c")
    assert (replayed["calls"], delivered.count_pending()["crm"]) == (2, 2)


def test_internal_calls_are_left_out_unless_they_are_forwarded(delivered: Home) -> None:
    delivered.write_settings(LOCAL)
    delivered.run_relay(ended("d", direction="internal"), until=lambda s: s.calls == 4)
    result = delivered.run("replay")
    pending = "3 calls are pending again for crm; it got the newest version of 3, and gets them if "
    assert (result.stdout, result.stderr) == (
        f"{pending}its records differ\n",
        "1 internal calls were left out: the settings do not forward them\n",
    )
    delivered.write_settings(f"[cloudtalk]\nforward_internal = true\n{LOCAL}")
    assert delivered.json("replay")["calls"] == 4


@pytest.mark.parametrize("option", ["--force", "--changed-settings"])
def test_a_replay_of_whole_records_writes_them_again(delivered: Home, option: str) -> None:
    delivered.write_settings(f'{LOCAL}[destinations.crm.labels]\ncompleted = "Hecha"\n')
    assert delivered.json("replay", option)["counts"] == [
        {"destination": "crm", "pending": 3, "up_to_date": 0, "filtered": 0}
    ]
    delivered.run_relay(until=all_delivered(3))
    with closing(sqlite3.connect(delivered.crm)) as connection:
        assert set(connection.execute("SELECT status FROM calls")) == {("Hecha",)}
    expected = 3 if option == "--force" else 0
    assert delivered.json("replay", option)["calls"] == expected


def test_force_and_changed_settings_exclude_each_other(delivered: Home) -> None:
    assert delivered.run("replay", "--force", "--changed-settings").exit_code == 2


def test_without_calls_there_is_nothing_to_replay(home: Home) -> None:
    result = home.run("replay")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "no call to replay\n", "")


def test_an_unknown_call_exits_with_1_and_changes_nothing(delivered: Home) -> None:
    result = delivered.run("replay", "--call", "a", "--call", "nobody")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no call has the id nobody\nNo event with nobody has arrived" in result.stderr
    assert delivered.count_pending() == {"crm": 0}


def test_an_unknown_destination_exits_with_1_and_names_the_known_ones(delivered: Home) -> None:
    result = delivered.run("replay", "--destination", "cmr")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no destination is named cmr; the destinations are crm, other" in result.stderr


def test_settings_without_a_destination_exit_with_1(delivered: Home) -> None:
    delivered.write_settings("")
    assert delivered.run("replay").exit_code == 1


@pytest.mark.parametrize("arguments", [("--since", "yesterday"), ("--until", "2024-13-01"), ("--since", "")])
def test_an_invalid_time_exits_with_2_and_shows_a_valid_one(home: Home, arguments: tuple[str, ...]) -> None:
    result = home.run("replay", *arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.stderr
    assert "2024-11-28T10:30:00" in result.stderr


def test_calls_and_a_time_range_together_are_a_usage_error(delivered: Home) -> None:
    assert delivered.run("replay", "--call", "a", "--since", "2024-11-28").exit_code == 2
