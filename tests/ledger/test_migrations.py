"""Each migration after `COMPATIBLE_FROM` is additive: relays of the schema before it go on to work."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from relay.ledger import engine
from relay.ledger.compatibility import COMPATIBLE_FROM
from relay.ledger.connection import Connection
from relay.ledger.engine import open_engine
from tests.support.postgres import Databases
from tests.support.schema_changes import find_breaking_changes, read_schema


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without tables."""
    if request.param == "sqlite":
        opened = open_engine(f"sqlite:///{tmp_path / 'relay.db'}")
        yield opened
        opened.dispose()
        return
    databases: Databases = request.getfixturevalue("databases")
    with databases.fresh("template0") as url:
        opened = open_engine(url)
        yield opened
        opened.dispose()


def upgrade(opened: Engine, config: Config, revision: str) -> None:
    with opened.begin() as connection:
        engine._prepare(Connection(connection.connection.driver_connection, opened.dialect))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def find_changes_by_migration(opened: Engine, migrations: Path) -> dict[str, list[str]]:
    """Run the migrations one by one; return what breaks older relays, by the migration."""
    config = Config()
    config.set_main_option("script_location", str(migrations))
    revisions = [each.revision for each in ScriptDirectory.from_config(config).walk_revisions()][::-1]
    schemas = []
    for revision in revisions:
        upgrade(opened, config, revision)
        schemas.append(read_schema(opened))
    changes = zip(revisions[1:], pairwise(schemas), strict=True)
    return {revision: find_breaking_changes(before, after) for revision, (before, after) in changes}


def test_migrations_after_the_oldest_compatible_schema_are_additive(empty: Engine) -> None:
    found = find_changes_by_migration(empty, engine._MIGRATIONS)
    assert {
        revision: changes for revision, changes in found.items() if revision > COMPATIBLE_FROM and changes
    } == {}


def test_versions_are_numbers_of_four_digits_that_can_be_compared_as_texts() -> None:
    files = sorted(file.name for file in (engine._MIGRATIONS / "versions").glob("*.py"))
    assert [name[:4] for name in files] == [f"{number:04}" for number in range(1, len(files) + 1)]
    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+\.py", name) for name in files)


MIGRATION = """
import sqlalchemy as sa
from alembic import op
revision = "{revision}"
down_revision = "{before}"
def upgrade():
    {change}
"""
ADDITIVE = [
    "op.create_table('new', sa.Column('x', sa.Text, primary_key=True), sa.Column('y', sa.Text, unique=True))",
    "op.add_column('calls', sa.Column('new', sa.Text))",
    "op.add_column('calls', sa.Column('new', sa.Integer, nullable=False, server_default='0'))",
    "op.create_index('calls_new', 'calls', ['status', 'version'])",
    "op.drop_index('calls_changed', 'calls')",
]
BREAKING = {
    "op.drop_table('warnings')": "warnings is removed",
    "op.drop_column('relays', 'pid')": "relays.pid is removed",
    "op.alter_column('relays', 'pid', new_column_name='process')": "relays.pid is removed",
    "op.execute('ALTER TABLE relays ADD COLUMN x INTEGER NOT NULL DEFAULT 1')": None,
    "op.create_index('new', 'calls', ['number'], unique=True)": "calls has a new rule: unique ['number']",
}


def write_migration(folder: Path, number: int, change: str) -> None:
    text = MIGRATION.format(revision=f"{number:04}", before=f"{number - 1:04}", change=change)
    (folder / "versions" / f"{number:04}_artificial.py").write_text(text)


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """A folder with the first migration."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for name in ("env.py", "script.py.mako", "versions/0001_initial.py"):
        (folder / name).write_text((engine._MIGRATIONS / name).read_text())
    return folder


def test_additive_changes_are_allowed(empty: Engine, migrations: Path) -> None:
    for number, change in enumerate(ADDITIVE, 2):
        write_migration(migrations, number, change.replace("'new'", f"'new_{number}'"))
    found = find_changes_by_migration(empty, migrations)
    assert len(found) == len(ADDITIVE)
    assert all(changes == [] for changes in found.values()), found


@pytest.mark.parametrize("change", BREAKING)
def test_changes_that_break_older_relays_are_found(empty: Engine, migrations: Path, change: str) -> None:
    write_migration(migrations, 2, change)
    found = find_changes_by_migration(empty, migrations)["0002"]
    expected = BREAKING[change]
    assert expected in found if expected else found == []


ONLY_POSTGRESQL = {
    "op.alter_column('relays', 'pid', type_=sa.Text)": "relays.pid has another type: TEXT instead of INTEGER",
    "op.alter_column('calls', 'number', nullable=False)": "calls.number must have a value",
    "op.add_column('calls', sa.Column('x', sa.Text, nullable=False))": (
        "calls.x is new, and an older relay writes no value"
    ),
    "op.create_check_constraint('c', 'relays', 'pid > 0')": "relays has a new rule: check pid > 0",
    "op.create_foreign_key('f', 'aliases', 'calls', ['call'], ['id'])": (
        "aliases has a new rule: foreign key ['call'] to calls"
    ),
    "op.drop_constraint('leases_pkey', 'leases')": "leases lacks a rule: primary key ['name']",
}


@pytest.mark.parametrize("change", ONLY_POSTGRESQL)
def test_changes_that_only_postgresql_makes_are_found(
    databases: Databases, migrations: Path, change: str
) -> None:
    write_migration(migrations, 2, change)
    with databases.fresh("template0") as url:
        opened = open_engine(url)
        try:
            assert ONLY_POSTGRESQL[change] in find_changes_by_migration(opened, migrations)["0002"]
        finally:
            opened.dispose()
