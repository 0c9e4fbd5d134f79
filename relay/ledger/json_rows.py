"""Many rows in one bound parameter: a JSON array, which the database reads as a table.

A batch is one statement instead of one statement for each row, and the interpreter lock is free while the
database works. Only this module knows how each engine reads the array.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Boolean, Column, Integer, Subquery, Text, bindparam, cast, literal_column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_encoder = msgspec.json.Encoder()

# Text of PostgreSQL cannot hold U+0000: it becomes U+FFFD, on SQLite too, so that both store the same.
_NUL: Final = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def bound(rows: Iterable[Sequence[Any]]) -> dict[str, str]:
    """Return the parameters for a statement over `rows_of`; a row has the order of its columns."""
    return {"rows": without_nul(_encoder.encode(list(rows))).decode()}


def without_nul(encoded: bytes) -> bytes:
    """Return this JSON with U+FFFD for each U+0000, as in all text of the ledger."""
    return _NUL.sub(rb"\1\\ufffd", encoded) if b"\\u0000" in encoded else encoded


def rows_of(*columns: Column[Any]) -> Subquery:
    """Return the bound rows as a table with the names and types of these columns."""
    items = _JsonItems(bindparam("rows")).table_valued("value", name="items")
    cells = (
        cast(_JsonItem(items.c.value, literal_column(str(index))), column.type).label(column.name)
        for index, column in enumerate(columns)
    )
    return select(*cells).select_from(items).subquery("bound_rows")


class TextInBlob(FunctionElement[str]):
    """The UTF-8 text at a place of a blob: (blob, position from 1 on, length in bytes).

    Large texts are bound beside the rows: in the array they would be encoded twice, and the database would
    read the whole array for each column.
    """

    name = "text_in_blob"
    inherit_cache = True
    type = Text()


@compiles(TextInBlob, "sqlite")
def _cast_to_text(element: TextInBlob, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST(substr({compiler.process(element.clauses, **kw)}) AS TEXT)"


@compiles(TextInBlob, "postgresql")
def _convert_from_utf8(element: TextInBlob, compiler: SQLCompiler, **kw: Any) -> str:
    return f"convert_from(substr({compiler.process(element.clauses, **kw)}), 'UTF8')"


class ContainsText(FunctionElement[bool]):
    """Whether a text contains another one, as it is: (text, part). LIKE would ignore case, and be slower."""

    name = "contains_text"
    inherit_cache = True
    type = Boolean()


@compiles(ContainsText, "sqlite")
def _instr(element: ContainsText, compiler: SQLCompiler, **kw: Any) -> str:
    return f"instr({compiler.process(element.clauses, **kw)}) > 0"


@compiles(ContainsText, "postgresql")
def _strpos(element: ContainsText, compiler: SQLCompiler, **kw: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **kw)}) > 0"


class ByteLength(FunctionElement[int]):
    """The bytes of a text in UTF-8."""

    name = "byte_length"
    inherit_cache = True
    type = Integer()


@compiles(ByteLength, "sqlite")
def _length_of_blob(element: ByteLength, compiler: SQLCompiler, **kw: Any) -> str:
    return f"length(CAST({compiler.process(element.clauses, **kw)} AS BLOB))"


@compiles(ByteLength, "postgresql")
def _octet_length(element: ByteLength, compiler: SQLCompiler, **kw: Any) -> str:
    return f"octet_length({compiler.process(element.clauses, **kw)})"


class _JsonItems(FunctionElement[Any]):
    """The items of a JSON array, one row each."""

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
