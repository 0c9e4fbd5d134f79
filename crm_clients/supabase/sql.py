"""SQL for Supabase's editor that creates the tables of calls. All of it is idempotent."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from crm_clients.comparison import IDENTITY_FIELDS
from crm_clients.settings import Constant
from crm_clients.supabase.batches import encode_json
from relay.call import FIELDS
from relay.standards.versions import MAX_VERSION

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

ON_REQUEST: Final = frozenset({"called_back_at", "called_back_by", "missed_reason", "smart_notes"})
"""Fields that have a column only if the settings name it: a table that was created before keeps working."""

DEFAULT_MAPPING: Final = {field: field for field in FIELDS_WRITTEN if field not in ON_REQUEST}
"""The column of each field, unless the settings rename it."""


def table_sql(
    table: str,
    schema: str,
    mapping: Mapping[str, str] = DEFAULT_MAPPING,
    constants: Mapping[str, Constant] | None = None,
    sample: Mapping[str, Any] | None = None,
    optional: Iterable[str] = (),
) -> str:
    """Return SQL that creates the table, or adds what an existing table lacks.

    `mapping`: field → column. `constants`: column → value, for the types of their columns. `sample`: column →
    value of a call, to find columns of another type. `optional`: columns that are null in some calls.
    """
    columns = {mapping[field]: _type_of(field) for field in FIELDS_WRITTEN if field in mapping}
    columns |= {name: _TYPE_OF_CONSTANT.get(type(value), "text") for name, value in (constants or {}).items()}
    columns |= {"updated_at": "timestamptz not null default now()", MERGED_INTO: "text"}
    full_table = f"{_quote(schema)}.{_quote(table)}"
    refusal = _refusal(full_table, columns, sample or {}, exact=[mapping["id"]], optional=optional)
    return _TABLE.format(
        table=full_table,
        key=_quote(mapping["id"]),
        key_name=mapping["id"],
        columns=",\n".join(f"  add column if not exists {_quote(n)} {t}" for n, t in columns.items()),
        indexes="".join(_index_statements(table, schema, mapping)),
        guard=f"{_quote(schema)}.{_quote(f'{table}_keep_newest')}",
        trigger=_quote(f"{table}_keep_newest"),
        skip_older=_skip_older(mapping.get("version")),
        create_schema=_create_schema(schema),
        refusal=refusal,
        grants=_grants(table, schema),
    )


def kv_sql(table: str, schema: str, sample: Mapping[str, Any] | None = None) -> str:
    """Return SQL that creates the table of the layout `kv`. `sample`: a row, as for `table_sql`."""
    columns = ["key", "value"]
    full_table = f"{_quote(schema)}.{_quote(table)}"
    return _KV.format(
        table=full_table,
        create_schema=_create_schema(schema),
        refusal=_refusal(full_table, columns, sample or {}, exact=columns),
        grants=_grants(table, schema),
    )


def grant_sql(table: str, schema: str, role: str) -> str:
    """Return the grants that the role needs, on one line."""
    return (
        f"grant usage on schema {_quote(schema)} to {role}; "
        f"grant select, insert, update, delete on {_quote(schema)}.{_quote(table)} to {role};"
    )


def sequence_grant_sql(sequence: str, schema: str, role: str) -> str:
    """Return the grant that a default value from this sequence needs."""
    return f"grant usage on sequence {_quote(schema)}.{_quote(sequence)} to {role};"


def usage_grant_sql(kind: str, name: str, role: str) -> str:
    """Return the grant to use an object. The name of a type is as PostgreSQL writes it in messages."""
    return f"grant usage on {kind} {name if kind == 'type' else _quote(name)} to {role};"


def routine_grant_sql(name: str, role: str) -> str:
    """Return the grant to call the functions with this name, whatever their schema and arguments."""
    return _GRANT_ROUTINES.format(name=_literal(name), role=role)


def relation_grant_sql(name: str, role: str) -> str:
    """Return the grants to read and write the tables and views with this name, whatever their schema."""
    return _GRANT_RELATIONS.format(name=_literal(name), role=role)


def type_sql(table: str, schema: str, column: str, type_: str) -> str:
    """Return SQL that changes the type of a column."""
    name = _quote(column)
    return (
        f"alter table {_quote(schema)}.{_quote(table)} alter column {name} drop default, "
        f"alter column {name} type {type_} using {name}::{type_};"
    )


def nullable_sql(table: str, schema: str, column: str) -> str:
    """Return SQL that allows null in a column."""
    return f"alter table {_quote(schema)}.{_quote(table)} alter column {_quote(column)} drop not null;"


def enum_sql(type_: str, value: str) -> str:
    """Return SQL that adds a value to an enum. `type_` as PostgreSQL writes it in messages."""
    return f"alter type {type_} add value if not exists {_literal(value)};"


def policy_sql(table: str, schema: str, role: str) -> str:
    """Return a policy of row level security that gives the role all rows."""
    return (
        f"create policy cloudtalk_relay on {_quote(schema)}.{_quote(table)} for all to {role} "
        "using (true) with check (true);"
    )


def unique_sql(table: str, schema: str, key: str) -> str:
    """Return SQL that makes a column unique without a deferrable constraint, so that it can be the key."""
    full_table = f"{_quote(schema)}.{_quote(table)}"
    return _UNIQUE.format(table=full_table, key=_quote(key), key_name=key)


def _refusal(
    table: str,
    columns: Iterable[str],
    sample: Mapping[str, Any],
    *,
    exact: Sequence[str],
    optional: Iterable[str] = (),
) -> str:
    """Return SQL that raises an error if the relay cannot write to the table, and names every reason.

    `exact`: columns that must return the same value that was written. `optional`: columns that must allow
    null.
    """
    return _REFUSAL.format(
        table=table,
        sample=_literal(encode_json(dict(sample)).decode().replace("$", "\\u0024")),
        exact=", ".join(map(_literal, exact)),
        columns=", ".join(map(_literal, columns)),
        optional=", ".join(map(_literal, optional)),
    )


def _grants(table: str, schema: str) -> str:
    return _GRANTS.format(schema=_quote(schema), table=f"{_quote(schema)}.{_quote(table)}", role=ROLE)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _create_schema(schema: str) -> str:
    return "" if schema == "public" else f"create schema if not exists {_quote(schema)};\n"


def _index_statements(table: str, schema: str, mapping: Mapping[str, str]) -> list[str]:
    """Index what a CRM's pages query and how the relay finds doubles, as far as the columns exist."""
    indexes = {
        "started_at": (("started_at", " desc"),),
        "number": (("external_number", ""),),
        "follow_up": (("follow_up", ""), ("started_at", " desc")),
        **{field: ((field, ""),) for field in IDENTITY_FIELDS},
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
    # A version that the relay cannot have given is replaced. The column may have any type.
    is_possible = f"old.{column}::text::numeric <= {MAX_VERSION}"
    return f"  if new.{column} < old.{column} and {is_possible} then\n    return null;\n  end if;\n"


def _type_of(field: str) -> str:
    if field in _TYPE_BY_FIELD:
        return _TYPE_BY_FIELD[field]
    return next((type_ for suffix, type_ in _TYPE_BY_SUFFIX.items() if field.endswith(suffix)), "text")


def _quote(name: str) -> str:
    """Quote an identifier: `from` and `to` are keywords of SQL, and unquoted names lose their case."""
    return '"' + name.replace('"', '""') + '"'


_REFUSAL: Final = """\
-- If the table exists already and cannot receive calls, this stops here and changes nothing.
do $relay$
declare
  col record;
  stored jsonb;
  problems text[] := '{{}}';
begin
  if (select relkind not in ('r', 'p') from pg_class where oid = '{table}'::regclass) then
    raise exception 'CloudTalk Relay: % is a view or a foreign table, and this SQL can only complete tables.',
      '{table}' using hint = 'Run it for the table below the view, and grant the view to the role by hand.';
  end if;
  for col in
    select s.key as name, s.value as sample, format_type(a.atttypid, a.atttypmod) as type,
      a.attgenerated <> '' or a.attidentity = 'a' as generated
    from jsonb_each({sample}) s
    join pg_attribute a on a.attrelid = '{table}'::regclass and a.attname = s.key and not a.attisdropped
  loop
    if col.generated then
      problems := problems || format(
        'The database generates the column %I, so no value can be written to it.', col.name);
      continue;
    end if;
    begin
      execute format('select to_jsonb(r.c) from jsonb_to_record($1) as r(c %s)', col.type)
        into stored using jsonb_build_object('c', col.sample);
    exception when others then
      stored := null;
      problems := problems || format('The column %I is %s: %s.', col.name, col.type, sqlerrm);
      continue;
    end;
    if col.name in ({exact}) and stored is distinct from col.sample then
      problems := problems || format('The column %I is %s and changes what is written.', col.name, col.type);
    end if;
  end loop;
  for col in
    select a.attname as name from pg_attribute a
    where a.attrelid = '{table}'::regclass and a.attnum > 0 and not a.attisdropped
      and a.attnotnull and not a.atthasdef and a.attidentity = '' and a.attname not in ({columns})
  loop
    problems := problems || format('The column %I is not null, and nothing fills it.', col.name);
  end loop;
  for col in
    select a.attname as name from pg_attribute a
    where a.attrelid = '{table}'::regclass and a.attnotnull and a.attname = any (array[{optional}]::text[])
  loop
    problems := problems || format('The column %I is not null, and not every call has a value.', col.name);
  end loop;
  if problems <> '{{}}' then
    raise exception 'CloudTalk Relay cannot write to %. %', '{table}', array_to_string(problems, ' ')
      using hint = 'Name other columns under fields (id = "cloudtalk_id") or values under constants in '
        'settings.toml, and print this SQL again; or change the columns of the table.';
  end if;
end
$relay$;
"""

_UNIQUE: Final = (
    "do $$ declare old text; begin for old in select conname from pg_constraint c join pg_attribute a "
    "on a.attrelid = c.conrelid and c.conkey = array[a.attnum] where c.conrelid = '{table}'::regclass "
    "and c.condeferrable and c.contype in ('p', 'u') and a.attname = '{key_name}' loop "
    "execute format('alter table {table} drop constraint %I', old); end loop; end $$; "
    "alter table {table} add unique ({key});"
)

_GRANT_ROUTINES: Final = (
    "do $$ declare f regprocedure; begin for f in select oid from pg_proc where proname = {name} "
    "loop execute format('grant execute on routine %s to {role}', f); end loop; end $$;"
)
_GRANT_RELATIONS: Final = (
    "do $$ declare r regclass; begin for r in select oid from pg_class where relname = {name} "
    "and relkind in ('r', 'p', 'v', 'm', 'f') "
    "loop execute format('grant select, insert, update, delete on %s to {role}', r); end loop; end $$;"
)

_GRANTS: Final = """\
grant usage on schema {schema} to {role};
grant select, insert, update, delete on {table} to {role};

-- Default values of your own columns may come from sequences.
do $$
declare
  sequence regclass;
begin
  for sequence in
    select distinct d.refobjid::regclass from pg_attrdef a
    join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = a.oid
    join pg_class c on c.oid = d.refobjid and c.relkind = 'S'
    where a.adrelid = '{table}'::regclass
  loop
    execute format('grant usage on sequence %s to {role}', sequence);
  end loop;
end
$$;
"""

_TABLE: Final = """\
-- CloudTalk Relay: one row per call. Run it in Supabase's SQL editor; running it again is safe.
{create_schema}create table if not exists {table} ({key} text primary key);

{refusal}
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
{grants}
-- The API reloads the schema at once.
notify pgrst, 'reload schema';
"""

_KV: Final = """\
-- CloudTalk Relay: the CRM's key-value table. Run it in Supabase's SQL editor; running it again is safe.
{create_schema}create table if not exists {table} ("key" text primary key, "value" jsonb not null);

{refusal}
-- The secret key can write; nobody else can read the table, since there are no policies.
alter table {table} enable row level security;
{grants}
-- The API reloads the schema at once.
notify pgrst, 'reload schema';
"""
