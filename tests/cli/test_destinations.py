"""`relay destinations`: how each CRM stands, and a person's say in it."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from relay.cli.ledger import write_ledger
from relay.ledger import destinations
from relay.ledger.destinations import Pause
from relay.settings import load
from tests.support.home import LOCAL, Home, settled

STARTED = {"event": "call.started", "data": {"id": "1", "direction": "inbound"}}
FAR = 4_000_000_000_000_000


def write(home: Home, work: Callable[[Connection], None]) -> None:
    write_ledger(load(home.path), work)


def make_wait(home: Home, name: str = "crm") -> None:
    def work(connection: Connection) -> None:
        destinations.register(connection, {name: "local"})
        destinations.pause_until(connection, name, Pause("unauthorised", 60, "401", "bad key"), until=FAR)

    write(home, work)


def test_each_is_listed_as_status_has_it(home: Home) -> None:
    home.take(STARTED, until=settled(1))
    (crm,) = home.json("destinations", "list")
    assert crm == home.json("status")["destinations"][0]
    assert (crm["name"], crm["client"], crm["state"], crm["pending"]) == ("crm", "local", "delivering", 0)
    heading, line = home.run("destinations", "list").stdout.splitlines()
    assert heading.split()[:4] == ["name", "client", "state", "pending"]
    assert line.split() == ["crm", "local", "delivering", "0", "1", "0"]


def test_one_that_waits_says_why_and_until_when(home: Home) -> None:
    make_wait(home)
    line = home.run("destinations", "list").stdout.splitlines()[-1]
    assert line.split() == ["crm", "local", "waiting", "0", "0", "0", "unauthorised", "2096-10-02T07:06:40Z"]


def test_a_paused_one_is_owed_calls_and_brought_none_until_it_is_resumed(home: Home) -> None:
    done = home.run("destinations", "pause", "crm")
    assert (done.exit_code, "relay destinations resume crm" in done.stdout) == (0, True)
    home.take(STARTED, until=lambda status: status["destinations"][0]["pending"] == 1)
    (crm,) = home.json("destinations", "list")
    assert (crm["state"], crm["paused_reason"], crm["paused_until"]) == ("paused", "paused", None)
    assert home.run("destinations", "resume", "crm").stdout == "crm is served again\n"
    home.take(until=settled(1))


def test_pausing_and_resuming_twice_is_as_once(home: Home) -> None:
    for _ in range(2):
        assert home.run("destinations", "pause", "crm").exit_code == 0
    assert home.json("destinations", "list")[0]["state"] == "paused"
    assert home.run("destinations", "resume", "crm").exit_code == 0
    assert home.run("destinations", "resume", "crm").stdout == "crm was neither paused nor waiting\n"


def test_a_pause_takes_the_place_of_a_wait_and_resuming_ends_either(home: Home) -> None:
    make_wait(home)
    home.run("destinations", "pause", "crm")
    make_wait(home)  # a push that was under way
    assert home.json("destinations", "list")[0]["state"] == "paused"
    home.run("destinations", "resume", "crm")
    make_wait(home)
    home.run("destinations", "resume", "crm")
    assert home.json("destinations", "list")[0]["state"] == "delivering"


def test_a_probe_of_one_that_waits_makes_it_due_now(home: Home) -> None:
    make_wait(home)
    done = home.run("destinations", "probe", "crm")
    assert (done.exit_code, done.stdout[:24]) == (0, "crm is tried with one ca")
    (crm,) = home.json("destinations", "list")
    assert (crm["state"], crm["paused_reason"]) == ("waiting", "unauthorised")
    assert crm["paused_until"] < "2096"


def test_a_probe_of_one_that_does_not_wait_says_so(home: Home) -> None:
    done = home.run("destinations", "probe", "crm")
    assert (done.exit_code, done.stdout) == (0, "crm does not wait: there is nothing to try\n")


def test_a_probe_of_a_paused_one_says_how_to_resume(home: Home) -> None:
    home.run("destinations", "pause", "crm")
    done = home.run("destinations", "probe", "crm")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "relay destinations resume crm" in done.stderr
    assert home.json("destinations", "list")[0]["state"] == "paused"


@pytest.mark.parametrize(("settings", "state"), [(LOCAL + "enabled = false", "disabled"), ("", "orphaned")])
def test_a_probe_of_one_that_nobody_serves_says_so(home: Home, settings: str, state: str) -> None:
    make_wait(home)
    home.write(settings)
    done = home.run("destinations", "probe", "crm")
    assert (done.exit_code, f"crm is {state}" in done.stderr) == (1, True)


@pytest.mark.parametrize("command", ["pause", "resume", "probe"])
def test_an_unknown_one_ends_with_1_and_names_the_known(home: Home, command: str) -> None:
    make_wait(home, "old")
    done = home.run("destinations", command, "cmr")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no destination cmr; there are crm, old" in done.stderr
    assert home.run("destinations", command).exit_code == 2


def test_one_that_left_the_settings_can_be_paused(home: Home) -> None:
    make_wait(home, "old")
    assert home.run("destinations", "pause", "old").exit_code == 0


def test_without_any_the_settings_are_said_to_name_none(home: Home) -> None:
    home.write("")
    assert "the settings name none" in home.run("destinations", "pause", "crm").stderr
