"""One table behind Supabase's REST API: addresses, keys and the requests that the relay makes."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

import httpx
import msgspec

from crm_clients.base import Outcome
from crm_clients.http import VendorHttp, retry_after
from crm_clients.supabase_errors import Fault, read_fault
from crm_clients.supabase_sql import ROLE

_JWT_PARTS: Final = 3
_UPSERT: Final = "resolution=merge-duplicates,return=minimal"
_INSERT: Final = "return=minimal"

Trouble = Fault | Outcome
"""Why a request did not succeed: the API's answer, or that there was none."""


class Table:
    """One table of one project, spoken to with one key. `schema` None is the first exposed one.

    Each request returns None where it succeeded, else the trouble.
    """

    def __init__(self, http: VendorHttp, *, table: str, schema: str | None) -> None:
        self._http = http
        self._path = f"/{table}"
        self._read = {"Accept-Profile": schema} if schema else {}
        self._write = {"Content-Profile": schema} if schema else {}

    async def upsert(self, rows: bytes) -> Trouble | None:
        """Insert or update rows, a JSON array of objects with equal keys; one statement, all or none."""
        return await self._post(rows, {"on_conflict": "id"}, _UPSERT)

    async def may_upsert(self, columns: Sequence[str]) -> Trouble | None:
        """Ask for an upsert of no rows: the database checks columns, key and grants, and writes nothing."""
        return await self._post(b"[]", {"on_conflict": "id", "columns": _list(columns)}, _UPSERT)

    async def may_insert(self, columns: Sequence[str]) -> Trouble | None:
        """The same for a plain insert, to tell the grants apart."""
        return await self._post(b"[]", {"columns": _list(columns)}, _INSERT)

    async def may_select(self, columns: Sequence[str]) -> Trouble | None:
        """Ask for these columns of no rows."""
        answer = await self._http.send(
            "GET", self._path, params={"select": _list(columns), "limit": "0"}, headers=self._read
        )
        return _trouble(answer)

    async def delete(self, ids: Sequence[str]) -> Trouble | None:
        """Delete these rows; those that are not there are as good as deleted."""
        return await self._change("DELETE", {"id": f"in.({','.join(map(_quoted, ids))})"})

    async def may_delete(self) -> Trouble | None:
        """Ask for the deletion of rows that cannot be: the key is never null."""
        return await self._change("DELETE", {"id": "is.null"})

    async def mark(self, id_: str, values: dict[str, str | int | None]) -> Trouble | None:
        """Write these columns of this row, if it is there."""
        return await self._change("PATCH", {"id": f"eq.{id_}"}, msgspec.json.encode(values))

    async def _change(self, method: str, params: dict[str, str], content: bytes = b"") -> Trouble | None:
        headers = {**self._write, "Prefer": _INSERT, "Content-Type": "application/json"}
        answer = await self._http.send(method, self._path, params=params, headers=headers, content=content)
        return _trouble(answer)

    async def _post(self, content: bytes, params: dict[str, str], prefer: str) -> Trouble | None:
        headers = {**self._write, "Prefer": prefer, "Content-Type": "application/json"}
        answer = await self._http.send("POST", self._path, params=params, headers=headers, content=content)
        return _trouble(answer) or _unapplied(answer, prefer)


def key_headers(key: str) -> dict[str, str]:
    """A legacy JWT goes in both headers, a newer `sb_…` key in `apikey` only (PGRST301 otherwise)."""
    bearer = {"Authorization": f"Bearer {key}"} if key.startswith("eyJ") else {}
    return {"apikey": key, **bearer}


def role_of(key: str) -> str:
    """The database role behind a key, as far as it can be read off the key; nothing is verified here."""
    if key.startswith("sb_publishable_"):
        return "anon"
    parts = key.split(".")
    if len(parts) != _JWT_PARTS:
        return ROLE
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=="), type=_Claims)
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError):
        return ROLE
    return claims.role


class _Claims(msgspec.Struct):
    role: str = ROLE


def _quoted(value: str) -> str:
    """In a list of PostgREST's: commas and brackets of an id are no punctuation."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _list(columns: Sequence[str]) -> str:
    return ",".join(columns)


def _trouble(answer: httpx.Response | Outcome) -> Trouble | None:
    if isinstance(answer, Outcome):
        return answer
    if answer.is_success:
        return None
    return read_fault(answer.status_code, answer.content, after=retry_after(answer.headers))


def _unapplied(answer: httpx.Response | Outcome, prefer: str) -> Trouble | None:
    """A server that does not say that it merged has inserted duplicates, or is no PostgREST."""
    resolution = next((p for p in prefer.split(",") if p.startswith("resolution=")), "")
    if isinstance(answer, Outcome) or resolution in answer.headers.get("preference-applied", ""):
        return None
    return Fault(
        answer.status_code,
        "not_merged",
        "the answer does not confirm an upsert, so this is no Supabase REST API",
    )
