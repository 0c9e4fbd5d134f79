"""The durable memory: what came, what it made of calls, and who is owed what."""

from relay.ledger.engine import HEAD, LedgerError, SchemaError
from relay.ledger.leases import LeaseLost
from relay.ledger.ledger import Ledger, LedgerUnavailable

__all__ = ["HEAD", "LeaseLost", "Ledger", "LedgerError", "LedgerUnavailable", "SchemaError"]
