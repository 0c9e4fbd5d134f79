"""The frequent statements use indexes and never scan a table."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, Executable, text

from relay.call import Status
from relay.ledger import (
    Ledger,
    aliases,
    attempts,
    audited_calls,
    audits,
    call_backs,
    call_candidates,
    call_search,
    call_terms,
    calls,
    client_state,
    dead_letters,
    enrichments,
    removal,
    replays,
    retention_queries,
    unlinked_calls,
)
from relay.ledger.connection import Connection
from relay.ledger.deliveries import Pick, enqueueing, picking, settling
from relay.ledger.engine import open_engine
from relay.ledger.journal import folding, reading
from relay.ledger.json_rows import bound
from relay.ledger.states import DeliveryState
from tests.support.postgres import Databases

ROWS = bound([])
IN_RANGE = "began_at>? AND (began_at,id)<(?,?)"
RANGE = {"first_at": 1, "first_id": "", "before_at": 20_000, "before_id": "x"}
KIND = {"status": "missed", "direction": "inbound"}
SPAN = {"beginning": "n341", "last": "n342"}
PARAMETERS = {"destination": "crm", "now": 1, "limit": 1, "small": 1}


def _searched(**criteria: Any) -> Any:
    source = call_candidates.ALL
    return source.candidates.where(
        *call_search._matches(call_search.Criteria(**criteria), source.began_at, source.id)
    )


PLANS: dict[str, tuple[Executable, dict[str, Any], str]] = {
    "folding._select_new": (folding._select_new, {"limit": 1}, "SCAN events USING INDEX events_new"),
    "reading._oldest_unfolded new": (reading._oldest_unfolded[0], {}, "SCAN events USING INDEX events_new"),
    "reading._oldest_unfolded waiting": (
        reading._oldest_unfolded[1],
        {},
        "SCAN events USING INDEX events_due",
    ),
    "reading._by_call": (reading._by_call, {"call": "x"}, "SEARCH events USING INDEX events_call (call=?)"),
    "folding._mark_folded": (
        folding._mark_folded,
        ROWS | {"folded_at": 1},
        "SEARCH events USING INTEGER PRIMARY KEY (rowid=?)",
    ),
    "calls._by_id": (calls._by_id, ROWS, "SEARCH calls USING INDEX sqlite_autoindex_calls_1 (id=?)"),
    "calls._by_number_of history": (
        calls._by_number_of[calls.Among.HISTORY],
        ROWS,
        "SEARCH calls USING INDEX calls_history (number=? AND began_at>? AND began_at<?)",
    ),
    "calls._by_number_of open": (
        calls._by_number_of[calls.Among.OPEN],
        ROWS,
        "SEARCH calls USING INDEX calls_number (number=? AND began_at>? AND began_at<?)",
    ),
    "calls._update": (
        calls._update,
        ROWS | {"blob": b""},
        "SEARCH calls USING INDEX sqlite_autoindex_calls_1 (id=?)",
    ),
    "enrichments._due_of": (
        enrichments._due_of,
        ROWS | {"now": 1, "limit": 1},
        "SEARCH enrichments USING INDEX enrichments_due (due_at<?)",
    ),
    "enrichments._pending": (
        enrichments._pending,
        {},
        "SCAN enrichments USING INDEX enrichments_due",
    ),
    "enrichments._old": (
        enrichments._old,
        {"before": 1, "limit": 1},
        "SEARCH enrichments USING INDEX enrichments_enqueued (enqueued_at<?)",
    ),
    "unlinked_calls._began": (
        unlinked_calls._began,
        {"since": 1, "until": 2, "limit": 1},
        "SEARCH calls USING INDEX calls_began (began_at>? AND began_at<?)",
    ),
    "call_backs._conversations": (
        call_backs._conversations,
        ROWS | {"window": 1},
        "SEARCH later USING INDEX calls_talked (number=? AND began_at>? AND began_at<?)",
    ),
    "call_backs._affected missed": (
        call_backs._affected,
        ROWS | {"window": 1},
        "SEARCH calls USING INDEX calls_number (number=? AND began_at>? AND began_at<?)",
    ),
    "call_backs._affected called back": (
        call_backs._affected,
        ROWS | {"window": 1},
        "SEARCH calls USING INDEX calls_called_back (called_back_call=?)",
    ),
    "audited_calls._pages": (
        audited_calls._pages[False],
        {"since": 1, "until": 2, "after_at": 1, "after_id": "", "limit": 9},
        "SEARCH calls USING INDEX calls_began (began_at>? AND began_at<?)",
    ),
    "audited_calls._pages merged": (
        audited_calls._pages[True],
        {"since": 1, "until": 2, "after_at": 1, "after_id": "", "limit": 9},
        "SEARCH calls USING INDEX calls_merged (merged_into>?)",
    ),
    "audits._findings": (
        audits._findings,
        {"seq": 1, "limit": 9},
        "SEARCH audit_findings USING PRIMARY KEY (audit=?)",
    ),
    "calls._count_began": (
        calls._count_began,
        {"start": 1, "end": 2},
        "SEARCH calls USING INDEX calls_began (began_at>? AND began_at<?)",
    ),
    "calls._first_began": (calls._first_began, {}, "SEARCH calls USING INDEX calls_began"),
    "aliases._by_alias": (aliases._by_alias, ROWS, "SEARCH aliases USING PRIMARY KEY (alias=?)"),
    "attempts._by_call": (
        attempts._by_call,
        ROWS,
        "SEARCH attempts USING INDEX attempts_call (call=?)",
    ),
    "call_candidates.ALL": (
        call_candidates.ALL.candidates,
        RANGE,
        f"SEARCH calls USING INDEX calls_began ({IN_RANGE})",
    ),
    "call_candidates.ALL nth": (
        call_candidates.ALL.nth,
        RANGE | {"place": 9},
        f"SEARCH calls USING INDEX calls_began ({IN_RANGE})",
    ),
    "call_candidates.WITH_TERMS": (
        call_candidates.WITH_TERMS.candidates,
        RANGE,
        "SEARCH call_keys USING PRIMARY KEY (began_at>? AND (began_at,call)<(?,?))",
    ),
    "call_candidates._of_kind": (
        call_candidates._of_kind.candidates,
        RANGE | KIND,
        f"SEARCH calls USING INDEX calls_status (status=? AND direction=? AND {IN_RANGE})",
    ),
    "call_candidates._with_term": (
        call_candidates._with_term.candidates,
        RANGE | {"term": "x"},
        "SEARCH call_terms USING PRIMARY KEY (term=? AND began_at>? AND (began_at,call)<(?,?))",
    ),
    "call_candidates._with_beginning": (
        call_candidates._with_beginning,
        RANGE | SPAN,
        "SEARCH call_terms USING PRIMARY KEY (term>? AND term<?)",
    ),
    "call_candidates._first_term": (
        call_candidates._first_term,
        SPAN,
        "SEARCH call_terms USING PRIMARY KEY (term>? AND term<?)",
    ),
    "call_candidates._in_state dead": (
        call_candidates._in_state[DeliveryState.DEAD],
        RANGE | {"destination": "crm"},
        "SEARCH deliveries USING INDEX deliveries_dead (destination=?)",
    ),
    "call_candidates._count_in_state filtered": (
        call_candidates._count_in_state[DeliveryState.FILTERED],
        {"destination": "crm"},
        "SEARCH deliveries USING INDEX deliveries_filtered (destination=?)",
    ),
    "call_search._matches delivery": (
        _searched(destination="crm", delivery=frozenset({DeliveryState.DEAD})),
        RANGE,
        "SEARCH of_call USING INDEX sqlite_autoindex_deliveries_1 (destination=? AND call=?)",
    ),
    "call_search._matches terms": (
        _searched(terms=(("cana",),)),
        RANGE,
        "SEARCH keys USING PRIMARY KEY (began_at=? AND call=?)",
    ),
    "call_search._matches kind": (
        _searched(statuses=frozenset({Status.MISSED})),
        RANGE,
        "SEARCH kind USING INDEX calls_status (status=? AND direction=? AND began_at=?)",
    ),
    "call_terms._stored": (
        call_terms._stored,
        ROWS,
        "SEARCH calls USING INDEX sqlite_autoindex_calls_1 (id=?)",
    ),
    "call_terms._delete": (
        call_terms._delete,
        ROWS,
        "SEARCH call_terms USING PRIMARY KEY (term=? AND began_at=? AND call=?)",
    ),
    "retention_queries._old_calls": (
        retention_queries._old_calls,
        {"before": 1, "limit": 1},
        "SEARCH calls USING INDEX calls_changed (changed_at<?)",
    ),
    "retention_queries._newest_calls": (
        retention_queries._newest_calls,
        {"limit": 1},
        "SCAN calls USING INDEX calls_began",
    ),
    "picking._take fresh": (
        picking._take[Pick.FRESH],
        ROWS | PARAMETERS,
        "SEARCH deliveries USING INDEX deliveries_due (destination=? AND due_at<?)",
    ),
    "picking._take oldest": (
        picking._take[Pick.OLDEST],
        ROWS | PARAMETERS,
        "SEARCH deliveries USING INDEX deliveries_due (destination=? AND due_at<?)",
    ),
    "picking._take probe": (
        picking._take[Pick.PROBE],
        ROWS | PARAMETERS,
        "SEARCH deliveries USING INDEX deliveries_due (destination=?)",
    ),
    "picking._make_due_now": (
        picking._make_due_now,
        {"of_destination": "crm", "now": 1, "after": 1},
        "SEARCH deliveries USING INDEX deliveries_due (destination=? AND due_at>?)",
    ),
    "picking._end_backoff": (
        picking._end_backoff,
        {"of_destination": "crm", "now": 1, "max_attempts": 1},
        "SEARCH deliveries USING INDEX deliveries_due (destination=? AND due_at>?)",
    ),
    "settling._rejected_run": (
        settling._rejected_run,
        {"of_destination": "crm", "of_code": "23502"},
        "SEARCH deliveries USING INDEX deliveries_dead (destination=? AND attempted_at>?)",
    ),
    "settling._requeue_pushed": (
        settling._requeue_pushed,
        ROWS | PARAMETERS,
        "SEARCH deliveries USING INDEX sqlite_autoindex_deliveries_1 (destination=? AND call=?)",
    ),
    "replays._page": (
        replays._page,
        {"after_at": 1, "after_id": "", "until": 2, "limit": 1},
        "SEARCH calls USING INDEX calls_began ((began_at,id)>(?,?) AND began_at<?)",
    ),
    "replays._requeue_known": (
        replays._requeue_known,
        ROWS | PARAMETERS | {"whole": False},
        "SEARCH deliveries USING INDEX sqlite_autoindex_deliveries_1 (destination=? AND call=?)",
    ),
    "dead_letters._replay": (
        dead_letters._replay,
        ROWS | PARAMETERS,
        "SEARCH deliveries USING INDEX sqlite_autoindex_deliveries_1 (destination=? AND call=?)",
    ),
    "dead_letters._groups": (dead_letters._groups, {}, "SCAN deliveries USING INDEX deliveries_dead"),
    "dead_letters._by_call": (
        dead_letters._by_call,
        ROWS,
        "SEARCH deliveries USING INDEX deliveries_call (call=?)",
    ),
    "client_state._get": (
        client_state._get,
        ROWS | {"since": 0},
        "SEARCH client_state USING PRIMARY KEY (destination=? AND key=?)",
    ),
    "picking._next_due_at": (
        picking._next_due_at,
        ROWS | PARAMETERS,
        "SEARCH deliveries USING INDEX deliveries_due (destination=?)",
    ),
    "enqueueing._requeue_known": (
        enqueueing._requeue_known,
        ROWS | PARAMETERS,
        "SEARCH deliveries USING INDEX deliveries_call (call=?)",
    ),
    "settling._settle": (
        settling._settle,
        ROWS | PARAMETERS,
        "SEARCH deliveries USING INDEX sqlite_autoindex_deliveries_1 (destination=? AND call=?)",
    ),
}
SCAN = re.compile(r"SCAN (aliases|bodies|call_keys|call_terms|calls|deliveries|events)\b(?! USING INDEX)")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """SQLite only."""
    return f"sqlite:///{tmp_path / 'relay.db'}"


def explain(connection: Connection, statement: Any, parameters: dict[str, Any]) -> list[str]:
    compiled = statement.compile(dialect=connection.dialect)
    params = compiled.construct_params(parameters)
    values = tuple(params[name] for name in compiled.positiontup)
    plan = connection.driver.execute(f"EXPLAIN QUERY PLAN {compiled}", values).fetchall()
    return [detail.replace("COVERING ", "") for *_, detail in plan]


@pytest.mark.parametrize("name", PLANS)
async def test_sqlite_uses_the_index(ledger: Ledger, name: str) -> None:
    statement, parameters, step = PLANS[name]
    plan = await ledger.read(lambda c: explain(c, statement, parameters))
    assert step in plan
    assert [line for line in plan if SCAN.match(line)] == []


@pytest.mark.parametrize(
    "name", ["folding._select_new", "reading._by_call", "picking._take fresh", "picking._take oldest"]
)
async def test_sqlite_reads_in_order_instead_of_sorting(ledger: Ledger, name: str) -> None:
    statement, parameters, _ = PLANS[name]
    plan = await ledger.read(lambda c: explain(c, statement, parameters))
    assert [line for line in plan if "TEMP B-TREE" in line] == []


async def test_sqlite_removes_a_call_without_scanning(ledger: Ledger) -> None:
    for statement in removal._delete:
        plan = await ledger.read(lambda c, s=statement: explain(c, s, {"of_call": "x"}))  # type: ignore[misc]
        assert [line for line in plan if line.startswith("SCAN")] == []


# --- PostgreSQL -----------------------------------------------------------------------------------

# As after a month: nearly all is folded and delivered, and one delivery in five hundred is pending.
FILL = """
INSERT INTO events (received_at, dialect, kind, content_type, path, query, size, state, call)
SELECT n, 'd', 'k', 'c', 'p', 'q', 2, CASE WHEN n > 19990 THEN 'new' ELSE 'folded' END,
  'call-' || n / 5
