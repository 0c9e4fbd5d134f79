"""The CRM's own clients, `cliente:` values of the layout `kv`, found by telephone.

Their telephones are written as people write them, so that no filter of the database's finds one: all
are read, three texts of each, and kept in memory by their number in E.164.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import msgspec

from crm_clients.supabase.rest import ApiFailure, Found, Table, quoted
from relay.standards.phones import find_phones, phone_key

PREFIX: Final = "cliente:"
PAGE: Final = 1000
"""Rows that Supabase gives at most in one answer, unless a project says otherwise."""

REFRESH_SECONDS: Final = 300.0
MISS_SECONDS: Final = 60.0
"""A number that is not found is looked for again after so long: somebody may have entered it meanwhile."""

_COLUMNS: Final = "key,id:value->id,nombre:value->>nombre,telefono:value->>telefono"


class Customer(msgspec.Struct, frozen=True):
    """A client of the CRM's."""

    id: Any
    """As the CRM has it: a text, or a number."""
    name: str


class Customers:
    """All clients that have a telephone, read when they are needed and a while has gone by."""

    def __init__(self, table: Table, region: str) -> None:
        self._table = table
        self._region = region
        self._by_number: dict[str, Customer | None] = {}
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    async def by_number(self, numbers: Collection[str]) -> Mapping[str, Customer] | ApiFailure:
        """The clients with these numbers. One that several clients share is no one's: never guess.

        A trouble only where nothing has been read yet; else what was read before serves on.
        """
        async with self._reading:
            if self._is_due(numbers):
                trouble = await self._read()
                if trouble is not None and self._read_at is None:
                    return trouble
        found = {number: self._by_number.get(phone_key(number, self._region)) for number in numbers}
        return {number: customer for number, customer in found.items() if customer is not None}

    def forget(self) -> None:
        """Read them anew before they are needed again."""
        self._by_number, self._read_at = {}, None

    def _is_due(self, numbers: Collection[str]) -> bool:
        if self._read_at is None:
            return bool(numbers)
        age = asyncio.get_running_loop().time() - self._read_at
        missed = any(phone_key(number, self._region) not in self._by_number for number in numbers)
        return age >= (MISS_SECONDS if missed else REFRESH_SECONDS)

    async def _read(self) -> ApiFailure | None:
        """Page by page, each after the last key of the one before; an empty one is the last."""
        rows: Found = []
        while True:
            page = await self._table.page(_page_after(rows[-1]["key"] if rows else ""))
            if not isinstance(page, list):
                return page
            if not page:
                break
            rows += page
        self._by_number = self._indexed(rows)
        self._read_at = asyncio.get_running_loop().time()
        return None

    def _indexed(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, Customer | None]:
        index: dict[str, Customer | None] = {}
        for row in rows:
            customer = Customer(row["id"] or row["key"].removeprefix(PREFIX), row["nombre"] or "")
            for number in find_phones(row["telefono"] or "", self._region):
                index[number] = None if number in index else customer
        return index


def _page_after(key: str) -> dict[str, str]:
    """The question for the next clients in the order of their keys."""
    matching = f"key.like.{quoted(PREFIX + '*')},key.gt.{quoted(key)}"
    return {"select": _COLUMNS, "and": f"({matching})", "order": "key", "limit": str(PAGE)}
