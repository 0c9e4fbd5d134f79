"""The table that calls live in, as SQL for Supabase's editor. Everything may be run again."""

from typing import Final

from relay.call import FIELDS

ROLE: Final = "service_role"
"""The role behind Supabase's secret keys."""

_NAMED: Final = {
    "id": "text",
    "tags": "jsonb",
    "follow_up": "boolean",
    "cloudtalk_data": "jsonb",
    "version": "bigint not null default 0",
    "state": "text",
    "updated_at": "timestamptz not null default now()",
}
_BY_ENDING: Final = {"_at": "timestamptz", "_seconds": "bigint"}

_RECORD: Final = tuple(f for f in FIELDS if f not in {"version", "cloudtalk_data", "merged_into"})
COLUMNS: Final = (*_RECORD, "state", "cloudtalk_data", "version")
"""The columns that the relay writes, in the table's order; `updated_at` is the database's own."""


def table_sql(table: str, schema: str) -> str:
    """SQL that brings the table to where the relay needs it, whatever stands there already."""
    return _SCRIPT.format(
        schema=_quoted(schema),
        table=f"{_quoted(schema)}.{_quoted(table)}",
        guard=f"{_quoted(schema)}.{_quoted(f'{table}_keep_newest')}",
        trigger=_quoted(f"{table}_keep_newest"),
        by_start=_quoted(f"{table}_started_at"),
        by_number=_quoted(f"{table}_number"),
        by_follow_up=_quoted(f"{table}_follow_up"),
        columns=",\n".join(
            f"  add column if not exists {_column(name)}" for name in (*COLUMNS, "updated_at", "merged_into")
        ),
        new_schema="" if schema == "public" else f"create schema if not exists {_quoted(schema)};\n",
        role=ROLE,
    )


def grant_sql(table: str, schema: str, role: str) -> str:
    """The grants that the relay's role needs, on one line."""
    return (
        f"grant usage on schema {_quoted(schema)} to {role}; "
        f"grant select, insert, update, delete on {_quoted(schema)}.{_quoted(table)} to {role};"
    )


def unique_sql(table: str, schema: str) -> str:
    """What makes `id` the key of a table that has none on it."""
    return f'alter table {_quoted(schema)}.{_quoted(table)} add unique ("id");'


def _column(name: str) -> str:
    return f"{_quoted(name)} {_type(name)}"


def _type(name: str) -> str:
    if name in _NAMED:
        return _NAMED[name]
    return next((kind for ending, kind in _BY_ENDING.items() if name.endswith(ending)), "text")


def _quoted(name: str) -> str:
    """As an identifier: `from` and `to` are words of SQL, and case counts."""
    return '"' + name.replace('"', '""') + '"'


_SCRIPT: Final = """\
-- CloudTalk Relay: one row per call. Run it in Supabase's SQL editor; running it again is safe.
{new_schema}create table if not exists {table} ("id" text primary key);

alter table {table}
{columns};

comment on table {table} is
  'Calls from CloudTalk, one row each, written by CloudTalk Relay. Columns of your own are left alone.';

create index if not exists {by_start} on {table} ("started_at" desc);
create index if not exists {by_number} on {table} ("external_number");
create index if not exists {by_follow_up} on {table} ("started_at") where "follow_up";

-- An older version that arrives late never overwrites a newer one.
create or replace function {guard}() returns trigger
language plpgsql set search_path = '' as $$
begin
  if new.version < old.version then
    return null;
  end if;
  new.updated_at := now();
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
