"""Where a destination writes its calls, and the hints for a person that name it."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from crm_clients.base import Finding
from crm_clients.supabase.rest import Row
from crm_clients.supabase.sql import grant_sql
from relay.call import Status


class SampleRows(msgspec.Struct, frozen=True):
    """Two rows of a kind of call, as `crm_clients.supabase.sample.Sample`. `label`: of its status."""

    rows: tuple[Row, Row]
    status: Status | None = None
    label: str | None = None
    direction: str | None = None


class Location(msgspec.Struct, frozen=True):
    """Where a destination writes its calls. `schema` None means the first schema that the API exposes.

    `key`: the column that identifies a call. `merge_columns`: columns that only `on_merge = "mark"`
    needs. `full`: two rows with a value in each of them. `long`: two such rows with long
    values. `samples`: rows of each kind of call. `key_prefix`: the start of every key. `settings`: column →
    the setting that names it, as `fields.id`; none in the layout `kv`. `json_column`: a column that must be
    jsonb. `deletes`: whether the records of merged calls are deleted.
    """

    destination: str
    url: str
    table: str
    schema: str | None
    role: str
    key: str
    columns: tuple[str, ...]
    full: tuple[Row, Row]
    long: tuple[Row, Row]
    samples: Sequence[SampleRows]
    key_prefix: str
    settings: Mapping[str, str]
    merge_columns: tuple[str, ...] = ()
    json_column: str | None = None
    deletes: bool = True

    @property
    def full_table(self) -> str:
        """The table's name for a person."""
        return f"{self.schema}.{self.table}" if self.schema else self.table

    @property
    def sql_schema(self) -> str:
        """The schema's name for SQL. Supabase exposes `public` first."""
        return self.schema or "public"


def problem_finding(location: Location, code: str, problem: str, hint: str) -> Finding:
    """Return a finding that is not ok."""
    return Finding(name=location.destination, ok=False, code=code, problem=problem, hint=hint)


def grant_hint(location: Location) -> str:
    """Return what to do if the role of the key lacks grants on the table."""
    sql = grant_sql(location.table, location.sql_schema, location.role)
    return secret_key_hint(location) or f"Run in Supabase's SQL editor: {sql}"


def secret_key_hint(location: Location) -> str | None:
    """Return where to put the secret key, if the key is one for browsers."""
    if location.role not in {"anon", "authenticated"}:
        return None
    return (
        f"The key belongs to the role {location.role}, which is for browsers. Put the project's secret "
        "key (sb_secret_…) or legacy service_role key into the setting key of "
        f"[destinations.{location.destination}]."
    )


def run_setup(location: Location) -> str:
    """Say which SQL to run where."""
    return f"Run the SQL of `relay setup {location.destination} --print` in {sql_editor(location.url)}."


def sql_editor(url: str) -> str:
    """Name the SQL editor, with its address if the project is hosted by Supabase."""
    address = sql_editor_url(url)
    return f"Supabase's SQL editor ({address})" if address else "Supabase's SQL editor"


def sql_editor_url(url: str) -> str | None:
    """Return the address of the SQL editor if the project is hosted by Supabase."""
    project, _, rest = (urlsplit(url).hostname or "").partition(".")
    return f"https://supabase.com/dashboard/project/{project}/sql/new" if rest == "supabase.co" else None
