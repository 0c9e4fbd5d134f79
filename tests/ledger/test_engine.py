"""Settings of SQLite, and migrations, which succeed as a whole or change nothing."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from relay.ledger import HEAD, Ledger, LedgerError, LedgerUnavailable, SchemaError, engine, sqlite
from relay.ledger.connection import Connection, connect
from relay.ledger.engine import migrate, open_engine, schema_version, transaction
from relay.ledger.tables import metadata
from tests.support.patience import PATIENCE

OPEN = """
import asyncio, sys
from relay.ledger import Ledger
ledger = Ledger(sys.argv[1])
print("ready", flush=True)
input()
print(*asyncio.run(ledger.open()))
"""
BROKEN = """
from alembic import op
import sqlalchemy as sa
revision = "9001"
down_revision = "{HEAD}"
def upgrade():
    op.create_table("half", sa.Column("id", sa.Integer))
    columns = "id, version, began_at, changed_at, status, direction, talked, state, record, field_versions"
    op.execute(f"INSERT INTO calls ({{columns}}) VALUES ('x',1,1,1,'','',false,'','','')")
    {fault}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay.db"


@pytest.fixture
def opened(path: Path) -> Iterator[Engine]:
    opened = open_engine(f"sqlite:///{path}")
    yield opened
    opened.dispose()


def contents(path: Path) -> list[str]:
    """The whole database, schema and rows, as SQL."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def schema(path: Path) -> set[str]:
    """The statements that created tables and indexes, without those of Alembic and SQLite."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(
            "SELECT sql FROM sqlite_master WHERE sql NOT NULL"
            " AND tbl_name NOT LIKE 'alembic_%' AND tbl_name NOT LIKE 'sqlite_%'"
        )
        return {" ".join(sql.split()) for (sql,) in found}


def set_version(path: Path, version: str, *, compatible_from: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
        connection.execute("UPDATE schema_compatibility SET compatible_from = ?", (compatible_from,))


# --- the schema -----------------------------------------------------------------------------------


def test_an_empty_database_is_migrated_to_the_newest_schema(opened: Engine) -> None:
    assert migrate(opened) == (None, HEAD)
    with opened.begin() as connection:
        assert schema_version(connection) == HEAD


def test_a_database_with_the_newest_schema_is_unchanged(opened: Engine, path: Path) -> None:
    migrate(opened)
    before = contents(path)
    assert migrate(opened) == (HEAD, HEAD)
    assert contents(path) == before


def test_the_schema_of_the_code_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(engine._MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def run_migrations(opened: Engine) -> None:
    """Create the schema of an empty database by all migrations, as that of an older one is changed."""
    with opened.begin() as connection:
        engine._run_migrations(connection, opened.url, None)


def test_migrations_and_tables_are_equal(opened: Engine) -> None:
    run_migrations(opened)
    with opened.begin() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []


def test_a_new_database_is_as_the_migrations_create_it(opened: Engine, path: Path, tmp_path: Path) -> None:
    run_migrations(opened)
    new = open_engine(f"sqlite:///{tmp_path / 'new.db'}")
    migrate(new)
    new.dispose()
    assert schema(path) == schema(tmp_path / "new.db")
    with closing(sqlite3.connect(path)) as migrated, closing(sqlite3.connect(tmp_path / "new.db")) as created:
        version = "SELECT sql, version_num FROM sqlite_master, alembic_version WHERE name = 'alembic_version'"
        (expected,), (found,) = migrated.execute(version), created.execute(version)
        assert [str(value).split() for value in found] == [str(value).split() for value in expected]


# --- a schema that cannot be migrated -------------------------------------------------------------


def test_a_newer_schema_that_is_compatible_stays(opened: Engine, path: Path) -> None:
    migrate(opened)
    set_version(path, "9999", compatible_from=HEAD)
    before = contents(path)
    assert migrate(opened) == ("9999", "9999")
    assert contents(path) == before


def test_a_newer_schema_that_is_incompatible_is_an_error_that_says_what_to_do(
    opened: Engine, path: Path
) -> None:
    migrate(opened)
    set_version(path, "9999", compatible_from="9998")
    before = contents(path)
    with pytest.raises(SchemaError) as raised:
        migrate(opened)
    assert str(raised.value) == (
        f"the ledger sqlite:///{path} has schema 9999, with which this version of the relay (schema {HEAD})"
        " does not work; run the version that migrated it or a later one, or restore the backup from before"
        " the upgrade"
    )
    assert contents(path) == before


def test_a_schema_that_no_release_wrote_is_an_error(opened: Engine, path: Path) -> None:
    migrate(opened)
    set_version(path, "0000", compatible_from="0000")
    with pytest.raises(SchemaError, match="has schema 0000, which no version of the relay wrote; restore a"):
        migrate(opened)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("op.execute('NO SQL')", "syntax error"), ("raise ValueError('no space')", "no space")],
)
def test_a_failed_migration_changes_nothing(
    opened: Engine, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, reason: str
) -> None:
    migrate(opened)
    before = contents(path)
    broken = shutil.copytree(engine._MIGRATIONS, tmp_path / "migrations")
    (broken / "versions" / "9001_broken.py").write_text(BROKEN.format(HEAD=HEAD, fault=fault))
    monkeypatch.setattr(engine, "_MIGRATIONS", broken)
    monkeypatch.setattr(engine, "HEAD", "9001")
    with pytest.raises(SchemaError, match=f"from schema {HEAD} to 9001 and is unchanged: .*{reason}"):
        migrate(opened)
    assert contents(path) == before


