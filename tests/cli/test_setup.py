"""`relay setup`: create the table of the CRM, or print how to create it."""

import sqlite3
from contextlib import closing

from tests.support.home import LOCAL, Home


def test_it_creates_the_table_and_may_be_repeated(home: Home) -> None:
    for _ in range(2):
        result = home.run("setup", "crm")
        assert (result.exit_code, result.stdout) == (0, f"the table calls is in {home.crm}\n")
    with closing(sqlite3.connect(home.crm)) as connection:
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (0,)


def test_print_creates_nothing_and_prints_sql_that_can_be_run(home: Home) -> None:
    result = home.run("setup", "crm", "--print")
    assert result.exit_code == 0
    assert not home.crm.exists()
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(result.stdout)
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (0,)


def test_an_unknown_destination_exits_with_1_and_names_the_known_ones(home: Home) -> None:
    home.write_settings(LOCAL + LOCAL.replace("crm", "other"))
    result = home.run("setup", "crn")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no destination is named crn" in result.stderr
    assert "crm, other" in result.stderr


def test_a_failed_setup_exits_with_1_and_gives_the_cause(home: Home) -> None:
    home.write_settings(LOCAL.replace("crm.db", "settings.toml/crm.db"))
    result = home.run("setup", "crm")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "crm could not be set up" in result.stderr
    assert str(home.path) in result.stderr
    assert isinstance(result.exception, SystemExit)


def test_without_a_destination_it_is_a_usage_error(home: Home) -> None:
    assert home.run("setup").exit_code == 2
