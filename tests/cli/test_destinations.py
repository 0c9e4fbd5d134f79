"""`relay destinations`: list, pause, resume and probe."""

import pytest

from relay.instants import Instant
from relay.ledger import destinations
from relay.ledger.connection import Connection
from relay.ledger.destinations import Pause
from tests.support.home import LOCAL, STARTED, Home, all_delivered

FAR_FUTURE = 4_000_000_000_000_000


def pause_after_failure(home: Home, name: str = "crm") -> None:
    def write(connection: Connection) -> None:
        destinations.register(connection, {name: "local"})
        destinations.pause_until(
            connection,
            name,
            Pause("unauthorised", 60, "401", "bad key"),
            until=Instant(FAR_FUTURE),
            now=Instant(1),
        )

    home.write_ledger(write)


def test_destinations_are_listed_as_in_status(home: Home) -> None:
    home.run_relay(STARTED, until=all_delivered(1))
    (crm,) = home.json("destinations", "list")
    assert crm == home.json("status")["destinations"][0]
    assert (crm["name"], crm["client"], crm["state"], crm["pending"]) == ("crm", "local", "delivering", 0)
    heading, line, _, explanation = home.run("destinations", "list").stdout.splitlines()
    assert heading.split()[:4] == ["name", "client", "state", "pending"]
    assert line.split() == ["crm", "local", "delivering", "0", "1", "1", "0"]
    assert explanation == (
        "Nothing is sent to crm (0 pending): no relay is running, so start one (`relay serve`)"
    )


def test_a_waiting_destination_has_the_reason_and_the_time(home: Home) -> None:
    pause_after_failure(home)
    line = home.run("destinations", "list").stdout.splitlines()[1]
    assert line.split() == [
        "crm",
        "local",
        "waiting",
        "0",
        "0",
        "0",
        "0",
        "unauthorised",
        "1970-01-01",
        "01:00:00+01:00",
        "2096-10-02",
        "09:06:40+02:00",
    ]


def test_a_paused_destination_has_pending_calls_until_it_is_resumed(home: Home) -> None:
    result = home.run("destinations", "pause", "crm")
    assert (result.exit_code, "relay destinations resume crm" in result.stdout) == (0, True)
    home.run_relay(STARTED, until=lambda status: status.destinations[0].pending == 1)
    (crm,) = home.json("destinations", "list")
    assert (crm["state"], crm["paused_reason"], crm["paused_until"]) == ("paused", "paused", None)
    assert home.run("destinations", "resume", "crm").stdout == "crm is resumed\n"
    home.run_relay(until=all_delivered(1))


def test_pausing_and_resuming_twice_is_as_once(home: Home) -> None:
    for _ in range(2):
        assert home.run("destinations", "pause", "crm").exit_code == 0
    assert home.json("destinations", "list")[0]["state"] == "paused"
    assert home.run("destinations", "resume", "crm").exit_code == 0
    assert home.run("destinations", "resume", "crm").stdout == "crm was not paused\n"


def test_a_pause_replaces_a_wait_and_resume_ends_either(home: Home) -> None:
    pause_after_failure(home)
    home.run("destinations", "pause", "crm")
    pause_after_failure(home)  # by a push that was in flight
    assert home.json("destinations", "list")[0]["state"] == "paused"
    home.run("destinations", "resume", "crm")
    pause_after_failure(home)
    home.run("destinations", "resume", "crm")
    assert home.json("destinations", "list")[0]["state"] == "delivering"


def test_a_probe_of_a_waiting_destination_makes_it_due_now(home: Home) -> None:
    pause_after_failure(home)
    result = home.run("destinations", "probe", "crm")
    assert (result.exit_code, result.stdout[:28]) == (0, "crm is tried now with one ca")
    (crm,) = home.json("destinations", "list")
    assert (crm["state"], crm["paused_reason"]) == ("waiting", "unauthorised")
    assert crm["paused_until"] < "2096"


def test_a_probe_of_a_delivering_destination_changes_nothing(home: Home) -> None:
    result = home.run("destinations", "probe", "crm")
    assert (result.exit_code, result.stdout) == (
        0,
        "crm is not waiting: calls are delivered, so there is nothing to probe\n",
    )


def test_a_probe_of_a_paused_destination_says_how_to_resume_it(home: Home) -> None:
    home.run("destinations", "pause", "crm")
    result = home.run("destinations", "probe", "crm")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "relay destinations resume crm" in result.stderr
    assert home.json("destinations", "list")[0]["state"] == "paused"


@pytest.mark.parametrize(("settings", "state"), [(LOCAL + "enabled = false", "disabled"), ("", "orphaned")])
def test_a_probe_of_a_disabled_or_orphaned_destination_exits_with_1(
    home: Home, settings: str, state: str
) -> None:
    pause_after_failure(home)
    home.write_settings(settings)
    result = home.run("destinations", "probe", "crm")
    assert (result.exit_code, f"crm is {state}" in result.stderr) == (1, True)


@pytest.mark.parametrize("command", ["pause", "resume", "probe"])
def test_an_unknown_destination_exits_with_1_and_names_the_known_ones(home: Home, command: str) -> None:
    pause_after_failure(home, "old")
    result = home.run("destinations", command, "cmr")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no destination is named cmr; the destinations are crm, old" in result.stderr
    assert home.run("destinations", command).exit_code == 2


def test_a_destination_that_left_the_settings_can_be_paused(home: Home) -> None:
    pause_after_failure(home, "old")
    assert home.run("destinations", "pause", "old").exit_code == 0


def test_without_destinations_the_error_says_so(home: Home) -> None:
    home.write_settings("")
    assert "the settings have no destination" in home.run("destinations", "pause", "crm").stderr