def test_a_database_with_a_table_of_another_program_is_unchanged(opened: Engine, path: Path) -> None:
    with opened.begin() as connection:
        connection.execute(text("CREATE TABLE warnings (id INTEGER)"))
    before = contents(path)
    with pytest.raises(SchemaError, match=f"from schema None to {HEAD} and is unchanged: .*already exists"):
        migrate(opened)
    assert contents(path) == before


async def test_a_database_that_another_process_migrates_for_too_long_is_unavailable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    ledger = Ledger(f"sqlite:///{path}")
    await ledger.open()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable, match="database is locked"):
            await ledger.open()
    await ledger.close()


# --- concurrent migrations ------------------------------------------------------------------------


async def test_of_several_threads_one_migrates_and_all_succeed(path: Path) -> None:
    ledgers = [Ledger(f"sqlite:///{path}") for _ in range(6)]
    found = await asyncio.gather(*(ledger.open() for ledger in ledgers))
    assert sorted(found, key=str) == [*[(HEAD, HEAD)] * 5, (None, HEAD)]
    for ledger in ledgers:
        await ledger.close()


async def test_a_database_that_another_process_creates_is_waited_for(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ledger = Ledger(f"sqlite:///{path}")
        opening = asyncio.create_task(ledger.open())
        await asyncio.sleep(0.1)
        assert not opening.done()
        other.execute("ROLLBACK")
        assert await opening == (None, HEAD)
    await ledger.close()


def test_of_several_processes_one_migrates_and_all_succeed(path: Path) -> None:
    command = [sys.executable, "-c", OPEN, f"sqlite:///{path}"]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
            )
            for _ in range(3)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        outputs = sorted(process.communicate(timeout=PATIENCE)[0].strip() for process in processes)
    assert outputs == [f"{HEAD} {HEAD}", f"{HEAD} {HEAD}", f"None {HEAD}"]


# --- the settings of a connection -----------------------------------------------------------------


def test_every_connection_syncs_each_commit_and_uses_wal(opened: Engine) -> None:
    with ExitStack() as stack:
        connections = [_reader(stack, opened) for _ in range(6)]
        assert {_settings(connection) for connection in connections} == {("wal", 2, 1)}


def _reader(stack: ExitStack, opened: Engine) -> Connection:
    return stack.enter_context(transaction(opened, read_only=True))


def _settings(connection: Connection) -> tuple[str, int, int]:
    """Journal mode, synchronous (2: FULL), foreign keys."""
    journal, synchronous, foreign = (
        connection.execute(text(f"PRAGMA {name}")).scalar_one()
        for name in ("journal_mode", "synchronous", "foreign_keys")
    )
    return journal, synchronous, foreign


def test_a_writer_locks_at_the_start_and_a_reader_does_not(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    opened = open_engine(f"sqlite:///{path}")
    with transaction(opened):
        with pytest.raises(Exception, match="locked"), transaction(opened):
            pass
        with transaction(opened, read_only=True) as reader:
            reader.execute_sql("SELECT 1")
    opened.dispose()


def test_an_error_message_has_no_password() -> None:
    assert issubclass(SchemaError, LedgerError)
    url = make_url("postgresql://relay:secret@db/relay")
    fault = DBAPIError("SELECT 1", None, Exception("connection refused"))
    assert engine.explain(fault, url) == (
        "the ledger postgresql://relay:***@db/relay cannot be used: connection refused"
    )


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_other_users_cannot_read_the_files_of_a_ledger(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "var" / "ledger" / "relay.db"
    before = os.umask(umask)
    try:
        opened = open_engine(f"sqlite:///{path}")
        migrate(opened)
        files = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        opened.dispose()
    finally:
        os.umask(before)
    assert files == dict.fromkeys(("relay.db", "relay.db-wal", "relay.db-shm"), 0o600)
    assert [folder.stat().st_mode & 0o777 for folder in (path.parent, path.parent.parent)] == [0o700] * 2


# --- memory ---------------------------------------------------------------------------------------


def test_each_connection_of_the_pool_frees_its_cache(opened: Engine) -> None:
    with connect(opened) as first, connect(opened) as second:
        drivers = [first.driver, second.driver]
    seen = list[tuple[int, str]]()
    for number, driver in enumerate(drivers):
        driver.set_trace_callback(lambda sql, number=number: seen.append((number, sql)))
    sqlite.free_caches(opened)
    assert sorted(seen) == [(0, "PRAGMA shrink_memory"), (1, "PRAGMA shrink_memory")]
