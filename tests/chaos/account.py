"""The account at the end of a chaos: what was acknowledged, what the ledger holds, what the CRM shows.

`lost`: an acknowledged event is not in the journal, or its call is not in the CRM. `doubled`: a call has
more than one row, or a row belongs to no call that was told. `stale`: a row is not what its call must
come to. Pure but for `open_ends` and
`journal_of`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, text

from crm_clients.settings import DEFAULT_LABELS
from relay.call import Status
from relay.ledger.engine import open_engine
from tests.chaos.load import Told

_FEW: Final = 5
_IDS: Final = ("call_uuid", "call_id")


class Journal(msgspec.Struct):
    """What the ledger holds: its events as the load keys them, how many of them stand in no call, and how
    many deliveries are in which state.
    """

    events: Counter[bytes]
    not_folded: int
    deliveries: dict[str, int]


class Account(msgspec.Struct):
    """How it came out. Each list has what is wrong, to be read by a person. `doubted`: calls of which only
    what holds in any order is asked.
    """

    acknowledged: int
    calls: int
    doubted: int
    lost_events: list[str] = []
    lost_calls: list[str] = []
    doubled: list[str] = []
    stale: list[str] = []
    not_folded: int = 0
    pending: int = 0
    dead: int = 0

    @property
    def good(self) -> bool:
        """Whether everything is there, once, and right."""
        wrong = self.lost_events, self.lost_calls, self.doubled, self.stale
        return not any(wrong) and not (self.not_folded or self.pending or self.dead)

    def __str__(self) -> str:
        counts = {
            "events lost": self.lost_events,
            "calls lost": self.lost_calls,
            "doubled": self.doubled,
            "stale": self.stale,
        }
        lines = [f"{self.acknowledged:,} events acknowledged, {self.calls:,} calls, {self.doubted} doubted"]
        for name, wrong in counts.items():
            lines += [f"{len(wrong)} {name}", *(f"  {each}" for each in wrong[:_FEW])]
        return "\n".join([*lines, f"{self.not_folded} not folded, {self.pending} pending, {self.dead} dead"])


@contextmanager
def _looking_into(url: str) -> Iterator[Connection]:
    engine = open_engine(url)
    try:
        with engine.connect().execution_options(read_only=True) as connection:
            yield connection
    finally:
        engine.dispose()


def open_ends(url: str) -> tuple[int, dict[str, int]]:
    """How many events stand in no call, and how many deliveries are in which state."""
    with _looking_into(url) as connection:
        loose = text("SELECT count(*) FROM events WHERE state <> 'folded'")
        states = text("SELECT state, count(*) AS number FROM deliveries GROUP BY state")
        deliveries = {row.state: row.number for row in connection.execute(states)}
        return connection.execute(loose).scalar_one(), deliveries


def journal_of(url: str) -> Journal:
    """What the ledger holds, read as any tool would."""
    events: Counter[bytes] = Counter()
    with _looking_into(url) as connection:
        rows = connection.execution_options(stream_results=True).execute(
            text("SELECT path, query, raw FROM events")
        )
        for path, query, raw in rows:
            events[b"%s %s %s" % (path.encode(), query.encode(), bytes(raw))] += 1
    return Journal(events, *open_ends(url))


def account_of(
    acknowledged: Iterable[bytes], told: Sequence[Told], journal: Journal, rows: Sequence[dict[str, Any]]
) -> Account:
    """Hold the client's own list against the ledger, and what was told against the CRM."""
    wanted = Counter(acknowledged)
    account = Account(
        acknowledged=wanted.total(),
        calls=len(told),
        doubted=sum(each.doubted for each in told),
        lost_events=[event.decode() for event in wanted - journal.events],
        not_folded=journal.not_folded,
        pending=journal.deliveries.get("pending", 0),
        dead=journal.deliveries.get("dead", 0),
    )
    of_call = _rows_by_id(rows)
    seen: set[str] = set()
    for each in told:
        expected = each.call.expected_in_any_order() if each.doubted else each.call.expected
        ours = {row["id"]: row for key in _keys(expected) for row in of_call[key]}
        seen |= ours.keys()
        _judge(account, expected, list(ours.values()))
    account.doubled += [f"{row['id']}: nobody told of it" for row in rows if row["id"] not in seen]
    return account


def _rows_by_id(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    of_call: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        for key in _keys(row):
            of_call[key].append(row)
    return of_call


def _keys(record: dict[str, Any]) -> list[str]:
    return [f"{name}:{record[name]}" for name in _IDS if record.get(name)]


def _judge(account: Account, expected: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    name = ", ".join(_keys(expected))
    if not rows:
        account.lost_calls.append(name)
    elif len(rows) > 1:
        account.doubled.append(f"{name}: {[row['id'] for row in rows]}")
    elif wrong := _differences(expected, rows[0]):
        account.stale.append(f"{name}: {'; '.join(wrong)}")


def _differences(expected: dict[str, Any], row: dict[str, Any]) -> list[str]:
    meant = expected | {"state": expected["status"], "status": DEFAULT_LABELS[Status(expected["status"])]}
    return [f"{f} is {row.get(f)!r}, not {value!r}" for f, value in meant.items() if row.get(f) != value]
