"""Requests to one table of a project, through Supabase's REST API (PostgREST)."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import httpx
import msgspec

from crm_clients.base import Outcome
from crm_clients.http import VendorHttp, retry_after
from crm_clients.supabase.batches import encode_json
from crm_clients.supabase.errors import UPSERTED_TWICE, ApiError, ApiFailure, error_details, parse_error

MAX_QUERY_BYTES: Final = 6_000
"""Of the keys in one URL, as they are sent: gateways accept request lines of 8 KiB."""

NOT_ONE_ROW: Final = "PGRST116"
"""The API's code if an answer should be one row, and is none or several."""

_PREFER_UPSERT: Final = "resolution=merge-duplicates,return=minimal"
_PREFER_NO_ROWS: Final = "return=minimal"
_PREFER_ROWS: Final = "return=representation"
_PREFER_UPSERT_ROWS: Final = "resolution=merge-duplicates,return=representation"
_PREFER_NEW_ROWS: Final = "resolution=ignore-duplicates,return=representation"
_UNFIT_TYPE: Final = "pg_lsn"
"""A type of PostgreSQL for positions in its log: no id of a call can be converted to it."""

_ONE_ROW: Final = "application/vnd.pgrst.object+json"
_NOT_THE_API: Final = "the response is not one to {}, so this is not a Supabase REST API"

_NUMBER: Final = re.compile(r"\d+")

Row = dict[str, Any]
"""A row as the API returns it: column → value."""


class Upserted(msgspec.Struct, frozen=True):
    """No row was refused. `inserted`: at least one of them is new (status 201 instead of 200).

    `rows`: the requested columns of the rows that the database wrote; empty if none were requested.
    """

    inserted: bool
    rows: list[Row]


