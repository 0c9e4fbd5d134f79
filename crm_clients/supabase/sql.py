"""SQL for Supabase's editor that creates the tables of calls. All of it is idempotent."""

from collections.abc import Mapping
from typing import Final

from crm_clients.settings import Constant
from relay.call import FIELDS

ROLE: Final = "service_role"
"""The database role of Supabase's secret keys."""

_TYPE_BY_FIELD: Final = {
    "id": "text",
    "tags": "jsonb",
    "follow_up": "boolean",
    "cloudtalk_data": "jsonb",
    "version": "bigint not null default 0",
    "state": "text",
}
_TYPE_BY_SUFFIX: Final = {"_at": "timestamptz", "_seconds": "bigint"}
_TYPE_OF_CONSTANT: Final[dict[type, str]] = {bool: "boolean", int: "bigint", float: "double precision"}

_NO_COLUMN_HERE: Final = frozenset({"version", "cloudtalk_data", "merged_into", "legs"})
_RECORD_FIELDS: Final = tuple(field for field in FIELDS if field not in _NO_COLUMN_HERE)
FIELDS_WRITTEN: Final = (*_RECORD_FIELDS, "state", "cloudtalk_data", "version")
"""The fields that the relay writes, in the order of the columns."""

MERGED_INTO: Final = "merged_into"
"""The column with the id of the call that this call was merged into, for `on_merge = "mark"`."""

RESERVED_COLUMNS: Final = ("updated_at", MERGED_INTO)
"""Columns that no field can be renamed to."""

DEFAULT_MAPPING: Final = {field: field for field in FIELDS_WRITTEN}
"""The column of each field, unless the settings rename it."""


def table_sql(
    table: str,
    schema: str,
    mapping: Mapping[str, str] = DEFAULT_MAPPING,
    constants: Mapping[str, Constant] | None = None,
) -> str:
    """Return SQL that creates the table, or adds what an existing table lacks.

    `mapping`: field → column. `constants`: column → value, for the types of their columns.
    """
    columns = {mapping[field]: _type_of(field) for field in FIELDS_WRITTEN if field in mapping}
    columns |= {name: _TYPE_OF_CONSTANT.get(type(value), "text") for name, value in (constants or {}).items()}
    columns |= {"updated_at": "timestamptz not null default now()", MERGED_INTO: "text"}
    return _TABLE.format(
        schema=_quote(schema),
        table=f"{_quote(schema)}.{_quote(table)}",
        key=_quote(mapping["id"]),
        key_name=mapping["id"],
        columns=",\n".join(f"  add column if not exists {_quote(n)} {t}" for n, t in columns.items()),
        indexes="".join(_index_statements(table, schema, mapping)),
        guard=f"{_quote(schema)}.{_quote(f'{table}_keep_newest')}",
        trigger=_quote(f"{table}_keep_newest"),
        skip_older=_skip_older(mapping.get("version")),
        create_schema=_create_schema(schema),
        role=ROLE,
    )


def kv_sql(table: str, schema: str) -> str:
    """Return SQL that creates the table of the layout `kv`."""
    return _KV.format(
        schema=_quote(schema),
        table=f"{_quote(schema)}.{_quote(table)}",
        create_schema=_create_schema(schema),
        role=ROLE,
    )


def grant_sql(table: str, schema: str, role: str) -> str:
    """Return the grants that the role needs, on one line."""
    return (
        f"grant usage on schema {_quote(schema)} to {role}; "
        f"grant select, insert, update, delete on {_quote(schema)}.{_quote(table)} to {role};"
    )


def unique_sql(table: str, schema: str, key: str) -> str:
    """Return SQL that makes a column unique, so that it can be the key."""
    return f"alter table {_quote(schema)}.{_quote(table)} add unique ({_quote(key)});"


def _create_schema(schema: str) -> str:
    return "" if schema == "public" else f"create schema if not exists {_quote(schema)};\n"


def _index_statements(table: str, schema: str, mapping: Mapping[str, str]) -> list[str]:
    """Index what a CRM's pages query, as far as the columns exist."""
    indexes = {
        "started_at": (("started_at", " desc"),),
        "number": (("external_number", ""),),
        "follow_up": (("follow_up", ""), ("started_at", " desc")),
    }
    return [
        f"create index if not exists {_quote(f'{table}_{name}')} on {_quote(schema)}.{_quote(table)} "
        f"({', '.join(_quote(mapping[field]) + order for field, order in fields)});\n"
        for name, fields in indexes.items()
        if all(field in mapping for field, _ in fields)
    ]


def _skip_older(version: str | None) -> str:
    if version is None:
        return ""
    column = _quote(version)
    return f"  if new.{column} < old.{column} then\n    return null;\n  end if;\n"


def _type_of(field: str) -> str:
    if field in _TYPE_BY_FIELD:
        return _TYPE_BY_FIELD[field]
    return next((type_ for suffix, type_ in _TYPE_BY_SUFFIX.items() if field.endswith(suffix)), "text")


def _quote(name: str) -> str:
    """Quote an identifier: `from` and `to` are keywords of SQL, and unquoted names lose their case."""
    return '"' + name.replace('"', '""') + '"'


_TABLE: Final = """\
-- CloudTalk Relay: one row per call. Run it in Supabase's SQL editor; running it again is safe.
{create_schema}create table if not exists {table} ({key} text primary key);

alter table {table}
{columns};

comment on table {table} is
  'Calls from CloudTalk, one row each, written by CloudTalk Relay. Your own columns are not changed.';

-- This column identifies a call, also in a table with another primary key.
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
-- An older version that arrives late does not overwrite a newer one.
create or replace function {guard}() returns trigger
language plpgsql set search_path = '' as $$
begin
{skip_older}  new.updated_at := now();
  return new;
end
$$;

create or replace trigger {trigger} before update on {table}
  for each row execute function {guard}();

-- The relay's secret key can write; nobody else can read the table until you add policies.
alter table {table} enable row level security;
grant usage on schema {schema} to {role};
grant select, insert, update, delete on {table} to {role};

-- The API reloads the schema at once.
notify pgrst, 'reload schema';
"""

_KV: Final = """\
-- CloudTalk Relay: the CRM's key-value table. Run it in Supabase's SQL editor; running it again is safe.
{create_schema}create table if not exists {table} ("key" text primary key, "value" jsonb not null);

-- The secret key can write; nobody else can read the table, since there are no policies.
alter table {table} enable row level security;
grant usage on schema {schema} to {role};
grant select, insert, update, delete on {table} to {role};

-- The API reloads the schema at once.
notify pgrst, 'reload schema';
"""
