"""Many rows as one bound JSON array, read by the database as a table.

One statement a batch instead of one a row: the interpreter lock is free while the database works.
The one place where the engines' SQL differs.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Column, Subquery, bindparam, cast, literal_column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_encoder = msgspec.json.Encoder()


def bound(rows: Iterable[Sequence[Any]]) -> dict[str, str]:
    """The parameters of a statement over `rows_of`: each row an array, in the order of its columns."""
    return {"rows": _encoder.encode(list(rows)).decode()}


def rows_of(*columns: Column[Any]) -> Subquery:
    """The bound rows as a table with the names and types of these columns."""
    items = _JsonItems(bindparam("rows")).table_valued("value", name="items")
    picked = (
        cast(_JsonItem(items.c.value, literal_column(str(index))), column.type).label(column.name)
        for index, column in enumerate(columns)
    )
    return select(*picked).select_from(items).subquery("given")


class _JsonItems(FunctionElement[Any]):
    """The items of a JSON array, a row each."""

    name = "items"
    inherit_cache = True


class _JsonItem(FunctionElement[Any]):
    """One item of a JSON array, by its index."""

    name = "item"
    inherit_cache = True


@compiles(_JsonItems, "sqlite")
def _json_each(element: _JsonItems, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kw)})"


@compiles(_JsonItem, "sqlite")
def _json_extract(element: _JsonItem, compiler: SQLCompiler, **kw: Any) -> str:
    value, index = element.clauses
    return f"json_extract({compiler.process(value, **kw)}, '$[{compiler.process(index, **kw)}]')"