class Table:
    """One table. `schema` None means the first schema that the API exposes.

    `key`: the column that identifies a row. `version`: the column with the version of the row, if there is
    one. The methods return an `ApiFailure` instead of raising; a result of None means success.
    """

    def __init__(
        self, http: VendorHttp, *, table: str, schema: str | None, key: str, version: str | None = None
    ) -> None:
        self.key = key
        self.version = version
        self._http = http
        self._path = f"/{table}"
        self._read_headers = {"Accept-Profile": schema} if schema else {}
        self._write_headers = {"Content-Profile": schema} if schema else {}

    @property
    def identity(self) -> list[str]:
        """The columns with key and version."""
        return [self.key, *([self.version] if self.version else [])]

    # --- rows -------------------------------------------------------------------------------------

    async def upsert(self, rows: bytes, returned: Sequence[str] = ()) -> Upserted | ApiFailure:
        """Insert or update rows, a JSON array of objects with equal keys. One statement: all or none.

        `returned`: the columns of the result's rows.
        """
        params = {"on_conflict": self.key}
        if not returned:
            response = await self._post(rows, params, _PREFER_UPSERT)
            written: list[Row] | ApiFailure = []
        else:
            params |= {"select": _columns_param(returned)}
            response = await self._post(rows, params, _PREFER_UPSERT_ROWS)
            written = _decode_rows(response)
        if not isinstance(response, httpx.Response):
            return response
        if not isinstance(written, list):
            return written
        return Upserted(response.status_code == httpx.codes.CREATED, written)

    async def insert_absent(self, rows: bytes) -> list[Row] | ApiFailure:
        """Insert the rows whose key is new, and return their keys and versions. Other rows stay unchanged."""
        params = {"on_conflict": self.key, "select": _columns_param(self.identity)}
        return _decode_rows(await self._post(rows, params, _PREFER_NEW_ROWS))

    async def update(self, key: str, values: bytes, *, min_version: int = 0) -> list[Row] | ApiFailure:
        """Write these columns, a JSON object, of one row. Return its key and version, or no row.

        `min_version`: a row with a lower version, or none, is not written. 0 for any row.
        """
        params = {self.key: f"eq.{key}", "select": _columns_param(self.identity)}
        if min_version and self.version:
            params[self.version] = f"gte.{min_version}"
        return _decode_rows(await self._change("PATCH", params, values, prefer=_PREFER_ROWS))

    async def delete(self, keys: Iterable[str], **where: str) -> set[str] | ApiFailure:
        """Delete the rows with these keys that also match `where`. Return the keys of the deleted rows."""
        deleted: set[str] = set()
        for chunk in _chunks(keys):
            params = {self.key: _in_list(chunk), "select": self.key, **where}
            rows = _decode_rows(await self._change("DELETE", params, prefer=_PREFER_ROWS))
            if not isinstance(rows, list):
                return rows
            deleted |= self._keys_of(rows)
        return deleted

    async def select(
        self, keys: Iterable[str], columns: Sequence[str], *, column: str = "", **where: str
    ) -> list[Row] | ApiFailure:
        """Return these columns of the rows with these keys. Keys without a row are absent.

        `column`: the column with the keys, if it is another one than that of the table's key.
        """
        rows: list[Row] = []
        for chunk in _chunks(keys):
            params = {"select": _columns_param(columns), column or self.key: _in_list(chunk), **where}
            found = await self.query(params)
            if not isinstance(found, list):
                return found
            rows += found
        return rows

    async def existing(self, keys: Iterable[str], **where: str) -> set[str] | ApiFailure:
        """Return those of these keys that have a row, and a row that matches `where`."""
        rows = await self.select(keys, [self.key], **where)
        return self._keys_of(rows) if isinstance(rows, list) else rows

    async def query(self, params: Mapping[str, str]) -> list[Row] | ApiFailure:
        """Return the rows for a query in PostgREST's own syntax."""
        return _decode_rows(await self._get(params))

    # --- probes: requests that change and return no row, to find out what is missing --------------

    async def dry_run(self, rows: Sequence[Row]) -> ApiFailure | None:
        """Upsert new rows and have the API undo it. Return why it would fail by itself, if it would.

        The API undoes a statement whose answer should be one row and is several (PGRST116), after all
        triggers that are not deferred. `rows`: at least two, with equal columns. If a trigger discards all
        rows but one, that row is written; it is deleted again.
        """
        response = await self._upsert_for_one_row(rows)
        if isinstance(response, httpx.Response) and response.is_success:
            return await self._undo(rows, response)
        failure = _failure_of(response)
        if not isinstance(failure, ApiError) or failure.code != NOT_ONE_ROW:
            return failure
        return None if _count_rows(response) in {None, len(rows)} else failure

    async def dry_run_twice(self, rows: Sequence[Row]) -> ApiFailure | None:
        """Upsert the first of these new rows twice. PostgreSQL refuses that (21000) and writes nothing.

        If a trigger discards the second copy, the failure is PGRST116.
        """
        response = await self._upsert_for_one_row([rows[0], *rows])
        if isinstance(response, httpx.Response) and response.is_success:
            return await self._undo(rows, response)
        failure = _failure_of(response)
        return None if isinstance(failure, ApiError) and failure.code == UPSERTED_TWICE else failure

    async def dry_run_update(self, row: Row) -> ApiFailure | None:
        """Upsert one row that may exist, in a statement that always fails, and so writes nothing.

        The key of a written row is converted to a type that it does not fit; if no row is written, the API
        has no row for its answer (PGRST116). Only what happens after that is not tried: triggers that run
        after the write.
        """
        response = await self._upsert_for_one_row([row], select=f"{self.key}::{_UNFIT_TYPE}")
        failure = _failure_of(response)
        if failure is None:
            return ApiError(httpx.codes.OK, "not_refused", _NOT_THE_API.format("an upsert"))
        is_unfit = isinstance(failure, ApiError) and _UNFIT_TYPE in (failure.message or "")
        return None if is_unfit else failure

    async def _upsert_for_one_row(self, rows: Sequence[Row], select: str = "") -> httpx.Response | Outcome:
        body = b"[" + b",".join(map(encode_json, rows)) + b"]"
        params = {"on_conflict": self.key, "select": select or self.key}
        return await self._change("POST", params, body, prefer=_PREFER_UPSERT_ROWS, Accept=_ONE_ROW)

    async def _undo(self, rows: Iterable[Row], response: httpx.Response) -> ApiFailure:
        deleted = await self.delete({row[self.key] for row in rows})
        if isinstance(deleted, set) and deleted:
            return ApiError(response.status_code, NOT_ONE_ROW, "some rows were discarded")
        return ApiError(response.status_code, "not_refused", _NOT_THE_API.format("an upsert"))

    async def probe_upsert(self, columns: Sequence[str]) -> ApiFailure | None:
        """Upsert no rows: the database still checks columns, key and grants."""
        params = {"on_conflict": self.key, "columns": _columns_param(columns)}
        return _failure_of(await self._post(b"[]", params, _PREFER_UPSERT))

    async def probe_insert(self, columns: Sequence[str]) -> ApiFailure | None:
        """Insert no rows: this needs the grant INSERT and not UPDATE."""
        return _failure_of(await self._post(b"[]", {"columns": _columns_param(columns)}, _PREFER_NO_ROWS))

    async def probe_select(self, columns: Sequence[str], **where: str) -> ApiFailure | None:
        """Select these columns of no rows, with the filters of `where`."""
        return _failure_of(await self._get({"select": _columns_param(columns), "limit": "0", **where}))

    async def probe_delete(self) -> ApiFailure | None:
        """Delete the rows whose key is null and not null, so none.

        "Is null" alone would match rows of the team's own table that are not calls and have no key.
        """
        where = {self.key: "is.null", "and": f"({self.key}.not.is.null)"}
        response = await self._change("DELETE", where)
        return _failure_of(response) or _undeleted(response)

    # --- requests ---------------------------------------------------------------------------------

    async def _get(self, params: Mapping[str, str]) -> httpx.Response | Outcome:
        return await self._http.send("GET", self._path, params=params, headers=self._read_headers)

    async def _post(
        self, content: bytes, params: Mapping[str, str], prefer: str
    ) -> httpx.Response | ApiFailure:
        response = await self._change("POST", params, content, prefer=prefer)
        return _failure_of(response) or _unmerged(response, prefer) or response

    async def _change(
        self,
        method: str,
        params: Mapping[str, str],
        content: bytes = b"",
        *,
        prefer: str = _PREFER_NO_ROWS,
        **headers: str,
    ) -> httpx.Response | Outcome:
        headers |= {**self._write_headers, "Prefer": prefer, "Content-Type": "application/json"}
        return await self._http.send(method, self._path, params=params, headers=headers, content=content)

    def _keys_of(self, rows: Iterable[Row]) -> set[str]:
        return {str(row[self.key]) for row in rows}


