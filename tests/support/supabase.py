"""A Supabase project for tests: PostgreSQL, PostgREST, the gateway, and a table of calls."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from crm_clients.supabase import SupabaseClient
from crm_clients.supabase.settings import KV_TABLE
from crm_clients.supabase.sql import kv_sql, table_sql
from tests.support.patience import PATIENCE
from tests.support.postgres import Postgres, running_postgres
from tests.support.postgrest import JWT_SECRET, running_postgrest
from tests.support.proxy import Gateway, LoggedRequest, running_gateway

Connect = Callable[..., SupabaseClient]
"""The type of the fixture `connect`: it makes a client with these settings."""

SECRET_KEY = "sb_secret_of_the_tests"
PUBLISHABLE_KEY = "sb_publishable_of_the_tests"


@dataclass(frozen=True)
class Supabase:
    """`url` and `key` are for a destination; `dsn` connects to the database as a superuser."""

    url: str
    key: str
    legacy_key: str
    publishable_key: str
    postgres: Postgres
    gateway: Gateway
    _markers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def dsn(self) -> str:
        return self.postgres.dsn

    @property
    def log(self) -> list[LoggedRequest]:
        """The requests that reached the gateway."""
        return self.gateway.log

    def execute(self, sql: str) -> None:
        """Run SQL as the superuser, any number of statements."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(sql.encode())

    def rows(self, table: str = "calls", key: str = "id") -> list[dict[str, Any]]:
        """Every row, by id."""
        with psycopg.connect(self.dsn, row_factory=dict_row) as connection:
            sql = f'select * from {table} order by "{key}"'  # noqa: S608 - a test's own table
            return connection.execute(sql.encode()).fetchall()

    def values(self, table: str = KV_TABLE) -> dict[str, Any]:
        """Every value of a key-value table, by key."""
        return {row["key"]: row["value"] for row in self.rows(table, "key")}

    def put(self, values: Mapping[str, Any], table: str = KV_TABLE) -> None:
        """Write values as the CRM's pages do."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            sql = (
                f"insert into {table} values (%s, %s) on conflict (key) do update set value = excluded.value"  # noqa: S608 - a test's own table
            )
            connection.cursor().executemany(sql.encode(), [(k, Jsonb(v)) for k, v in values.items()])

    def create_table(self, table: str = "calls", schema: str = "public") -> None:
        """Run the setup SQL, and wait until the API knows the table."""
        self.execute(table_sql(table, schema))
        self.wait_for(table, schema)

    def create_kv(self, table: str = KV_TABLE) -> None:
        """Run the setup SQL of the layout `kv`, and wait until the API knows the table."""
        self.execute(kv_sql(table, "public"))
        self.wait_for(table, column="key")

    def wait_for(self, table: str, schema: str = "public", column: str = "id") -> None:
        """Wait until the API has loaded the current schema and can write to the column."""
        self.settle()
        self._until_known(table, schema, column)

    def settle(self) -> None:
        """Wait until the API has loaded the current schema, which it does after a table is added."""
        marker = f"marker_{next(self._markers)}"
        self.execute(f"create table {marker} (id text); notify pgrst, 'reload schema'")
        self._until_known(marker, "public", "id")
        self.execute(f"drop table {marker}")

    def _until_known(self, table: str, schema: str, column: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._knows(table, schema, column):
            if time.monotonic() > deadline:
                raise TimeoutError(f"PostgREST does not know {schema}.{table}.{column}")
            time.sleep(0.02)

    def _knows(self, table: str, schema: str, column: str) -> bool:
        """Write no rows: only writes use the schema cache."""
        bearer = {"Authorization": f"Bearer {self.legacy_key}", "Content-Profile": schema}
        url = f"{self.gateway.upstream}/{table}"
        response = httpx.post(url, params={"columns": column}, json=[], headers=bearer, timeout=PATIENCE)
        return response.status_code != httpx.codes.NOT_FOUND and "PGRST204" not in response.text


@contextmanager
def running_supabase() -> Iterator[Supabase]:
    """Run a project with the table `calls` and the table of the layout `kv`."""
    service, anon = (jwt.encode({"role": role}, JWT_SECRET) for role in ("service_role", "anon"))
    keys = {SECRET_KEY: service, PUBLISHABLE_KEY: anon, service: service, anon: anon}
    with (
        running_postgres() as postgres,
        running_postgrest(postgres.dsn) as upstream,
        running_gateway(upstream, keys) as gateway,
    ):
        supabase = Supabase(gateway.url, SECRET_KEY, service, PUBLISHABLE_KEY, postgres, gateway)
        supabase.create_table()
        supabase.create_kv()
        yield supabase
