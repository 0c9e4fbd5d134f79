"""A connection to the ledger's database that runs statements of SQLAlchemy's expression language quickly.

SQLAlchemy builds and compiles the SQL, opens connections and keeps them in its pool. Its own execution would
cost ten times as much as the database needs for a statement of the relay, so the SQL runs on the driver here.
Errors of the driver become SQLAlchemy's, as anywhere else.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Dialect, Engine, Executable
from sqlalchemy.exc import DBAPIError, MultipleResultsFound, NoResultFound

from relay.ledger.prepared import Parameters, PreparedStatement, prepare

_NO_PARAMETERS: Final[Parameters] = MappingProxyType({})
_READ_ONLY_TRANSACTION: Final = "25006"


class Rows:
    """The result of a statement: named tuples, to be read once and within the transaction.

    They are read one by one: records may be large, and a list of all would need their memory twice.
    `rowcount`: the number of rows that a write changed.
    """

    def __init__(self, rows: Iterable[Any], rowcount: int) -> None:
        self._rows = iter(rows)
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def all(self) -> list[Any]:
        """Return all rows."""
        return list(self._rows)

    def scalars(self) -> list[Any]:
        """Return the first column of all rows."""
        return [row[0] for row in self._rows]

    def first(self) -> Any:
        """Return the first row; None if there is none."""
        return next(self._rows, None)

    def scalar(self) -> Any:
        """Return the first column of the first row; None if there is none."""
        row = self.first()
        return None if row is None else row[0]

    def one_or_none(self) -> Any:
        """Return the only row; None if there is none. Raises `MultipleResultsFound`."""
        row = self.first()
        if self.first() is not None:
            raise MultipleResultsFound("more than one row was found")
        return row

    def one(self) -> Any:
        """Return the only row. Raises `NoResultFound`, `MultipleResultsFound`."""
        row = self.one_or_none()
        if row is None:
            raise NoResultFound("no row was found")
        return row

    def scalar_one(self) -> Any:
        """Return the only value. Raises `NoResultFound`, `MultipleResultsFound`."""
        return self.one()[0]


class Connection:
    """A connection of the pool. `driver`: the connection of the database's driver.

    `is_broken`: its session has ended, so that it must not be used again.
    """

    def __init__(self, driver: Any, dialect: Dialect) -> None:
        self.driver = driver
        self.dialect = dialect
        self.is_broken = False

    def execute(self, statement: Executable, parameters: Parameters = _NO_PARAMETERS) -> Rows:
        """Run the statement and return its rows. Raises `DBAPIError`, also while the rows are read."""
        prepared = prepare(statement, self.dialect)
        try:
            cursor = self.driver.execute(prepared.sql, prepared.bind(parameters))
        except self.dialect.loaded_dbapi.Error as error:
            raise _translate(error, self.driver, self.dialect) from error
        return Rows(() if cursor.description is None else self._read(prepared, cursor), cursor.rowcount)

    def _read(self, prepared: PreparedStatement, cursor: Any) -> Iterator[Any]:
        try:
            yield from prepared.read(cursor)
        except self.dialect.loaded_dbapi.Error as error:
            raise _translate(error, self.driver, self.dialect) from error

    def execute_sql(self, sql: str) -> None:
        """Run a command without parameters. Raises `DBAPIError`."""
        try:
            self.driver.execute(sql)
        except self.dialect.loaded_dbapi.Error as error:
            raise _translate(error, self.driver, self.dialect) from error

    def commit(self) -> None:
        """Commit the transaction. Raises `DBAPIError`."""
        try:
            self.driver.commit()
        except self.dialect.loaded_dbapi.Error as error:
            raise _translate(error, self.driver, self.dialect) from error

    def roll_back(self) -> None:
        """Roll the transaction back. Raises nothing: a connection on which this fails is broken."""
        try:
            self.driver.rollback()
        except self.dialect.loaded_dbapi.Error:
            self.is_broken = True


@contextmanager
def connect(engine: Engine) -> Iterator[Connection]:
    """Use a connection of the pool. What was not committed is rolled back at the end. Raises `DBAPIError`.

    After an error that ended the session the connection is closed.
    """
    dialect = engine.dialect
    try:
        pooled = engine.raw_connection()
    except dialect.loaded_dbapi.Error as error:
        raise _translate(error, None, dialect) from error
    connection = Connection(pooled.driver_connection, dialect)
    try:
        yield connection
    except DBAPIError as error:
        connection.is_broken |= error.connection_invalidated
        raise
    finally:
        if connection.is_broken:
            pooled.invalidate()
        pooled.close()  # the pool rolls back, and closes a connection on which that fails


def _translate(error: Any, driver: Any, dialect: Dialect) -> DBAPIError:
    """Return the error of SQLAlchemy for one of the driver.

    Of a message of PostgreSQL only the first line stays: the lines below quote the row, which has personal
    data.
    """
    first_line = getattr(getattr(error, "diag", None), "message_primary", None)
    if first_line is not None:
        error.args = (first_line,)
    # After a failover the server may be a standby: a new connection may reach the new primary.
    is_standby = getattr(error, "sqlstate", None) == _READ_ONLY_TRANSACTION
    translated = DBAPIError.instance(
        None,
        None,
        error,
        dialect.loaded_dbapi.Error,
        connection_invalidated=is_standby or dialect.is_disconnect(error, driver, None),
        dialect=dialect,
    )
    assert isinstance(translated, DBAPIError)  # noqa: S101 - the error is the driver's
    return translated
