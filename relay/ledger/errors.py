"""What the ledger raises.

LedgerError
├── SchemaError        the schema is not this code's
├── LedgerUnavailable  not just now; worth trying again
└── LeaseLost          another process does this now
"""


class LedgerError(Exception):
    """The ledger cannot be used; the message says why and what to do."""


class SchemaError(LedgerError):
    """The schema could not be brought up to date."""


class LedgerUnavailable(LedgerError):
    """The ledger cannot be read or written just now: locked, full, broken, gone. Worth trying again."""


class LeaseLost(LedgerError):
    """Another process holds this lease now: what was about to be written must not be."""


class Pooled(LedgerError):
    """A connection pooler stands between, and passes no notifications on."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)
