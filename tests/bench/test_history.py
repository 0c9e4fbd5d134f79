"""Copies of a day have what a relay would write for such calls, in both engines."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import inspect, text

from bench import history
from bench.day import Day, fold_day
from bench.environment import Environment
from bench.history import fill_history
from bench.ledgers import BenchLedger, LedgerEngine
from relay.ledger import calls
from relay.ledger.engine import migrate, transaction
from relay.ledger.tables import metadata

CALLS: Final = 60
DAYS: Final = 2


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("PYTHONPATH", str(Path.cwd()))
        patch.chdir(tmp_path_factory.mktemp("history"))
        yield Environment(stack, quick=True)


@pytest.fixture(scope="module")
def day(environment: Environment) -> Day:
    assert environment.quick
    return fold_day(CALLS)


@pytest.fixture(scope="module", params=["SQLite", "PostgreSQL"])
def engine(request: pytest.FixtureRequest, environment: Environment) -> LedgerEngine:
    return environment.engine(request.param)


@pytest.fixture(scope="module")
def longest() -> list[str]:
    """The id that the fill returned."""
    return []


@pytest.fixture(scope="module")
def ledger(engine: LedgerEngine, day: Day, longest: list[str]) -> Iterator[BenchLedger]:
    with engine.ledger() as ledger:
        longest[:] = [fill_history(ledger, day, DAYS)]
        yield ledger


@pytest.fixture(scope="module")
def written(engine: LedgerEngine, ledger: BenchLedger) -> Iterator[BenchLedger]:
    """An empty ledger into which the relay's own code wrote the calls of the copies."""
    with engine.ledger() as other:
        migrate(other.engine)
        ids = ledger.column("SELECT id FROM calls")
        with transaction(ledger.engine, read_only=True) as connection:
            copied = calls.get_many(connection, ids)
        with transaction(other.engine) as connection:
            calls.write(connection, list(copied.values()), [])
        yield other


def rows(ledger: BenchLedger, query: str) -> list[tuple[Any, ...]]:
    with ledger.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


@pytest.mark.parametrize(
    "query",
    [
        """
        SELECT id, version, began_at, number, merged_into, status, direction, state, record, field_versions
        FROM calls ORDER BY id
        """,
        "SELECT began_at, call, terms FROM call_keys ORDER BY 1, 2",
        "SELECT term, began_at, call FROM call_terms ORDER BY 1, 2, 3",
    ],
    ids=["calls", "call_keys", "call_terms"],
)
def test_the_rows_are_those_that_the_relay_writes(
    ledger: BenchLedger, written: BenchLedger, query: str
) -> None:
    found = rows(ledger, query)
    assert len(found) >= CALLS * DAYS
    assert found == rows(written, query)


def test_a_copy_began_a_day_earlier_with_another_number(ledger: BenchLedger, day: Day) -> None:
    [call] = [row for row in day.rows["calls"] if row["id"].endswith("00000000-000003")]
    copies = rows(
        ledger,
        "SELECT id, began_at, changed_at, number FROM calls WHERE id LIKE '%00000000-000003' ORDER BY id",
    )
    tail = call["number"][-5:]
    assert copies == [
        (
            "cloudtalk-000000000000-000003",
            call["began_at"],
            call["changed_at"],
            f"+346000{tail}",
        ),
        (
            "cloudtalk-000100000000-000003",
            call["began_at"] - 86_400_000_000,
            call["changed_at"] - 86_400_000_000,
            f"+346919{tail}",
        ),
    ]


def test_the_record_has_the_date_of_the_copy(ledger: BenchLedger) -> None:
    with transaction(ledger.engine, read_only=True) as connection:
        copied = calls.get_many(connection, ledger.column("SELECT id FROM calls"))
    began = {
        call.id: (datetime.fromisoformat(call.record.started_at).timestamp() * 1_000_000, call.began_at)
        for call in copied.values()
        if call.record.started_at is not None
    }
    assert len(began) > CALLS
    assert [id_ for id_, (stated, stored) in began.items() if stated != stored] == []


def test_each_event_and_alias_belongs_to_a_call_and_each_body_to_an_event(
    ledger: BenchLedger, day: Day
) -> None:
    events = DAYS * len(day.rows["events"]) + 500
    assert rows(ledger, "SELECT count(*) FROM events JOIN calls ON calls.id = events.call") == [(events,)]
    assert rows(ledger, "SELECT count(*) FROM events JOIN bodies USING (seq)") == [(events,)]
    aliases = DAYS * len(day.rows["aliases"])
    assert rows(ledger, "SELECT count(*) FROM aliases JOIN calls ON calls.id = aliases.call") == [(aliases,)]


def test_one_call_has_500_events_more(ledger: BenchLedger, longest: list[str]) -> None:
    [(call, events)] = rows(ledger, "SELECT call, count(*) FROM events GROUP BY call ORDER BY 2 DESC LIMIT 1")
    assert [call] == longest
    assert 500 < events < 520


def test_each_twentieth_call_is_a_dead_letter(ledger: BenchLedger) -> None:
    assert rows(ledger, "SELECT state, count(*) FROM deliveries GROUP BY state ORDER BY state") == [
        ("dead", 6),
        ("delivered", 108),
        ("filtered", 6),
    ]
    assert rows(ledger, "SELECT sum(calls) FROM delivered_counts") == [(108,)]
    assert rows(
        ledger, "SELECT code, count(*) FROM deliveries WHERE state = 'dead' GROUP BY 1 ORDER BY 1"
    ) == [
        ("22001", 3),
        ("23502", 3),
    ]


def test_the_quarantine_is_full(ledger: BenchLedger) -> None:
    assert rows(ledger, "SELECT reason, count(*) FROM quarantine GROUP BY reason ORDER BY reason") == [
        ("missing_id", 3_334),
        ("unknown_event", 3_333),
        ("unreadable_field", 3_333),
    ]


def _condition(index: Any) -> list[str]:
    return [str(option) for option in index.get("dialect_options", {}).values()]


def test_the_ledger_has_its_indexes_again(ledger: BenchLedger, written: BenchLedger) -> None:
    def keys(of: BenchLedger) -> dict[str, list[str]]:
        found = inspect(of.engine)
        return {
            table: [
                str(found.get_pk_constraint(table)["constrained_columns"]),
                *sorted(
                    f"{index['name']} {index['column_names']} {_condition(index)}"
                    for index in found.get_indexes(table)
                ),
            ]
            for table in metadata.tables
        }

    assert keys(ledger) == keys(written)


def test_only_the_newest_copies_have_events(
    engine: LedgerEngine, day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retention removed those of the others, whose calls cannot be recomputed."""
    monkeypatch.setattr(history, "_EVENT_DAYS", 1)
    with engine.ledger() as ledger:
        fill_history(ledger, day, DAYS)
        assert ledger.count_events() == len(day.rows["events"]) + 500
        assert rows(ledger, "SELECT count(*) FROM calls WHERE pruned_at IS NOT NULL") == [(CALLS,)]
        with transaction(ledger.engine, read_only=True) as connection:
            pruned = calls.get_many(
                connection, ledger.column("SELECT id FROM calls WHERE pruned_at IS NOT NULL")
            )
    assert {len(call.state.stamps) for call in pruned.values()} == {0}
