"""What a migration changes, and whether a relay of the schema before it goes on to work."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from sqlalchemy import Engine, inspect
from sqlalchemy.engine.interfaces import ReflectedColumn

from relay.ledger.engine import schema_name

_ALEMBIC: Final = "alembic_version"


class TableShape(msgspec.Struct, frozen=True):
    """A table as the database describes it. `rules`: what a row has to fulfil, but for the types."""

    columns: dict[str, ReflectedColumn]
    rules: frozenset[str]


Schema = dict[str, TableShape]


def read_schema(engine: Engine) -> Schema:
    """Read all tables of a ledger but that of Alembic."""
    found = inspect(engine)
    name = schema_name(engine)
    return {
        table: TableShape(
            {column["name"]: column for column in found.get_columns(table, schema=name)},
            frozenset(_read_rules(found, table, name)),
        )
        for table in found.get_table_names(schema=name)
        if table != _ALEMBIC
    }


def _read_rules(found: Any, table: str, schema: str | None) -> Iterator[str]:
    yield f"primary key {found.get_pk_constraint(table, schema=schema)['constrained_columns']}"
    for index in found.get_indexes(table, schema=schema):
        if index["unique"]:
            yield f"unique {index['column_names']}"
    for unique in found.get_unique_constraints(table, schema=schema):
        yield f"unique {unique['column_names']}"
    for foreign in found.get_foreign_keys(table, schema=schema):
        yield f"foreign key {foreign['constrained_columns']} to {foreign['referred_table']}"
    for check in found.get_check_constraints(table, schema=schema):
        yield f"check {check['sqltext']}"


def find_breaking_changes(before: Schema, after: Schema) -> list[str]:
    """Return each change after which statements of an older relay may fail or mean something else."""
    return [change for table in before for change in _compare(table, before[table], after.get(table))]


def _compare(table: str, before: TableShape, after: TableShape | None) -> Iterator[str]:
    if after is None:
        yield f"{table} is removed"
        return
    for name, column in before.columns.items():
        yield from _compare_columns(f"{table}.{name}", column, after.columns.get(name))
    for name in after.columns.keys() - before.columns.keys():
        new = after.columns[name]
        if not new["nullable"] and new["default"] is None:
            yield f"{table}.{name} is new, and an older relay writes no value"
    for rule in sorted(after.rules - before.rules):
        yield f"{table} has a new rule: {rule}"
    for rule in sorted(before.rules - after.rules):  # an upsert names the columns of a rule
        yield f"{table} lacks a rule: {rule}"


def _compare_columns(name: str, before: ReflectedColumn, after: ReflectedColumn | None) -> Iterator[str]:
    if after is None:
        yield f"{name} is removed"
        return
    if str(before["type"]) != str(after["type"]):
        yield f"{name} has another type: {after['type']} instead of {before['type']}"
    if before["nullable"] and not after["nullable"]:
        yield f"{name} must have a value"
    if before["default"] is not None and after["default"] is None:
        yield f"{name} has no default any more"
