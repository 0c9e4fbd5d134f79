"""Which commands create files."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from tests.support.home import LOCAL, Home
from tests.support.postgres import Databases

LISTS = (
    ("status",),
    ("calls", "list"),
    ("dead", "list"),
    ("quarantine", "list"),
    ("destinations", "list"),
)
SHOW = (("calls", "show", "1"), ("dead", "show", "1"), ("quarantine", "show", "1"))
READING = (*LISTS, *SHOW, ("check",), ("setup", "crm", "--print"), ("cloudtalk-setup",))
FOLDERS_TO_CREATE = {
    "RELAY__LEDGER__URL": "sqlite:///a/b/relay.db",
    "RELAY__DESTINATIONS__CRM__PATH": "c/d/crm.db",
}


def files_below(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.mark.parametrize("command", READING, ids=" ".join)
@pytest.mark.parametrize("in_new_folders", [True, False])
def test_a_command_that_reads_creates_no_file(
    home: Home, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], *, in_new_folders: bool
) -> None:
    if in_new_folders:
        for name, value in FOLDERS_TO_CREATE.items():
            monkeypatch.setenv(name, value)
    before = files_below(home.folder)
    result = home.run(*command)
    assert result.exit_code == (1 if command in SHOW else 0), result.output
    assert files_below(home.folder) == before


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_command_that_reads_adds_no_file_to_those_of_a_relay(home: Home, command: tuple[str, ...]) -> None:
    home.create_files()
    before = files_below(home.folder).keys()
    assert {path.name for path in before} == {"settings.toml", "relay.db", "crm.db"}
    assert home.run(*command).exit_code == (1 if command in SHOW else 0)
    assert files_below(home.folder).keys() == before


@pytest.mark.parametrize("command", LISTS, ids=" ".join)
@pytest.mark.parametrize("person", [True, False])
def test_without_a_ledger_a_person_is_informed_and_an_empty_one_shown(
    home: Home, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], *, person: bool
) -> None:
    monkeypatch.setattr("relay.cli.ledger_session._is_seen_by_a_person", lambda: person)
    result = home.run(*command, "--json")
    assert result.exit_code == 0
    message = f"There is no ledger at {home.folder / 'relay.db'}:\n`relay serve` creates it.\n"
    assert result.stderr == (message if person else "")


# --- PostgreSQL -----------------------------------------------------------------------------------


@pytest.fixture
def empty_database(home: Home, databases: Databases) -> Iterator[str]:
    """The URL of a database without the relay's tables, which the settings of `home` name."""
    with databases.fresh("template0") as url:
        home.path.write_text(f'[ledger]\nurl = "{url}"\n{LOCAL}')
        yield url


def schemas(url: str) -> list[str]:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1))
    try:
        return [name for name in inspect(engine).get_schema_names() if name.startswith("cloudtalk")]
    finally:
        engine.dispose()


@pytest.mark.parametrize("command", [*LISTS, ("check",)], ids=" ".join)
def test_a_command_that_reads_creates_no_tables(
    home: Home, monkeypatch: pytest.MonkeyPatch, empty_database: str, command: tuple[str, ...]
) -> None:
    monkeypatch.setattr("relay.cli.ledger_session._is_seen_by_a_person", lambda: True)
    result = home.run(*command)
    assert result.exit_code == 0
    message = "There is no ledger in the PostgreSQL database of ledger.url:\n`relay serve` creates it.\n"
    assert result.stderr.startswith("" if command == ("check",) else message)
    assert result.stderr.removeprefix(message) == ("\nno calls\n" if command == ("calls", "list") else "")
    assert schemas(empty_database) == []


def test_check_says_that_the_tables_are_created_later(home: Home, empty_database: str) -> None:
    assert home.json("check")[0] == {
        "name": "ledger",
        "ok": True,
        "code": "not_created",
        "problem": None,
        "hint": "`relay serve` creates its tables",
    }
    home.write_ledger(lambda _: None)
    assert schemas(empty_database) == ["cloudtalk_relay"]
    assert home.json("check")[0]["code"] is None
