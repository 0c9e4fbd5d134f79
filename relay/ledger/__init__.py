"""The durable memory: what came, what it made of calls, and who is owed what."""

from relay.ledger.engine import HEAD
from relay.ledger.errors import LeaseLost, LedgerError, LedgerUnavailable, SchemaError
from relay.ledger.ledger import Ledger

__all__ = ["HEAD", "LeaseLost", "Ledger", "LedgerError", "LedgerUnavailable", "SchemaError"]