def quote_value(value: str) -> str:
    """Quote a value in a filter of PostgREST, where commas and brackets are syntax."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    """Divide keys so that each chunk fits into one URL. A key that is too long gets a chunk of its own."""
    chunk: list[str] = []
    size = 0
    for key in keys:
        length = len(quote(quote_value(key))) + len("%2C")
        if chunk and size + length > MAX_QUERY_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(key)
        size += length
    if chunk:
        yield chunk


def _in_list(keys: Iterable[str]) -> str:
    return f"in.({','.join(map(quote_value, keys))})"


def _columns_param(columns: Sequence[str]) -> str:
    return ",".join(columns)


# --- responses --------------------------------------------------------------------------------


def _failure_of(response: httpx.Response | ApiFailure) -> ApiFailure | None:
    if not isinstance(response, httpx.Response):
        return response
    if response.is_success:
        return None
    return parse_error(response.status_code, response.content, after=retry_after(response.headers))


def _decode_rows(response: httpx.Response | ApiFailure) -> list[Row] | ApiFailure:
    if not isinstance(response, httpx.Response) or not response.is_success:
        return _failure_of(response) or []
    try:
        return msgspec.json.decode(response.content, type=list[Row])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ApiError(response.status_code, "not_rows", _NOT_THE_API.format("a query"))


def _count_rows(response: httpx.Response | Outcome) -> int | None:
    """Return how many rows an answer with the code PGRST116 had: "The result contains 2 rows"."""
    if not isinstance(response, httpx.Response):
        return None
    match = _NUMBER.search(error_details(response.content))
    return int(match.group()) if match else None


def _undeleted(response: httpx.Response | ApiFailure) -> ApiFailure | None:
    """PostgREST responds to a deletion with 204; a server that sends a page has deleted nothing."""
    if not isinstance(response, httpx.Response) or response.status_code == httpx.codes.NO_CONTENT:
        return None
    return ApiError(response.status_code, "not_deleted", _NOT_THE_API.format("a deletion"))


def _unmerged(response: httpx.Response | ApiFailure, prefer: str) -> ApiFailure | None:
    """A server that does not confirm the merge has inserted duplicates, or is not PostgREST."""
    resolution = next((part for part in prefer.split(",") if part.startswith("resolution=")), "")
    if not isinstance(response, httpx.Response):
        return None
    if resolution in response.headers.get("preference-applied", ""):
        return None
    return ApiError(response.status_code, "not_merged", _NOT_THE_API.format("an upsert"))
