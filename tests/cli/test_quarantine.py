"""`relay quarantine` and `relay rebuild`: what was kept is looked at, read again and dropped."""

import json

import pytest

from tests.support.home import Home

EVENT = b'{"event":"call.started","data":{"id":"7","direction":"inbound"}}'


@pytest.fixture
def kept(home: Home) -> Home:
    """A body that a newer relay can read, and one that none can."""
    home.keep(EVENT, reason="unreadable_field", message="direction: expected")
    home.keep(b"hello", reason="not_json", message="the body is not JSON")
    return home


def test_it_lists_and_shows_what_is_kept_and_why(kept: Home) -> None:
    first, second = kept.json("quarantine", "list")
    assert (first["id"], first["reason"], first["raw"]) == (1, "unreadable_field", EVENT.decode())
    assert first["received_at"].endswith("Z")
    assert kept.json("quarantine", "show", "2") == second
    lines = kept.run("quarantine", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["id", "1", "2"]


def test_retry_takes_what_can_be_read_now_and_keeps_the_rest(kept: Home) -> None:
    done = kept.run("quarantine", "retry", "--all", "--json")
    assert done.exit_code == 1
    first, second = json.loads(done.stdout)
    assert (first["id"], first["events"], first["problem"]) == (1, 1, None)
    assert second["problem"].startswith("the body is not JSON")
    assert [row["id"] for row in kept.json("quarantine", "list")] == [2]
    assert kept.json("status")["events"] == {"accepted": 1, "unfolded": 1, "quarantined": 1}


def test_drop_forgets(kept: Home) -> None:
    assert kept.run("quarantine", "drop", "2").stdout == "1 dropped\n"
    assert kept.run("quarantine", "drop", "--all").stdout == "1 dropped\n"
    assert kept.json("quarantine", "list") == []


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_it_must_be_told_which(kept: Home, command: str) -> None:
    assert kept.run("quarantine", command).exit_code == 2
    assert kept.run("quarantine", command, "1", "--all").exit_code == 2


@pytest.mark.parametrize("command", ["show", "retry", "drop"])
def test_what_is_not_there_is_said_and_nothing_is_done(kept: Home, command: str) -> None:
    arguments = ("9",) if command == "show" else ("1", "9")
    done = kept.run("quarantine", command, *arguments)
    assert done.exit_code == 1
    assert "relay quarantine list" in done.stderr
    assert len(kept.json("quarantine", "list")) == 2


def test_a_rebuild_says_how_many_calls_changed(kept: Home) -> None:
    kept.run("quarantine", "retry", "1")
    assert kept.json("rebuild") == {"calls": 0, "changed": 0, "unread": 0, "skipped": 0}
    assert kept.run("rebuild").stdout == "0 calls read again, 0 changed\n"
