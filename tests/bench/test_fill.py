"""Copies of a small ledger: other ids, the same facts, and a relay can work with them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import text

from bench.fill import filled_ledger
from bench.ledgers import BenchLedger
from relay.ledger.engine import migrate
from relay.ledger.states import DeliveryState

CALL: Final = "cloudtalk-sim-00000063-000000"
CONTENT: Final = """
INSERT INTO events (seq, received_at, dialect, kind, content_type, path, query, size, state, call) VALUES
  (1, 1, 'mission', 'started', '', '', '', 1, 'folded', 'cloudtalk-sim-00000063-000000'),
  (2, 2, 'mission', 'ended', '', '', '', 1, 'folded', 'cloudtalk-sim-00000063-000000');
INSERT INTO bodies (seq, parsed, raw) VALUES (1, x'01', x'02'), (2, x'03', x'04');
INSERT INTO aliases (alias, call, reason) VALUES
  ('sim-00000063-000000', 'cloudtalk-sim-00000063-000000', 'first');
INSERT INTO calls (id, version, began_at, state, record, field_versions, changed_at, status, direction,
  talked)
VALUES
  ('cloudtalk-sim-00000063-000000', 3, 1, '["sim-00000063-000000"]', '["sim-00000063-000000"]', '{}', 9,
   'missed', 'inbound', 0)
"""


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BenchLedger]:
    monkeypatch.chdir(tmp_path)
    ledger = BenchLedger(tmp_path, f"sqlite:///{tmp_path}/base.db")
    migrate(ledger.engine)
    with ledger.engine.begin() as connection:
        for statement in CONTENT.split(";"):
            connection.execute(text(statement.replace(":", r"\:")))
    yield ledger
    ledger.engine.dispose()


def rows(ledger: BenchLedger, query: str) -> list[tuple[Any, ...]]:
    with ledger.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_each_copy_has_ids_of_its_own(base: BenchLedger) -> None:
    with filled_ledger(base, times=3, client="local", state=DeliveryState.DELIVERED) as ledger:
        calls = [CALL, "cloudtalk-sim-1-000000", "cloudtalk-sim-2-000000"]
        assert rows(ledger, "SELECT seq, call FROM events ORDER BY seq") == [
            (2 * copy + event, call) for copy, call in enumerate(calls) for event in (1, 2)
        ]
        assert rows(ledger, "SELECT seq, hex(parsed), hex(raw) FROM bodies WHERE seq > 4") == [
            (5, "01", "02"),
            (6, "03", "04"),
        ]
        aliases = rows(ledger, "SELECT alias, call FROM aliases ORDER BY call")
        assert aliases == [(call.removeprefix("cloudtalk-"), call) for call in calls]
        for call, state, record in rows(ledger, "SELECT id, state, record FROM calls"):
            assert json.loads(state) == json.loads(record) == [call.removeprefix("cloudtalk-")]
        assert rows(
            ledger, "SELECT call, state, version, delivered_version FROM deliveries ORDER BY call"
        ) == [(call, "delivered", 3, 3) for call in calls]
        assert not ledger.has_work_left()


def test_calls_can_be_pending_without_events(base: BenchLedger) -> None:
    with filled_ledger(base, times=4, client="webhook", state=DeliveryState.PENDING, events=False) as ledger:
        assert ledger.count_events() == 2
        assert rows(ledger, "SELECT DISTINCT state, version, delivered_version FROM deliveries") == [
            ("pending", 3, 0)
        ]
        assert ledger.scalar("SELECT count(*) FROM deliveries") == 4
        assert rows(ledger, "SELECT name, client FROM destinations") == [("crm", "webhook")]
        assert ledger.has_work_left()


def test_the_small_ledger_does_not_change(base: BenchLedger) -> None:
    with filled_ledger(base, times=2, client="local", state=DeliveryState.PENDING):
        assert base.count_events() == 2
        assert base.scalar("SELECT count(*) FROM deliveries") == 0
