"""The exceptions of the ledger.

LedgerError
├── SchemaError               the schema belongs to another version of the relay, or a migration failed
├── LedgerUnavailable         the database cannot be read or written now; try again
│   ├── LedgerTimeout         a transaction took too long
│   └── LedgerUnusable        the file was removed or replaced; a person must act
│       └── LedgerDamaged     the file has pages that cannot be right
├── NotificationsUnavailable  a connection pooler passes no notifications on
├── EventNotStorable          the database takes other events, but not this one
├── LeaseLost                 another process holds the lease
└── CallPruned                retention removed a call after it was read
"""

from typing import Final

MACHINE_FAULTS: Final = (MemoryError, OSError, RecursionError)
"""Errors of this process or its machine. They say nothing about the event that was worked on."""


class LedgerError(Exception):
    """The ledger cannot be used. The message names the ledger, the reason and what to do."""


class SchemaError(LedgerError):
    """The schema belongs to a newer version of the relay, or a migration failed."""


class LedgerUnavailable(LedgerError):
    """The database is locked, full, damaged or not reachable, or this machine has no memory left. The same
    call may succeed later.
    """


class LedgerTimeout(LedgerUnavailable):
    """A transaction was cancelled because it took too long."""


class LedgerUnusable(LedgerUnavailable):
    """The file of the ledger was removed, replaced or damaged: waiting does not help."""


class LedgerDamaged(LedgerUnusable):
    """The file of the ledger has pages that cannot be right, or it was truncated."""


class NotificationsUnavailable(LedgerError):
    """A connection pooler between the relay and PostgreSQL passes no notifications on."""


class EventNotStorable(LedgerError):
    """The database takes other events, but not this one."""


class LeaseLost(LedgerError):
    """Another process holds the lease: the transaction must not be committed."""


class CallPruned(LedgerError):
    """Retention removed a call after it was read: the changes must be planned again."""
