"""Measurements: counters and histograms that every step of the relay writes, at almost no cost.

This room declares them (`catalogue`) and stores their values in memory that all processes of a relay share
(`memory`). `relay.metrics` publishes them. It imports no other room, and every room may import it.
"""

from relay.measurements.catalogue import (
    AUDIT_FINDINGS,
    AUDIT_RUNS,
    COMMIT_SECONDS,
    DEAD_LETTERS,
    ENRICHMENTS,
    EVENTS,
    FOLD_LAG,
    FORGOTTEN_EVENTS,
    HISTORY_REQUESTS,
    LAST_AUDIT,
    LAST_EVENT,
    LAST_RECONCILE,
    PAUSES,
    PROCESS_STARTS,
    PUSH_SECONDS,
    PUSHES,
    RECONCILE_RUNS,
    RECONCILED_CALLS,
    RECORDING_FETCHES,
    RECORDINGS_ARCHIVED,
    REQUEST_SECONDS,
    REQUESTS_IGNORED,
    REQUESTS_REFUSED,
)
from relay.measurements.instruments import attach, list_instruments
from relay.measurements.memory import SharedMemory

__all__ = [
    "AUDIT_FINDINGS",
    "AUDIT_RUNS",
    "COMMIT_SECONDS",
    "DEAD_LETTERS",
    "ENRICHMENTS",
    "EVENTS",
    "FOLD_LAG",
    "FORGOTTEN_EVENTS",
    "HISTORY_REQUESTS",
    "LAST_AUDIT",
    "LAST_EVENT",
    "LAST_RECONCILE",
    "PAUSES",
    "PROCESS_STARTS",
    "PUSHES",
    "PUSH_SECONDS",
    "RECONCILED_CALLS",
    "RECONCILE_RUNS",
    "RECORDINGS_ARCHIVED",
    "RECORDING_FETCHES",
    "REQUESTS_IGNORED",
    "REQUESTS_REFUSED",
    "REQUEST_SECONDS",
    "SharedMemory",
    "attach",
    "list_instruments",
]
