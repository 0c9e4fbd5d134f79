"""`relay setup`: a CRM is prepared, or the way to prepare it is printed."""

import sqlite3
from contextlib import closing

from tests.support.home import LOCAL, Home


def test_it_prepares_the_crm_and_may_be_repeated(home: Home) -> None:
    for _ in range(2):
        done = home.run("setup", "crm")
        assert (done.exit_code, done.stdout) == (0, f"the table calls stands in {home.crm}\n")
    with closing(sqlite3.connect(home.crm)) as connection:
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (0,)


def test_print_touches_nothing_and_can_be_run(home: Home) -> None:
    done = home.run("setup", "crm", "--print")
    assert done.exit_code == 0
    assert not home.crm.exists()
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(done.stdout)
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (0,)


def test_an_unknown_destination_ends_with_1_and_names_those_that_there_are(home: Home) -> None:
    home.write(LOCAL + LOCAL.replace("crm", "other"))
    done = home.run("setup", "crn")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no destination crn" in done.stderr
    assert "crm, other" in done.stderr


def test_what_cannot_be_set_up_ends_with_1_and_says_why(home: Home) -> None:
    home.write(LOCAL.replace("crm.db", "settings.toml/crm.db"))
    done = home.run("setup", "crm")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "crm could not be set up" in done.stderr
    assert str(home.path) in done.stderr
    assert isinstance(done.exception, SystemExit)


def test_without_a_destination_it_is_a_usage_error(home: Home) -> None:
    assert home.run("setup").exit_code == 2
