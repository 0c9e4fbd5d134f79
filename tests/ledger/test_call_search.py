"""Searching calls: each search equals a naive filter over all records, whatever happened to the calls."""

import random
from collections.abc import Collection
from functools import partial
from typing import Any, TypeVar

import msgspec
import pytest
from sqlalchemy import Executable, select

from relay.call import Call, Status
from relay.instants import Instant
from relay.ledger import Ledger, call_candidates, call_search, calls, deliveries, retention_queries
from relay.ledger.call_candidates import CallKey
from relay.ledger.call_search import DIRECTIONS, Criteria, KeyPage, search
from relay.ledger.calls import CallRow
from relay.ledger.connection import Connection
from relay.ledger.search_terms import Alternatives, terms_of
from relay.ledger.states import DeliveryState
from relay.ledger.tables import call_keys, call_terms
from relay.ledger.tables import calls as calls_table
from relay.ledger.tables import deliveries as table
from tests.support.samples import RECEIVED_AT, make_call_row

T = TypeVar("T")

NAMES = ("Ana María García", "Ana Gil", "Luis Garrido", "Ñandú", "100% ana_b\\c", "", None)
AGENTS = (("7", "Eva Gómez", "eva@acme.es"), ("8", "Luis Gil", None), (None, None, None))
NUMBERS = ("+34600112233", "+34600112299", "+34911223344", "+4930112233", "101", None)
BEGINNINGS = (
    "cana",
    "cg",
    "cgar",
    "c",
    "aeva",
    "al",
    "a7",
    "aeva@acme.es",
    "n34600",
    "n101",
    "r33",
    "r3322",
    "czz",
    "c%",
)


def make_row(choose: random.Random, id_: str, version: int) -> CallRow:
    agent_id, agent_name, agent_email = choose.choice(AGENTS)
    row = make_call_row(id_, version)
    record = msgspec.structs.replace(
        row.record,
        contact_name=choose.choice(NAMES),
        agent_id=agent_id,
        agent_name=agent_name,
        agent_email=agent_email,
        external_number=choose.choice(NUMBERS),
        internal_number=choose.choice(NUMBERS),
        status=choose.choice(list(Status)),
        direction=choose.choice(DIRECTIONS) or None,
        merged_into="survivor" if choose.random() < 0.1 else None,
    )
    return msgspec.structs.replace(row, record=record, began_at=Instant(choose.randrange(40)))


class Model:
    """The calls and deliveries that the ledger must have."""

    def __init__(self, choose: random.Random) -> None:
        self.choose = choose
        self.rows: dict[str, CallRow] = {}
        self.states: dict[tuple[str, str], DeliveryState] = {}
        self._version = 0

    def change(self, connection: Connection) -> None:
        """Write new and changed calls, or prune one, or settle a delivery."""
        step = self.choose.random()
        if step < 0.1 and self.rows:
            self._prune(connection, self.choose.choice(sorted(self.rows)))
        elif step < 0.4 and self.rows:
            self._deliver(connection, self.choose.choice(sorted(self.rows)))
        else:
            self._write(connection)

    def _write(self, connection: Connection) -> None:
        ids = sorted({f"call-{self.choose.randrange(60)}" for _ in range(4)})
        self._version += 1
        rows = {id_: make_row(self.choose, id_, self._version) for id_ in ids}
        changed = [row for id_, row in rows.items() if id_ in self.rows]
        calls.write(connection, [row for id_, row in rows.items() if id_ not in self.rows], changed)
        self.rows |= rows

    def _deliver(self, connection: Connection, id_: str) -> None:
        deliveries.enqueue(connection, [(id_, self.rows[id_].version)], now=RECEIVED_AT)
        for destination in ("crm", "other"):
            state = self.choose.choice(list(DeliveryState))
            of_call = (table.c.destination == destination, table.c.call == id_)
            settle = table.update().where(*of_call).values(state=state, delivered_version=1)
            if connection.execute(settle).rowcount:  # none for a call that was deleted before its delivery
                self.states[destination, id_] = state

    def _prune(self, connection: Connection, id_: str) -> None:
        """Retention deletes the calls that changed first: this one becomes old before."""
        if {self.states.get((name, id_)) for name in ("crm", "other")} & {"pending", "dead"}:
            return
        make_old = calls_table.update().where(calls_table.c.id == id_).values(changed_at=1)
        connection.execute(make_old)
        retention_queries.delete_old_calls(connection, before=Instant(2), now=RECEIVED_AT)
        del self.rows[id_]  # its deliveries stay with its tombstone

    def find(self, criteria: Criteria) -> list[CallKey]:
        """The naive filter."""
        found = (row for row in self.rows.values() if self._matches(row, criteria))
        return sorted((CallKey(row.began_at, row.id) for row in found), reverse=True)

    def _matches(self, row: CallRow, criteria: Criteria) -> bool:
        record = row.record
        return (
            record.merged_into is None
            and (criteria.since is None or row.began_at >= criteria.since)
            and (criteria.until is None or row.began_at < criteria.until)
            and (not criteria.statuses or record.status in criteria.statuses)
            and (not criteria.directions or (record.direction or "") in criteria.directions)
            and all(has_term(record, beginnings) for beginnings in criteria.terms)
            and self._matches_delivery(row.id, criteria)
        )

    def _matches_delivery(self, id_: str, criteria: Criteria) -> bool:
        if not criteria.delivery and criteria.destination is None:
            return True
        names = [criteria.destination] if criteria.destination else ["crm", "other"]
        states = {self.states.get((name, id_)) for name in names} - {None}
        return bool(states & criteria.delivery if criteria.delivery else states)

    def _some(self, values: Collection[T]) -> frozenset[T]:
        return frozenset(self.choose.sample(list(values), self.choose.choice([0, 0, 0, 1, 2])))

    def criteria(self) -> Criteria:
        choose = self.choose
        return Criteria(
            since=choose.choice([None, None, Instant(choose.randrange(40))]),
            until=choose.choice([None, None, Instant(choose.randrange(40))]),
            statuses=self._some(list(Status)),
            directions=self._some(DIRECTIONS),
            terms=tuple(
                tuple(choose.sample(BEGINNINGS, choose.choice([1, 1, 3]))) for _ in range(choose.randrange(3))
            ),
            delivery=self._some(list(DeliveryState)),
            destination=choose.choice([None, None, "crm", "nobody"]),
        )


