"""Statements on the driver: parameters, rows, and the errors of the driver, on both engines."""

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, bindparam, delete, insert, literal, select, text, update
from sqlalchemy.exc import (
    IntegrityError,
    MultipleResultsFound,
    NoResultFound,
    OperationalError,
    ProgrammingError,
)

from relay.ledger.connection import Connection, Rows, connect
from relay.ledger.engine import migrate, open_engine, transaction
from relay.ledger.prepared import _prepared
from relay.ledger.tables import aliases, deliveries, destinations, events

NAMED = select(destinations.c.name, destinations.c.client).where(destinations.c.name == bindparam("named"))


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    opened = open_engine(url)
    migrate(opened)
    yield opened
    opened.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with transaction(engine) as opened:
        yield opened


def add(connection: Connection, *names: str) -> None:
    for name in names:
        connection.execute(insert(destinations).values(name=name, client="local"))


def test_a_constant_statement_takes_other_parameters_each_time(connection: Connection) -> None:
    add(connection, "a", "b")
    assert connection.execute(NAMED, {"named": "a"}).all() == [("a", "local")]
    assert connection.execute(NAMED, {"named": "b"}).all() == [("b", "local")]
    assert connection.execute(NAMED, {"named": "c"}).all() == []


def test_a_row_has_the_names_of_its_columns(connection: Connection) -> None:
    add(connection, "a")
    (row,) = connection.execute(NAMED, {"named": "a"})
    assert (row.name, row.client) == ("a", "local")


def test_a_missing_parameter_is_no_null(connection: Connection) -> None:
    add(connection, "a")
    for parameters in ({}, {"name": "a"}):
        with pytest.raises(KeyError, match="named"):
            connection.execute(NAMED, parameters)


def test_values_of_the_statement_itself_are_bound(connection: Connection) -> None:
    add(connection, "a", "b")
    changed = connection.execute(
        update(destinations).where(destinations.c.name == "a").values(client="hubspot", paused_until=7)
    )
    assert changed.rowcount == 1
    found = connection.execute(
        select(destinations.c.name, destinations.c.client, destinations.c.paused_until)
    )
    assert sorted(found) == [("a", "hubspot", 7), ("b", "local", None)]
    assert connection.execute(delete(destinations)).rowcount == 2


def test_statements_that_differ_only_in_a_value_are_not_confused(connection: Connection) -> None:
    for value in ("a", "b", "c"):
        assert connection.execute(select(literal(value))).scalar_one() == value


def test_a_statement_that_is_no_constant_is_forgotten(connection: Connection) -> None:
    statement = select(literal("once"))
    connection.execute(statement)
    number = len(_prepared[connection.dialect.name])
    del statement
    gc.collect()
    assert len(_prepared[connection.dialect.name]) < number


def test_text_and_booleans_have_the_types_of_their_columns(connection: Connection) -> None:
    values = {
        "destination": "crm",
        "call": "a\0b",
        "state": "pending",
        "version": 1,
        "delivered_version": 0,
        "pending_since": 1,
        "due_at": 1,
        "attempts": 0,
        "failing_for": 0,
        "rewrite": True,
    }
    connection.execute(insert(deliveries).values(values))
    columns = (deliveries.c.call, deliveries.c.rewrite, deliveries.c.partial, deliveries.c.remote_id)
    (row,) = connection.execute(select(*columns))
    assert row == ("a\ufffdb", True, False, None)
    assert [type(value) for value in row] == [str, bool, bool, type(None)]


def test_a_new_row_returns_its_number(connection: Connection) -> None:
    values = dict.fromkeys(("dialect", "kind", "content_type", "path", "query", "state"), "")
    new = insert(events).values(received_at=1, size=0, **values).returning(events.c.seq, events.c.state)
    first, second = connection.execute(new).one(), connection.execute(new).one()
    assert second.seq == first.seq + 1


@pytest.mark.parametrize(
    ("rows", "scalars", "first", "scalar"),
    [([], [], None, None), ([(1, 2)], [1], (1, 2), 1), ([(1, 2), (3, 4)], [1, 3], (1, 2), 1)],
)
def test_the_ways_to_read_rows(rows: list[Any], scalars: list[int], first: Any, scalar: Any) -> None:
    assert list(Rows(rows, 0)) == Rows(rows, 0).all() == rows
    assert Rows(rows, 0).scalars() == scalars
    assert (Rows(rows, 0).first(), Rows(rows, 0).scalar()) == (first, scalar)


def test_rows_are_read_one_by_one(connection: Connection) -> None:
    add(connection, "a", "b", "c")
    rows = connection.execute(select(destinations.c.name).order_by(destinations.c.name))
    assert rows.first() == ("a",)
    assert connection.execute(NAMED, {"named": "c"}).scalar() == "c"
    assert rows.scalars() == ["b", "c"]


def test_one_row_is_no_less_and_no_more() -> None:
    assert Rows([(1, 2)], 0).one() == Rows([(1, 2)], 0).one_or_none() == (1, 2)
    assert Rows([], 0).one_or_none() is None
    with pytest.raises(NoResultFound):
        Rows([], 0).one()
    for read in (Rows([(1,), (2,)], 0).one, Rows([(1,), (2,)], 0).one_or_none):
        with pytest.raises(MultipleResultsFound):
            read()


# --- transactions and errors ----------------------------------------------------------------------


def count(engine: Engine) -> int:
    with transaction(engine, read_only=True) as connection:
        return len(connection.execute(select(destinations.c.name)).all())


def test_a_transaction_is_committed_at_its_end_and_rolled_back_after_an_error(engine: Engine) -> None:
    with transaction(engine) as connection:
        add(connection, "a")
    with pytest.raises(RuntimeError):
        _fail_after(engine, lambda connection: add(connection, "b"))
    assert count(engine) == 1


def test_an_error_of_the_driver_has_the_class_of_sqlalchemy_and_quotes_no_data(engine: Engine) -> None:
    row = {"alias": "34600111222", "call": "a", "reason": "stated"}
    with pytest.raises(IntegrityError) as error:
        _fail_after(engine, lambda c: [c.execute(insert(aliases).values(row)) for _ in range(2)])
    assert "34600111222" not in str(error.value)
    assert not error.value.connection_invalidated
    with pytest.raises((ProgrammingError, OperationalError), match="nowhere"):
        _run(engine, "SELECT 1 FROM nowhere")
    assert count(engine) == 0


def _fail_after(engine: Engine, work: Callable[[Connection], Any]) -> None:
    with transaction(engine) as connection:
        work(connection)
        raise RuntimeError


def _run(engine: Engine, sql: str) -> None:
    with transaction(engine) as connection:
        connection.execute_sql(sql)


def test_a_connection_goes_back_to_the_pool(engine: Engine) -> None:
    with connect(engine) as connection:
        first = connection.driver
    with connect(engine) as connection:
        assert connection.driver is first


def test_a_broken_connection_is_not_used_again(engine: Engine) -> None:
    with connect(engine) as connection:
        first = connection.driver
        connection.is_broken = True
    with connect(engine) as connection:
        assert connection.driver is not first


def test_a_reader_sees_one_snapshot(engine: Engine) -> None:
    with transaction(engine, read_only=True) as reader:
        assert reader.execute(text("SELECT count(*) FROM destinations")).scalar_one() == 0
        with transaction(engine) as writer:
            add(writer, "a")
        assert reader.execute(text("SELECT count(*) FROM destinations")).scalar_one() == 0
    assert count(engine) == 1
