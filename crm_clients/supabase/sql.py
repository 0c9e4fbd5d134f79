"""The tables that calls live in, as SQL for Supabase's editor. Everything may be run again."""

from collections.abc import Mapping
from typing import Final

from relay.call import FIELDS

ROLE: Final = "service_role"
"""The role behind Supabase's secret keys."""

Constant = str | bool | int | float

_NAMED: Final = {
    "id": "text",
    "tags": "jsonb",
    "follow_up": "boolean",
    "cloudtalk_data": "jsonb",
    "version": "bigint not null default 0",
    "state": "text",
}
_BY_ENDING: Final = {"_at": "timestamptz", "_seconds": "bigint"}
_OF_CONSTANTS: Final[dict[type, str]] = {bool: "boolean", int: "bigint", float: "double precision"}

_RECORD: Final = tuple(f for f in FIELDS if f not in {"version", "cloudtalk_data", "merged_into"})
COLUMNS: Final = (*_RECORD, "state", "cloudtalk_data", "version")
"""The fields that the relay writes, in the table's order; unless moved, their columns bear their names."""

MARK: Final = "merged_into"
"""The column that names the call which this one is part of, where `on_merge` marks."""

KEPT: Final = ("updated_at", MARK)
"""Columns that no field can be moved to: the database's own, and the mark."""

_UNMOVED: Final = {column: column for column in COLUMNS}


def table_sql(
    table: str,
    schema: str,
    places: Mapping[str, str] = _UNMOVED,
    constants: Mapping[str, Constant] | None = None,
) -> str:
    """SQL that brings the table to where the relay needs it, whatever stands there already.

    `places`: each field's column. `constants`: what else a row is given, for the columns' types.
    """
    columns = {places[field]: _type(field) for field in COLUMNS if field in places}
    columns |= {name: _OF_CONSTANTS.get(type(value), "text") for name, value in (constants or {}).items()}
    columns |= {"updated_at": "timestamptz not null default now()", MARK: "text"}
    return _TABLE.format(
        schema=_quoted(schema),
        table=f"{_quoted(schema)}.{_quoted(table)}",
        key=_quoted(places["id"]),
        key_name=places["id"],
        columns=",\n".join(f"  add column if not exists {_quoted(n)} {t}" for n, t in columns.items()),
        indexes="".join(_indexes(table, schema, places)),
        guard=f"{_quoted(schema)}.{_quoted(f'{table}_keep_newest')}",
        trigger=_quoted(f"{table}_keep_newest"),
        refusal=_refusal(places.get("version")),
        new_schema=_new_schema(schema),
        role=ROLE,
    )


def kv_sql(table: str, schema: str) -> str:
    """The same for the layout `kv`, whose table belongs to the CRM."""
    return _KV.format(
        schema=_quoted(schema),
        table=f"{_quoted(schema)}.{_quoted(table)}",
        new_schema=_new_schema(schema),
        role=ROLE,
    )


def grant_sql(table: str, schema: str, role: str) -> str:
    """The grants that the relay's role needs, on one line."""
    return (
        f"grant usage on schema {_quoted(schema)} to {role}; "
        f"grant select, insert, update, delete on {_quoted(schema)}.{_quoted(table)} to {role};"
    )


def unique_sql(table: str, schema: str, key: str) -> str:
    """What makes a column the key of a table that has none on it."""
    return f"alter table {_quoted(schema)}.{_quoted(table)} add unique ({_quoted(key)});"


def _new_schema(schema: str) -> str:
    return "" if schema == "public" else f"create schema if not exists {_quoted(schema)};\n"


def _indexes(table: str, schema: str, places: Mapping[str, str]) -> list[str]:
    """For the questions that a page asks; of columns that are not there, none."""
    asked = {
        "started_at": (("started_at", " desc"),),
        "number": (("external_number", ""),),
        "follow_up": (("follow_up", ""), ("started_at", " desc")),
    }
    return [
        f"create index if not exists {_quoted(f'{table}_{name}')} on {_quoted(schema)}.{_quoted(table)} "
        f"({', '.join(_quoted(places[field]) + order for field, order in fields)});\n"
        for name, fields in asked.items()
        if all(field in places for field, _ in fields)
    ]


def _refusal(version: str | None) -> str:
    if version is None:
        return ""
    column = _quoted(version)
    return f"  if new.{column} < old.{column} then\n    return null;\n  end if;\n"


def _type(field: str) -> str:
    if field in _NAMED:
        return _NAMED[field]
    return next((kind for ending, kind in _BY_ENDING.items() if field.endswith(ending)), "text")


def _quoted(name: str) -> str:
    """As an identifier: `from` and `to` are words of SQL, and case counts."""
    return '"' + name.replace('"', '""') + '"'


_TABLE: Final = """\
-- CloudTalk Relay: one row per call. Run it in Supabase's SQL editor; running it again is safe.
{new_schema}create table if not exists {table} ({key} text primary key);

alter table {table}
{columns};

comment on table {table} is
  'Calls from CloudTalk, one row each, written by CloudTalk Relay. Columns of your own are left alone.';

-- Calls are told apart by this column, also in a table with a primary key of its own.
do $$
begin
  if not exists (
    select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = '{table}'::regclass and i.indisunique and i.indnkeyatts = 1
      and i.indpred is null and a.attname = '{key_name}'
  ) then
    alter table {table} add unique ({key});
  end if;
end
$$;

{indexes}
-- An older version that arrives late never overwrites a newer one.
create or replace function {guard}() returns trigger
language plpgsql set search_path = '' as $$
begin
{refusal}  new.updated_at := now();
  return new;
end
$$;

create or replace trigger {trigger} before update on {table}
  for each row execute function {guard}();

-- The relay's secret key may write; nobody else sees the table until you add policies.
alter table {table} enable row level security;
grant usage on schema {schema} to {role};
grant select, insert, update, delete on {table} to {role};

-- The API learns of the table at once.
notify pgrst, 'reload schema';
"""

_KV: Final = """\
-- CloudTalk Relay: the CRM's key-value table. Run it in Supabase's SQL editor; running it again is safe.
{new_schema}create table if not exists {table} ("key" text primary key, "value" jsonb not null);

-- The secret key may write; nobody else sees the table, since there are no policies.
alter table {table} enable row level security;
grant usage on schema {schema} to {role};
grant select, insert, update, delete on {table} to {role};

-- The API learns of the table at once.
notify pgrst, 'reload schema';
"""
