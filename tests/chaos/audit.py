"""The comparison after a chaos run: acknowledged events against the ledger, sent calls against the CRM.

Only `read_ledger` and `count_states` do I/O.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from sqlalchemy import text

from crm_clients.settings import DEFAULT_LABELS
from relay.call import Status
from relay.ledger.compression import decompress
from relay.ledger.connection import Connection
from relay.ledger.engine import open_engine, transaction
from tests.chaos.load import SentCall

_SHOWN: Final = 5
_IDS: Final = ("call_uuid", "call_id")


class LedgerContents(msgspec.Struct):
    """Every event as `event_key` of the load formats it, and the number of deliveries in each state."""

    events: Counter[bytes]
    not_folded: int
    deliveries: dict[str, int]


class Audit(msgspec.Struct):
    """The result of the comparison. Each list has one line per error.

    `acknowledged`: the number of acknowledged events. `order_uncertain`: the number of calls whose messages
    may have been received in another order than they were sent; only order-independent fields of them are
    compared. `lost_events`: acknowledged events that are not in the ledger. `lost_calls`: calls without a
    row in the CRM. `doubled`: calls with several rows, and rows without a call. `stale`: rows that differ
    from the expected record.
    """

    acknowledged: int
    calls: int
    order_uncertain: int
    lost_events: list[str] = []
    lost_calls: list[str] = []
    doubled: list[str] = []
    stale: list[str] = []
    not_folded: int = 0
    pending: int = 0
    dead: int = 0

    @property
    def passed(self) -> bool:
        """Whether each call has exactly its expected row, and nothing is left to do."""
        errors = self.lost_events, self.lost_calls, self.doubled, self.stale
        return not any(errors) and not (self.not_folded or self.pending or self.dead)

    def __str__(self) -> str:
        errors_by_kind = {
            "events lost": self.lost_events,
            "calls lost": self.lost_calls,
            "doubled": self.doubled,
            "stale": self.stale,
        }
        calls = f"{self.calls:,} calls, {self.order_uncertain} of them in uncertain order"
        lines = [f"{self.acknowledged:,} events acknowledged, {calls}"]
        for kind, errors in errors_by_kind.items():
            lines += [f"{len(errors)} {kind}", *(f"  {error}" for error in errors[:_SHOWN])]
        return "\n".join([*lines, f"{self.not_folded} not folded, {self.pending} pending, {self.dead} dead"])


@contextmanager
def _connect(url: str) -> Iterator[Connection]:
    engine = open_engine(url)
    try:
        with transaction(engine, read_only=True) as connection:
            yield connection
    finally:
        engine.dispose()


def count_states(url: str) -> tuple[int, dict[str, int]]:
    """Count the events that are not folded, and the deliveries by state."""
    with _connect(url) as connection:
        not_folded = text("SELECT count(*) FROM events WHERE state <> 'folded'")
        states = text("SELECT state, count(*) AS number FROM deliveries GROUP BY state")
        deliveries = {row.state: row.number for row in connection.execute(states)}
        return connection.execute(not_folded).scalar_one(), deliveries


def read_ledger(url: str) -> LedgerContents:
    """Read the ledger with plain SQL."""
    events: Counter[bytes] = Counter()
    with _connect(url) as connection:
        rows = connection.execute(text("SELECT path, query, raw FROM events JOIN bodies USING (seq)"))
        for path, query, raw in rows:
            events[b"%s %s %s" % (path.encode(), query.encode(), decompress(raw))] += 1
    return LedgerContents(events, *count_states(url))


def compare(
    acknowledged: Iterable[bytes],
    sent: Sequence[SentCall],
    ledger: LedgerContents,
    rows: Sequence[dict[str, Any]],
) -> Audit:
    """Compare the acknowledged events with the ledger, and the sent calls with the rows of the CRM."""
    wanted = Counter(acknowledged)
    audit = Audit(
        acknowledged=wanted.total(),
        calls=len(sent),
        order_uncertain=sum(call.order_uncertain for call in sent),
        lost_events=[event.decode() for event in wanted - ledger.events],
        not_folded=ledger.not_folded,
        pending=ledger.deliveries.get("pending", 0),
        dead=ledger.deliveries.get("dead", 0),
    )
    rows_by_key = _group_by_key(rows)
    matched: set[str] = set()
    for call in sent:
        expected = call.call.expected_in_any_order() if call.order_uncertain else call.call.expected
        rows_of_call = {row["id"]: row for key in _keys(expected) for row in rows_by_key[key]}
        matched |= rows_of_call.keys()
        _check_call(audit, expected, list(rows_of_call.values()))
    unmatched = [row["id"] for row in rows if row["id"] not in matched]
    audit.doubled += [f"{id_}: no call was sent for this row" for id_ in unmatched]
    return audit


def _group_by_key(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    rows_by_key: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        for key in _keys(row):
            rows_by_key[key].append(row)
    return rows_by_key


def _keys(record: dict[str, Any]) -> list[str]:
    return [f"{name}:{record[name]}" for name in _IDS if record.get(name)]


def _check_call(audit: Audit, expected: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    name = ", ".join(_keys(expected))
    if not rows:
        audit.lost_calls.append(name)
    elif len(rows) > 1:
        audit.doubled.append(f"{name}: {[row['id'] for row in rows]}")
    elif differences := _list_differences(expected, rows[0]):
        audit.stale.append(f"{name}: {'; '.join(differences)}")


def _list_differences(expected: dict[str, Any], row: dict[str, Any]) -> list[str]:
    status = expected["status"]
    values = expected | {"state": status, "status": DEFAULT_LABELS[Status(status)]}
    return [f"{f} is {row.get(f)!r}, not {value!r}" for f, value in values.items() if row.get(f) != value]
