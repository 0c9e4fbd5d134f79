"""How SQLite is set up, and how the schema comes up to date: whole or not at all."""

import asyncio
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
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from relay.ledger import HEAD, Ledger, LedgerError, LedgerUnavailable, SchemaError, engine, sqlite
from relay.ledger.engine import migrate, open_engine, schema_version
from relay.ledger.tables import metadata

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
    columns = "id, version, began_at, state, record, field_versions"
    op.execute(f"INSERT INTO calls ({{columns}}) VALUES ('x',1,1,'','','')")
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
    """What was created, but for what belongs to Alembic and to SQLite."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(
            "SELECT sql FROM sqlite_master WHERE sql NOT NULL"
            " AND tbl_name NOT LIKE 'alembic_%' AND tbl_name NOT LIKE 'sqlite_%'"
        )
        return {" ".join(sql.split()) for (sql,) in found}


def put_at(path: Path, version: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))


# --- the schema -----------------------------------------------------------------------------------


def test_a_fresh_database_comes_up_to_this_schema(opened: Engine) -> None:
    assert migrate(opened) == (None, HEAD)
    with opened.begin() as connection:
        assert schema_version(connection) == HEAD


def test_a_database_that_is_up_to_date_is_left_alone(opened: Engine, path: Path) -> None:
    migrate(opened)
    before = contents(path)
    assert migrate(opened) == (HEAD, HEAD)
    assert contents(path) == before


def test_the_schema_that_the_code_speaks_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(engine._MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_migrations_and_tables_say_the_same(opened: Engine) -> None:
    migrate(opened)
    with opened.begin() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []


def test_migrations_and_tables_say_the_same_of_partial_indexes_and_row_ids(
    opened: Engine, path: Path, tmp_path: Path
) -> None:
    migrate(opened)
    declared = open_engine(f"sqlite:///{tmp_path / 'declared.db'}")
    with declared.begin() as connection:
        metadata.create_all(connection)
    declared.dispose()
    assert schema(path) == schema(tmp_path / "declared.db")


# --- a schema that cannot be brought up to date ---------------------------------------------------


def test_a_newer_schema_is_refused_with_what_to_do_and_left_alone(opened: Engine, path: Path) -> None:
    migrate(opened)
    put_at(path, "9999")
    before = contents(path)
    with pytest.raises(SchemaError) as refusal:
        migrate(opened)
    assert str(refusal.value) == (
        f"the ledger sqlite:///{path} has schema 9999, which this version of the relay does not know"
        f" (it knows up to {HEAD}); run the newer relay that wrote it"
    )
    assert contents(path) == before


@pytest.mark.parametrize(
    ("fault", "said"),
    [("op.execute('NO SQL')", "syntax error"), ("raise ValueError('no such luck')", "no such luck")],
)
def test_a_failed_migration_leaves_the_database_as_it_was(
    opened: Engine, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, said: str
) -> None:
    migrate(opened)
    before = contents(path)
    broken = shutil.copytree(engine._MIGRATIONS, tmp_path / "migrations")
    (broken / "versions" / "9001_broken.py").write_text(BROKEN.format(HEAD=HEAD, fault=fault))
    monkeypatch.setattr(engine, "_MIGRATIONS", broken)
    monkeypatch.setattr(engine, "HEAD", "9001")
    with pytest.raises(SchemaError, match=f"from schema {HEAD} to 9001 and is unchanged: .*{said}"):
        migrate(opened)
    assert contents(path) == before


def test_a_failed_first_migration_leaves_an_empty_database(
    opened: Engine, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = shutil.copytree(engine._MIGRATIONS, tmp_path / "migrations")
    (broken / "versions" / "9001_broken.py").write_text(
        BROKEN.format(HEAD=HEAD, fault="op.execute('NO SQL')")
    )
    monkeypatch.setattr(engine, "_MIGRATIONS", broken)
    monkeypatch.setattr(engine, "HEAD", "9001")
    with pytest.raises(SchemaError):
        migrate(opened)
    assert schema(path) == set()


async def test_a_database_that_another_migrates_too_long_is_unavailable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_BUSY_SECONDS", 0.05)
    ledger = Ledger(f"sqlite:///{path}")
    await ledger.open()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable, match="database is locked"):
            await ledger.open()
    await ledger.close()


# --- several at once ------------------------------------------------------------------------------


async def test_threads_that_open_at_once_all_succeed_and_one_migrates(path: Path) -> None:
    ledgers = [Ledger(f"sqlite:///{path}") for _ in range(6)]
    found = await asyncio.gather(*(ledger.open() for ledger in ledgers))
    assert sorted(found, key=str) == [*[(HEAD, HEAD)] * 5, (None, HEAD)]
    for ledger in ledgers:
        await ledger.close()


async def test_a_new_database_that_another_sets_up_just_now_is_waited_for(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ledger = Ledger(f"sqlite:///{path}")
        opening = asyncio.create_task(ledger.open())
        await asyncio.sleep(0.1)
        assert not opening.done()
        other.execute("ROLLBACK")
        assert await opening == (None, HEAD)
    await ledger.close()


def test_processes_that_open_at_once_all_succeed_and_one_migrates(path: Path) -> None:
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
        said = sorted(process.communicate(timeout=20)[0].strip() for process in processes)
    assert said == [f"{HEAD} {HEAD}", f"{HEAD} {HEAD}", f"None {HEAD}"]


# --- how a connection is set up -------------------------------------------------------------------


def test_every_connection_syncs_each_commit_and_reads_beside_a_writer(opened: Engine) -> None:
    with ExitStack() as stack:
        several = [_reader(stack, opened) for _ in range(6)]
        assert {_setup(connection) for connection in several} == {("wal", 2, 1)}


def _reader(stack: ExitStack, opened: Engine) -> Connection:
    return stack.enter_context(opened.connect().execution_options(read_only=True))


def _setup(connection: Connection) -> tuple[str, int, int]:
    """Journal mode, synchronous (2: FULL), foreign keys."""
    journal, synchronous, foreign = (
        connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
        for name in ("journal_mode", "synchronous", "foreign_keys")
    )
    return journal, synchronous, foreign


def test_a_writer_takes_its_lock_at_once_and_a_reader_none(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_BUSY_SECONDS", 0.05)
    opened = open_engine(f"sqlite:///{path}")
    with opened.begin():
        with pytest.raises(Exception, match="locked"), opened.begin():
            pass
        with opened.connect().execution_options(read_only=True) as reader:
            reader.exec_driver_sql("SELECT 1")
    opened.dispose()


def test_what_a_person_reads_names_no_password() -> None:
    assert issubclass(SchemaError, LedgerError)
    url = make_url("postgresql://relay:secret@db/relay")
    fault = DBAPIError("SELECT 1", None, Exception("connection refused"))
    assert engine.explain(fault, url) == (
        "the ledger postgresql://relay:***@db/relay cannot be used: connection refused"
    )
