"""Customers of the CRM (`cliente:` values of the layout `kv`), found by phone number.

People write the phone numbers in any form, so no filter of the database can find one. The relay reads
the id, name and phone of all customers and keeps them in memory, indexed by number in E.164.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

import msgspec

from crm_clients.supabase.errors import ApiFailure
from crm_clients.supabase.rest import Row, Table, quote_value
from relay.standards.phones import find_phones

PREFIX: Final = "cliente:"

_REFRESH_SECONDS: Final = 300.0
_REFRESH_SECONDS_IF_MISSING: Final = 60.0
"""For a number that was not found: a person may have added the customer meanwhile."""

_PAGE_ROWS: Final = 1000
"""Rows that Supabase returns at most, unless a project is configured otherwise."""

_COLUMNS: Final = "key,id:value->id,nombre:value->>nombre,telefono:value->>telefono"


class Customer(msgspec.Struct, frozen=True):
    """A customer. `id` is a text or a number, as the CRM has it."""

    id: Any
    name: str


class Customers:
    """All customers with a phone number. They are read when needed and again after some time.

    `clock` returns seconds.
    """

    def __init__(
        self,
        table: Table,
        region: str,
        *,
        page_rows: int = _PAGE_ROWS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table
        self._region = region
        self._page_rows = page_rows
        self._clock = clock
        self._by_number: dict[str, Customer | None] = {}
        self._read_at: float | None = None
        self._lock = asyncio.Lock()

    async def find_by_number(self, numbers: Collection[str]) -> Mapping[str, Customer] | ApiFailure:
        """Return the customer of each number. A number of several customers belongs to none of them.

        Returns a failure only if the customers were never read; otherwise the last ones read are used.
        """
        async with self._lock:
            if self._must_read(numbers):
                failure = await self._read()
                if failure is not None and self._read_at is None:
                    return failure
        found = {number: self._by_number.get(number) for number in numbers}
        return {number: customer for number, customer in found.items() if customer is not None}

    def clear(self) -> None:
        """Drop the customers from memory; the next search reads them again."""
        self._by_number, self._read_at = {}, None

    def _must_read(self, numbers: Collection[str]) -> bool:
        if self._read_at is None:
            return bool(numbers)
        age = self._clock() - self._read_at
        is_missing = any(number not in self._by_number for number in numbers)
        return age >= (_REFRESH_SECONDS_IF_MISSING if is_missing else _REFRESH_SECONDS)

    async def _read(self) -> ApiFailure | None:
        """Read page by page, each from the last key of the previous one, until a page is empty."""
        rows: list[Row] = []
        while True:
            page = await self._table.query(self._page_params(rows[-1]["key"] if rows else ""))
            if not isinstance(page, list):
                return page
            if not page:
                break
            rows += page
        self._by_number = self._index(rows)
        self._read_at = self._clock()
        return None

    def _page_params(self, last_key: str) -> dict[str, str]:
        matching = f"key.like.{quote_value(PREFIX + '*')},key.gt.{quote_value(last_key)}"
        return {"select": _COLUMNS, "and": f"({matching})", "order": "key", "limit": str(self._page_rows)}

    def _index(self, rows: Iterable[Row]) -> dict[str, Customer | None]:
        """Map each number to its customer, or to None if several customers have it."""
        index: dict[str, Customer | None] = {}
        for row in rows:
            customer = Customer(row["id"] or row["key"].removeprefix(PREFIX), row["nombre"] or "")
            for number in find_phones(row["telefono"] or "", self._region):
                index[number] = None if number in index else customer
        return index
