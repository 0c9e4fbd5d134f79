"""Statements of SQLAlchemy's expression language, compiled once for each kind of database.

A compiled statement converts its parameters and its rows by the types of the columns, as SQLAlchemy does.
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import BindParameter, Dialect, Executable
from sqlalchemy.sql.compiler import SQLCompiler

Parameters = Mapping[str, Any]
Convert = Callable[[Any], Any]
MakeRow = Callable[[Sequence[Any]], Any]


class _Parameter(msgspec.Struct, frozen=True):
    """A parameter of a compiled statement. `default`: the value that the statement itself has.

    `is_required`: it has none.
    """

    name: str
    key: str
    default: Any
    is_required: bool
    convert: Convert | None

    def bind(self, parameters: Parameters) -> Any:
        """Return the value for the driver. Raises `KeyError` for a required one that is missing."""
        value = parameters[self.key] if self.is_required else parameters.get(self.key, self.default)
        return value if self.convert is None else self.convert(value)


class PreparedStatement:
    """A statement compiled for one database."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        self.sql = str(compiled)
        self._dialect = dialect
        self._types = _result_types(compiled.statement)
        self._parameters = _list_parameters(compiled)
        self._is_positional = bool(compiled.positional)
        self._make_row: MakeRow | None = None
        self._converts: list[tuple[int, Convert]] = []

    def bind(self, parameters: Parameters) -> Any:
        """Return the parameters as the driver takes them."""
        if self._is_positional:
            return [parameter.bind(parameters) for parameter in self._parameters]
        return {parameter.name: parameter.bind(parameters) for parameter in self._parameters}

    def read(self, cursor: Any) -> Iterator[Any]:
        """Return the rows of the cursor, one by one."""
        make_row = self._make_row or self._prepare_rows(cursor.description)
        return map(make_row, map(self._convert, cursor) if self._converts else cursor)

    def _prepare_rows(self, description: Sequence[Sequence[Any]]) -> MakeRow:
        """Derive the names and types of the columns from the first result."""
        names = [str(column[0]) for column in description]
        self._converts = [
            (index, convert)
            for index, (type_, column) in enumerate(zip(self._types, description, strict=False))
            if (convert := type_.dialect_impl(self._dialect).result_processor(self._dialect, column[1]))
        ]
        row_type: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc]  # noqa: PYI024
        make_row: MakeRow = row_type._make
        self._make_row = make_row  # set last: another thread looks at it first
        return make_row

    def _convert(self, row: Sequence[Any]) -> list[Any]:
        values = list(row)
        for index, convert in self._converts:
            values[index] = convert(values[index])
        return values


def _list_parameters(compiled: SQLCompiler) -> list[_Parameter]:
    by_name = {name: bind for bind, name in compiled.bind_names.items()}
    names = (compiled.positiontup or []) if compiled.positional else list(by_name)
    converts: Any = compiled._bind_processors  # noqa: SLF001 - there is no public way to the processors
    return [_parameter(name, by_name[name], converts.get(name)) for name in names]


def _parameter(name: str, bind: BindParameter[Any], convert: Convert | None) -> _Parameter:
    return _Parameter(name, bind.key, bind.effective_value, bind.required, convert)


def _result_types(statement: Any) -> list[Any]:
    """Return the types of the columns that the statement returns; a text has none."""
    if getattr(statement, "is_dml", False):
        return [column["type"] for column in statement.returning_column_descriptions]
    return [column.type for column in getattr(statement, "selected_columns", ())]


_prepared: Final[dict[str, WeakKeyDictionary[Executable, PreparedStatement]]] = {}
"""Per kind of database. Most statements are constants of a module; those that are not are soon forgotten."""


def prepare(statement: Executable, dialect: Dialect) -> PreparedStatement:
    """Return the statement, compiled for this kind of database."""
    prepared = _prepared.setdefault(dialect.name, WeakKeyDictionary())
    if (found := prepared.get(statement)) is None:
        found = prepared[statement] = PreparedStatement(statement, dialect)
    return found
