"""The ledger: the durable store of events, calls and deliveries, on SQLite or PostgreSQL.

A query is a function that takes a connection as its first argument; `Ledger.read` and `Ledger.write` run it.
Call it by its module: `journal.append`, `calls.get_many`, `aliases.get_many`, `deliveries.take_due`,
`dead_letters.find`, `destinations.pause`, `quarantine.add`, `replays.list_page`. Its rows are structs of the
same module; the states are in `states`, the exceptions in `errors`. `lease`, `group_commit`, `notifications`
and `retention` are what runs in a process. `tables`, `engine`, `executor` and `json_rows` are internal.
"""

from relay.ledger.engine import HEAD
from relay.ledger.errors import LeaseLost, LedgerError, LedgerUnavailable, SchemaError
from relay.ledger.ledger import Ledger

__all__ = ["HEAD", "LeaseLost", "Ledger", "LedgerError", "LedgerUnavailable", "SchemaError"]
