"""The calls of one day, as a relay wrote them: what `bench.history` copies."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import select

from bench.ledgers import sqlite_ledger
from bench.load import build_requests, run, send
from bench.server import serve
from relay.ledger.tables import metadata
from relay.simulator import generate_calls

DIALECTS: Final = ("mission", "workflow")
"""With the ids of tests and with those of CloudTalk."""

TABLES: Final = ("calls", "call_keys", "call_terms", "aliases", "events", "bodies")
_CONNECTIONS: Final = 64
_FIRST_HOUR: Final = 1
_LAST_HOUR: Final = 20
"""Of the calls, in UTC: no time of a body is on another date, in any zone of the simulator."""


class Day(msgspec.Struct, frozen=True):
    """The rows of each table. `date`: the date that the bodies and records of all calls have."""

    date: str
    rows: dict[str, list[dict[str, Any]]]


def fold_day(calls: int) -> Day:
    """Let a relay without destinations receive and fold the events of so many calls of yesterday."""
    begin = datetime.now(UTC).replace(hour=_FIRST_HOUR, minute=0, second=0, microsecond=0) - timedelta(days=1)
    spacing = len(DIALECTS) * timedelta(hours=_LAST_HOUR - _FIRST_HOUR) / calls
    with sqlite_ledger() as ledger:
        with serve(ledger.folder, ledger.url) as server:
            for seed, dialect in enumerate(DIALECTS):
                generated = generate_calls(
                    calls // len(DIALECTS), seed, begin, spacing=spacing, dialect=dialect
                )
                run(send([server], build_requests(generated), connections=_CONNECTIONS))
            ledger.wait_until_delivered()
        with ledger.engine.connect() as connection:
            rows = {
                table: [dict(row) for row in connection.execute(select(metadata.tables[table])).mappings()]
                for table in TABLES
            }
    return Day(f"{begin:%Y-%m-%d}", rows)
