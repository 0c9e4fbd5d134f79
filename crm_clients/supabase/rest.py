"""One table behind Supabase's REST API: addresses, keys and the requests that the relay makes."""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import httpx
import msgspec

from crm_clients.base import Outcome
from crm_clients.http import VendorHttp, retry_after
from crm_clients.supabase.errors import ApiError, parse_error
from crm_clients.supabase.sql import ROLE

MAX_QUERY_BYTES: Final = 6_000
"""Of the ids in one address, as they are sent: gateways take lines of 8 KiB."""

_JWT_PARTS: Final = 3
_UPSERT: Final = "resolution=merge-duplicates,return=minimal"
_INSERT: Final = "return=minimal"
_ROWS: Final = "return=representation"
_NO_API: Final = "the answer is none to {}, so this is no Supabase REST API"

ApiFailure = ApiError | Outcome
"""Why a request did not succeed: the API's answer, or that there was none."""

Found = list[dict[str, Any]]


class Upserted(msgspec.Struct, frozen=True):
    """The rows are there. `inserted`: at least one of them was not before (201 instead of 200)."""

    inserted: bool


class Table:
    """One table of one project, spoken to with one key. `schema` None is the first exposed one.

    `key`: the column that tells rows apart. Where a request has nothing to tell it returns None on
    success; a trouble otherwise.
    """

    def __init__(self, http: VendorHttp, *, table: str, schema: str | None, key: str) -> None:
        self.key = key
        self._http = http
        self._path = f"/{table}"
        self._read = {"Accept-Profile": schema} if schema else {}
        self._write = {"Content-Profile": schema} if schema else {}

    async def upsert(self, rows: bytes) -> Upserted | ApiFailure:
        """Insert or update rows, a JSON array of objects with equal keys; one statement, all or none."""
        answer = await self._post(rows, {"on_conflict": self.key}, _UPSERT)
        if isinstance(answer, httpx.Response):
            return Upserted(answer.status_code == httpx.codes.CREATED)
        return answer

    async def may_upsert(self, columns: Sequence[str]) -> ApiFailure | None:
        """Ask for an upsert of no rows: the database checks columns, key and grants, and writes nothing."""
        return _trouble(
            await self._post(b"[]", {"on_conflict": self.key, "columns": _list(columns)}, _UPSERT)
        )

    async def may_insert(self, columns: Sequence[str]) -> ApiFailure | None:
        """The same for a plain insert, to tell the grants apart."""
        return _trouble(await self._post(b"[]", {"columns": _list(columns)}, _INSERT))

    async def may_select(self, columns: Sequence[str]) -> ApiFailure | None:
        """Ask for these columns of no rows."""
        return _trouble(await self._get({"select": _list(columns), "limit": "0"}))

    async def may_delete(self) -> ApiFailure | None:
        """Ask for the deletion of rows that cannot be: the key is null, and it is not.

        In a team's own table the rows that are no calls have no key of ours: null alone would name them.
        """
        nowhere = {self.key: "is.null", "and": f"({self.key}.not.is.null)"}
        return await self._delete(nowhere)

    async def rows(self, keys: Iterable[str], columns: Sequence[str]) -> Found | ApiFailure:
        """These columns of the rows with these keys, those that are there."""
        found: Found = []
        for chunk in _chunks(keys):
            page = await self.page({"select": _list(columns), self.key: _in(chunk)})
            if not isinstance(page, list):
                return page
            found += page
        return found

    async def page(self, params: Mapping[str, str]) -> Found | ApiFailure:
        """What one question of the caller's own finds."""
        return _found(await self._get(params))

    async def delete(self, keys: Iterable[str], **where: str) -> ApiFailure | None:
        """Delete these rows, or those of them that `where` holds for; none there is as good as deleted."""
        for chunk in _chunks(keys):
            if trouble := await self._delete({self.key: _in(chunk), **where}):
                return trouble
        return None

    async def _delete(self, where: Mapping[str, str]) -> ApiFailure | None:
        answer = await self._change("DELETE", where)
        return _trouble(answer) or _undone(answer)

    async def update(self, key: str, values: bytes) -> bool | ApiFailure:
        """Write these columns, a JSON object, of this row; whether there is one that took them."""
        params = {self.key: f"eq.{key}", "select": self.key}
        found = _found(await self._change("PATCH", params, values, prefer=_ROWS))
        return bool(found) if isinstance(found, list) else found

    async def _get(self, params: Mapping[str, str]) -> httpx.Response | Outcome:
        return await self._http.send("GET", self._path, params=params, headers=self._read)

    async def _change(
        self, method: str, params: Mapping[str, str], content: bytes = b"", *, prefer: str = _INSERT
    ) -> httpx.Response | Outcome:
        headers = {**self._write, "Prefer": prefer, "Content-Type": "application/json"}
        return await self._http.send(method, self._path, params=params, headers=headers, content=content)

    async def _post(
        self, content: bytes, params: Mapping[str, str], prefer: str
    ) -> httpx.Response | ApiFailure:
        answer = await self._change("POST", params, content, prefer=prefer)
        return _trouble(answer) or _unapplied(answer, prefer) or answer


def quoted(value: str) -> str:
    """In a list of PostgREST's: commas and brackets of an id are no punctuation."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


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


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    """Keys for one address each, however many bytes of it one takes."""
    taken: list[str] = []
    size = 0
    for key in keys:
        length = len(quote(quoted(key))) + len("%2C")
        if taken and size + length > MAX_QUERY_BYTES:
            yield taken
            taken, size = [], 0
        taken.append(key)
        size += length
    if taken:
        yield taken


def _in(keys: Iterable[str]) -> str:
    return f"in.({','.join(map(quoted, keys))})"


def _list(columns: Sequence[str]) -> str:
    return ",".join(columns)


def _trouble(answer: httpx.Response | ApiFailure) -> ApiFailure | None:
    if not isinstance(answer, httpx.Response):
        return answer
    if answer.is_success:
        return None
    return parse_error(answer.status_code, answer.content, after=retry_after(answer.headers))


def _found(answer: httpx.Response | ApiFailure) -> Found | ApiFailure:
    if not isinstance(answer, httpx.Response) or not answer.is_success:
        return _trouble(answer) or []
    try:
        return msgspec.json.decode(answer.content, type=Found)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ApiError(answer.status_code, "not_rows", _NO_API.format("a question"))


def _undone(answer: httpx.Response | ApiFailure) -> ApiFailure | None:
    """PostgREST answers a deletion with 204; whoever answers with a page has deleted nothing."""
    if not isinstance(answer, httpx.Response) or answer.status_code == httpx.codes.NO_CONTENT:
        return None
    return ApiError(answer.status_code, "not_deleted", _NO_API.format("a deletion"))


def _unapplied(answer: httpx.Response | ApiFailure, prefer: str) -> ApiFailure | None:
    """A server that does not say that it merged has inserted duplicates, or is no PostgREST."""
    resolution = next((p for p in prefer.split(",") if p.startswith("resolution=")), "")
    if not isinstance(answer, httpx.Response) or resolution in answer.headers.get("preference-applied", ""):
        return None
    return ApiError(answer.status_code, "not_merged", _NO_API.format("an upsert"))
