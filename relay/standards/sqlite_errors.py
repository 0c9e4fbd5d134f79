"""Errors of SQLite that the ledger and the embedded CRM treat alike."""

import sqlite3
from typing import Final

_DAMAGE_CODES: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_damage(error: BaseException | None) -> bool:
    """Whether SQLite found a page of the database that cannot be right."""
    # Extended codes have their primary code in the last byte.
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGE_CODES
