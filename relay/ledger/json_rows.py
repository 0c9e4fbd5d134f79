"""Many rows as one bound JSON array, read by the database as a table.

One statement a batch instead of one a row: the interpreter lock is free while the database works.
How an engine reads it stands here and nowhere else.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Column, Subquery, bindparam, cast, literal_column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_encoder = msgspec.json.Encoder()

# PostgreSQL's text holds no U+0000: it becomes U+FFFD, on either engine, so that both take the same.
_NUL: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def bound(rows: Iterable[Sequence[Any]]) -> dict[str, str]:
    """The parameters of a statement over `rows_of`: each row an array, in the order of its columns."""
    encoded = _encoder.encode(list(rows)).decode()
    return {"rows": _NUL.sub(r"\1\\ufffd", encoded) if "\\u0000" in encoded else encoded}


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


@compiles(_JsonItems, "postgresql")
def _jsonb_array_elements(element: _JsonItems, compiler: SQLCompiler, **kw: Any) -> str:
    return f"jsonb_array_elements(CAST({compiler.process(element.clauses, **kw)} AS jsonb))"


@compiles(_JsonItem, "postgresql")
def _jsonb_item(element: _JsonItem, compiler: SQLCompiler, **kw: Any) -> str:
    value, index = element.clauses
    return f"({compiler.process(value, **kw)} ->> {compiler.process(index, **kw)})"