FROM generate_series(1, 20000) n;
INSERT INTO bodies (seq, parsed, raw) SELECT n, '{}', '' FROM generate_series(1, 20000) n;
INSERT INTO calls (id, version, began_at, changed_at, status, direction, state, record, field_versions,
  number, talked)
SELECT 'call-' || n, 1, n, n, 'completed', 'inbound', '{}', '{}', '{}', '+34' || n % 3000, n / 3000 % 3 > 0
FROM generate_series(1, 20000) n;
INSERT INTO call_terms (term, began_at, call)
SELECT 'n34' || n % 3000, n, 'call-' || n FROM generate_series(1, 20000) n;
INSERT INTO call_keys (began_at, call, terms)
SELECT n, 'call-' || n, E'\nn34' || n % 3000 FROM generate_series(1, 20000) n;
INSERT INTO aliases (alias, call, reason)
SELECT 'id:' || n, 'call-' || n, 'stated' FROM generate_series(1, 20000) n;
INSERT INTO destinations (name, client) VALUES ('crm', 'local'), ('other', 'local');
INSERT INTO deliveries (destination, call, state, version, delivered_version, pending_since, due_at, attempts,
  failing_for)
SELECT d, 'call-' || n, CASE WHEN n % 500 = 0 THEN 'pending' ELSE 'delivered' END, 1, 1, n, n, 0, 0
FROM generate_series(1, 20000) n, (VALUES ('crm'), ('other')) v (d);
INSERT INTO enrichments (call, question, state, enqueued_at, due_at, attempts, announced)
SELECT 'call-' || n, 'summary', CASE WHEN n % 500 = 0 THEN 'pending' ELSE 'settled' END, n, n, 0, false
FROM generate_series(1, 20000) n;
INSERT INTO attempts (destination, call, at, version, action, outcome, duration_ms)
SELECT 'crm', 'call-' || n, n, 1, 'upsert', 'delivered', 9 FROM generate_series(1, 20000) n;
ANALYZE;
"""
ONE = bound([("call-1", "1", "1", "1", "1", "1", "1", "1", "1", "1", "1", "1", "1", "1", "1", "1", "1")])
INDEXES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "folding._select_new": (folding._select_new, {"limit": 200}, "events_new"),
    "reading._by_call": (reading._by_call, {"call": "call-1"}, "events_call"),
    "folding._mark_folded": (
        folding._mark_folded,
        bound([(1, "call-1")]) | {"folded_at": 1},
        "events_pkey",
    ),
    "folding._select_waited": (folding._select_waited, {"limit": 200, "now": 1, "latest": 9}, "events_due"),
    "reading._sizes": (reading._sizes, bound([("call-1",)]), "events_call"),
    "reading._by_seqs": (reading._by_seqs, bound([(1,)]), "bodies_pkey"),
    "reading._aside": (reading._aside, {}, "events_aside"),
    "folding._select_parsed": (folding._select_parsed, bound([(1,)]), "bodies_pkey"),
    "folding._requeue_waiting": (folding._requeue_waiting, bound([("id:1",)]), "events_waiting|events_due"),
    "calls._by_id": (calls._by_id, bound([("call-1",)]), "calls_pkey"),
    "calls._by_number": (
        calls._by_number,
        bound([("+341",)]) | {"since": 19_000},
        "calls_number|calls_began",
    ),
    "enrichments._due_of": (
        enrichments._due_of,
        bound([("summary",)]) | {"now": 1, "limit": 1},
        "enrichments_due",
    ),
    "unlinked_calls._began": (
        unlinked_calls._began,
        {"since": 19_000, "until": 19_100, "limit": 200},
        "calls_began",
    ),
    "call_backs._conversations": (
        call_backs._conversations,
        bound([("x", "+341", 1)]) | {"window": 1},
        "calls_talked",
    ),
    "call_backs._affected": (
        call_backs._affected,
        bound([("x", "+341", 1, True)]) | {"window": 1},
        "calls_number|calls_called_back",
    ),
    "calls._update": (calls._update, ONE | {"blob": b"11"}, "calls_pkey"),
    "calls._count_began": (calls._count_began, {"start": 19_000, "end": 19_100}, "calls_began"),
    "calls._first_began": (calls._first_began, {}, "calls_began"),
    "aliases._by_alias": (aliases._by_alias, bound([("id:1",)]), "aliases_pkey"),
    "attempts._by_call": (attempts._by_call, bound([("call-1",)]), "attempts_call"),
    "call_candidates.ALL": (call_candidates.ALL.candidates.limit(50), RANGE, "calls_began"),
    "call_candidates.ALL nth": (call_candidates.ALL.nth, RANGE | {"place": 9}, "calls_began"),
    "call_candidates.WITH_TERMS": (call_candidates.WITH_TERMS.candidates.limit(50), RANGE, "call_keys_pkey"),
    "call_candidates._of_kind": (
        call_candidates._of_kind.candidates.limit(50),
        RANGE | KIND,
        "calls_status",
    ),
    "call_candidates._with_term": (
        call_candidates._with_term.candidates.limit(50),
        RANGE | {"term": "n341"},
        "call_terms_pkey",
    ),
    "call_candidates._with_beginning": (call_candidates._with_beginning, RANGE | SPAN, "call_terms_pkey"),
    "call_candidates._first_term": (call_candidates._first_term, SPAN, "call_terms_pkey"),
    "call_search._matches delivery": (
        _searched(destination="crm", delivery=frozenset({DeliveryState.DEAD})).limit(50),
        RANGE,
        "deliveries_pkey|deliveries_call|deliveries_dead",
    ),
    "call_search._matches terms": (_searched(terms=(("cana",),)).limit(50), RANGE, "call_keys_pkey"),
    "call_search._matches kind": (
        _searched(statuses=frozenset({Status.MISSED})).limit(50),
        RANGE,
        "calls_status|calls_began",
    ),
    "call_terms._stored": (call_terms._stored, bound([("call-1",)]), "calls_pkey"),
    "call_terms._delete": (call_terms._delete, bound([("n341", 1, "call-1")]), "call_terms_pkey"),
    "picking._take fresh": (picking._take[Pick.FRESH], bound([]) | PARAMETERS, "deliveries_due"),
    "picking._take oldest": (picking._take[Pick.OLDEST], bound([]) | PARAMETERS, "deliveries_due"),
    "picking._take probe": (picking._take[Pick.PROBE], bound([]) | PARAMETERS, "deliveries_due"),
    "picking._next_due_at": (picking._next_due_at, ROWS | PARAMETERS, "deliveries_due"),
    "enqueueing._requeue_known": (
        enqueueing._requeue_known,
        bound([("call-1", 2)]) | PARAMETERS,
        "deliveries_call",
    ),
    "settling._settle": (settling._settle, ONE | PARAMETERS, "deliveries_pkey"),
}


@pytest.fixture(scope="module")
def month_old(databases: Databases) -> Iterator[Engine]:
    """A PostgreSQL ledger with the data of a month."""
    with databases.fresh() as url:
        engine = open_engine(url)
        with engine.begin() as connection:
            connection.execute(text(FILL))
        yield engine
        engine.dispose()


@pytest.mark.parametrize("name", INDEXES)
def test_postgresql_uses_the_index_and_scans_no_table(month_old: Engine, name: str) -> None:
    statement, parameters, index = INDEXES[name]
    with month_old.connect() as connection:
        compiled: Any = statement.compile(dialect=connection.dialect)
        params = compiled.construct_params(parameters)
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {compiled}", params).scalars())
    assert re.search(rf"Index.* (using|on) ({index})\b", plan), plan
    assert not re.search(
        r"Seq Scan on (aliases|bodies|call_keys|call_terms|calls|deliveries|events)\b", plan
    ), plan
