"""Both layouts pass the conformance tests, on a real PostgREST behind a server that injects faults."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from crm_clients.conformance import ClientConformance, HttpCrm, Request, Response
from crm_clients.supabase import SupabaseClient
from crm_clients.supabase.record import KEYS
from crm_clients.supabase.settings import KV_TABLE
from crm_clients.supabase.sql import MERGED_INTO
from tests.support.patience import PATIENCE
from tests.support.supabase import Supabase

_CONNECTION_HEADERS = {
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "content-encoding",
    "date",
    "server",
}


class ProxyCrm(HttpCrm):
    """Forwards requests to the project unless a fault is injected."""

    Client = SupabaseClient

    def __init__(self, project: Supabase) -> None:
        super().__init__()
        self.project = project
        self._upstream = httpx.Client(base_url=project.url, timeout=PATIENCE)

    def settings(self) -> dict[str, Any]:
        return {"url": self.url, "key": self.project.key}

    def respond(self, request: Request) -> Response:
        headers = _forwarded_headers(request.headers)
        answer = self._upstream.request(request.method, request.path, content=request.body, headers=headers)
        return Response(answer.status_code, answer.content, _forwarded_headers(answer.headers))

    def rejection(self, request: Request) -> Response | None:
        """None: the database itself rejects the record."""
        del request
        return None

    @contextmanager
    def check_constraint(self, table: str, check: str) -> Iterator[None]:
        self.project.execute(f"alter table {table} add constraint guard check ({check})")
        try:
            yield
        finally:
            self.project.execute(f"alter table {table} drop constraint guard")

    def query(self, sql: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
        with psycopg.connect(self.project.dsn, autocommit=True) as connection:
            cursor = connection.cursor(row_factory=psycopg.rows.dict_row).execute(sql.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        super().close()
        self._upstream.close()


class TableCrm(ProxyCrm):
    def records(self, call_id: str) -> list[dict[str, Any]]:
        return self.query("select * from calls where id = %s", (call_id,))

    def edit(self, call_id: str, field: str, text: str) -> None:
        self.query(f"update calls set {field} = %s where id = %s", (text, call_id))  # noqa: S608 - the kit's own

    def double(self, call_id: str) -> None:
        self.query(
            "insert into calls (id, call_uuid) select 'copy', call_uuid from calls where id = %s", (call_id,)
        )

    def remove(self, call_id: str) -> None:
        self.query("delete from calls where id = %s", (call_id,))

    def reject(self, call_id: str) -> Any:
        return self.check_constraint("calls", f"id <> '{call_id}'")


class KvCrm(ProxyCrm):
    text_fields = ("agent_name", "contact_name")

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "layout": "kv"}

    def records(self, call_id: str) -> list[dict[str, Any]]:
        found = self.query(f"select value from {KV_TABLE} where key = %s", (_key(call_id),))  # noqa: S608 - ours
        return [
            {"merged_into": row["value"].get(MERGED_INTO)}
            | {field: row["value"].get(KEYS[field]) for field in self.text_fields}
            for row in found
        ]

    def edit(self, call_id: str, field: str, text: str) -> None:
        sql = f"update {KV_TABLE} set value = value || %s where key = %s"  # noqa: S608 - ours
        self.query(sql, (Jsonb({KEYS[field]: text}), _key(call_id)))

    def double(self, call_id: str) -> None:
        sql = f"insert into {KV_TABLE} select %s, value from {KV_TABLE} where key = %s"  # noqa: S608 - ours
        self.query(sql, (_key("cloudtalk-1002402487"), _key(call_id)))

    def remove(self, call_id: str) -> None:
        self.query(f"delete from {KV_TABLE} where key = %s", (_key(call_id),))  # noqa: S608 - ours

    def reject(self, call_id: str) -> Any:
        return self.check_constraint(KV_TABLE, f"key <> '{_key(call_id)}'")


def _key(call_id: str) -> str:
    return f"llamada:{call_id}"


def _forwarded_headers(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _CONNECTION_HEADERS}


class TestTable(ClientConformance):
    @pytest.fixture
    def crm(self, supabase: Supabase) -> Iterator[TableCrm]:
        with closing(TableCrm(supabase)) as crm:
            yield crm


class TestKv(ClientConformance):
    @pytest.fixture
    def crm(self, kv: Supabase) -> Iterator[KvCrm]:
        with closing(KvCrm(kv)) as crm:
            yield crm
