"""A Supabase project for tests: PostgreSQL, PostgREST and the gateway, and the table of calls in it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import psycopg
from psycopg.rows import dict_row

from crm_clients.supabase_sql import table_sql
from tests.support.postgres import running_postgres
from tests.support.postgrest import JWT_SECRET, running_postgrest
from tests.support.proxy import Gateway, Seen, running_gateway

SECRET_KEY = "sb_secret_of_the_tests"
PUBLISHABLE_KEY = "sb_publishable_of_the_tests"


@dataclass(frozen=True)
class Supabase:
    """`url` and `key` are what a destination is told; `dsn` is the database's, for a superuser."""

    url: str
    key: str
    legacy_key: str
    publishable_key: str
    dsn: str
    gateway: Gateway

    @property
    def log(self) -> list[Seen]:
        """The requests that reached the gateway."""
        return self.gateway.log

    def execute(self, sql: str) -> None:
        """Run SQL as the superuser, any number of statements."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(sql.encode())

    def rows(self, table: str = "calls") -> list[dict[str, Any]]:
        """Every row, by id."""
        with psycopg.connect(self.dsn, row_factory=dict_row) as connection:
            sql = f'select * from {table} order by "id"'  # noqa: S608 - a test's own table
            return connection.execute(sql.encode()).fetchall()

    def create_table(self, table: str = "calls", schema: str = "public") -> None:
        """Run our own set-up SQL, and wait until the API knows the table."""
        self.execute(table_sql(table, schema))
        self.wait_for(table, schema)

    def wait_for(self, table: str, schema: str = "public", column: str = "id") -> None:
        """Wait until the API has read the schema again and can write to the column."""
        deadline = time.monotonic() + 10
        while not self._knows(table, schema, column):
            if time.monotonic() > deadline:
                raise TimeoutError(f"PostgREST does not know {schema}.{table}.{column}")
            time.sleep(0.02)

    def _knows(self, table: str, schema: str, column: str) -> bool:
        """A write of no rows looks into the schema cache; a read would go past it."""
        bearer = {"Authorization": f"Bearer {self.legacy_key}", "Content-Profile": schema}
        url = f"{self.gateway.upstream}/{table}"
        answer = httpx.post(url, params={"columns": column}, json=[], headers=bearer)
        return answer.status_code != httpx.codes.NOT_FOUND and "PGRST204" not in answer.text


@contextmanager
def running_supabase() -> Iterator[Supabase]:
    """A project of its own, with the table `calls`, for as long as the block."""
    service, anon = (jwt.encode({"role": role}, JWT_SECRET) for role in ("service_role", "anon"))
    keys = {SECRET_KEY: service, PUBLISHABLE_KEY: anon, service: service, anon: anon}
    with (
        running_postgres() as dsn,
        running_postgrest(dsn) as upstream,
        running_gateway(upstream, keys) as gateway,
    ):
        supabase = Supabase(gateway.url, SECRET_KEY, service, PUBLISHABLE_KEY, dsn, gateway)
        supabase.create_table()
        yield supabase