def has_term(record: Call, beginnings: Alternatives) -> bool:
    return any(term.startswith(beginnings) for term in terms_of(record))


def pages(connection: Connection, criteria: Criteria, limit: int, seconds: float) -> list[CallKey]:
    """All pages of a search."""
    found: list[CallKey] = []
    before = None
    while True:
        page = search(connection, criteria, before=before, limit=limit, seconds=seconds)
        assert len(page.keys) <= limit
        found += page.keys
        if page.next is None:
            return found
        assert before is None or page.next < before
        before = page.next


@pytest.fixture(params=["gathered", "ordered"])
def seconds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """The time of a search: once with few calls for its limits, once with many, and each window ends it."""
    if request.param == "ordered":
        for module in (call_candidates, call_search):
            monkeypatch.setattr(module, "FEW", 5)
        monkeypatch.setattr(call_candidates, "_MAX_WORDS", 3)
        monkeypatch.setattr(call_search, "_FIRST_WINDOW", 3)
        monkeypatch.setattr(call_search, "_SMALLEST_WINDOW", 2)
        return 0
    return 60


@pytest.mark.parametrize("seed", range(2))
async def test_a_search_equals_a_filter_over_all_calls(
    two_destinations: Ledger, seed: int, seconds: float
) -> None:
    model = Model(random.Random(seed))
    for _ in range(40):
        await two_destinations.write(model.change)
    found_some = 0
    for _ in range(60):
        criteria = model.criteria()
        expected = model.find(criteria)
        found_some += bool(expected)
        limit = model.choose.choice([1, 3, 50])
        found = await two_destinations.read(partial(pages, criteria=criteria, limit=limit, seconds=seconds))
        assert found == expected, criteria
    assert found_some > 10
    terms = {(term, row.began_at, row.id) for row in model.rows.values() for term in terms_of(row.record)}
    stored = await two_destinations.read(lambda c: c.execute(select(call_terms)).all())
    assert set(map(tuple, stored)) == terms
    keys = {
        (row.began_at, row.id, "".join("\n" + t for t in terms_of(row.record))) for row in model.rows.values()
    }
    stored = await two_destinations.read(lambda c: c.execute(select(call_keys)).all())
    assert set(map(tuple, stored)) == keys


async def write(ledger: Ledger, *rows: CallRow, changed: bool = False) -> None:
    await ledger.write(lambda c: calls.write(c, [] if changed else rows, rows if changed else []))


def at(began_at: int, id_: str) -> CallRow:
    return msgspec.structs.replace(make_call_row(id_, contact_name="Ana"), began_at=Instant(began_at))


async def find(ledger: Ledger, before: CallKey | None, limit: int, **criteria: object) -> KeyPage:
    wanted = msgspec.convert(criteria, Criteria)
    return await ledger.read(lambda c: search(c, wanted, before=before, limit=limit))


async def test_the_next_page_is_the_same_while_calls_arrive(ledger: Ledger) -> None:
    await write(ledger, at(1, "a"), at(2, "b"), at(2, "c"), at(3, "d"))
    first = await find(ledger, None, 2)
    assert first == KeyPage([CallKey(Instant(3), "d"), CallKey(Instant(2), "c")], CallKey(Instant(2), "c"))
    await write(ledger, at(4, "e"), at(2, "cc"))
    assert await find(ledger, first.next, 2) == KeyPage(
        [CallKey(Instant(2), "b"), CallKey(Instant(1), "a")], None
    )


async def test_a_full_last_page_has_no_next_one(ledger: Ledger) -> None:
    await write(ledger, at(1, "a"), at(2, "b"))
    assert (await find(ledger, None, 2)).next is None
    assert (await find(ledger, None, 1)).next == (2, "b")


async def test_a_search_on_a_slow_disk_ends_and_says_where_to_go_on(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_search, "_FIRST_WINDOW", 2)
    monkeypatch.setattr(call_search, "_SMALLEST_WINDOW", 1)
    await write(ledger, *(at(n, f"call-{n}") for n in range(1, 6)))
    wanted = Criteria(destination="nobody")
    page = await ledger.read(lambda c: search(c, wanted, before=None, limit=1, seconds=0))
    assert page == KeyPage([], CallKey(Instant(4), "call-4"))


async def test_an_event_that_changes_no_term_writes_no_term(ledger: Ledger) -> None:
    await write(ledger, at(1, "a"))
    changed = msgspec.structs.replace(at(1, "a"), version=2)

    def write_again(connection: Connection) -> list[str]:
        written: list[str] = []
        execute = connection.execute

        def spy(statement: Executable, *parameters: Any) -> Any:
            written.append(type(statement).__name__)
            return execute(statement, *parameters)

        connection.execute = spy  # type: ignore[assignment, method-assign]
        calls.write(connection, [], [changed])
        return written

    assert await ledger.write(write_again) == ["Select", "Update"]
