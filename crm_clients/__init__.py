"""Clients for CRMs, and what the author of another client needs: every name below is public.

`crm_clients.conformance` is the test kit for clients; it needs pytest. docs/write-a-client.md is the
guide for authors.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from crm_clients.base import (
    CallFailure,
    ClientState,
    Context,
    CrmClient,
    Delivered,
    DestinationFailure,
    Finding,
    Misconfigured,
    Outcome,
    Outdated,
    Push,
    Rejected,
    Retraction,
    Retry,
    Split,
    Stored,
    Throttled,
    Unauthorised,
    Unknown,
)
from crm_clients.batch import merge_by_call
from crm_clients.comparison import is_same
from crm_clients.follow_up import FollowUpRules
from crm_clients.locks import KeyedLock
from crm_clients.rate_limit import RateLimiter
from crm_clients.settings import DeliveryFilter, DestinationSettings, require_distinct_names
from crm_clients.state import InMemoryClientState
from relay.call import DELIVERED_FIELDS, Call, Status

if TYPE_CHECKING:
    from crm_clients.http import VendorHttp, retry_after

__all__ = [
    "DELIVERED_FIELDS",
    "Call",
    "CallFailure",
    "ClientState",
    "Context",
    "CrmClient",
    "Delivered",
    "DeliveryFilter",
    "DestinationFailure",
    "DestinationSettings",
    "Finding",
    "FollowUpRules",
    "InMemoryClientState",
    "KeyedLock",
    "Misconfigured",
    "Outcome",
    "Outdated",
    "Push",
    "RateLimiter",
    "Rejected",
    "Retraction",
    "Retry",
    "Split",
    "Status",
    "Stored",
    "Throttled",
    "Unauthorised",
    "Unknown",
    "VendorHttp",
    "is_same",
    "merge_by_call",
    "require_distinct_names",
    "retry_after",
]


def __getattr__(name: str) -> Any:
    """Import `crm_clients.http` on first use: httpx costs 50 ms and 5 MB, and a relay may not need it."""
    if name in {"VendorHttp", "retry_after"}:
        return getattr(import_module("crm_clients.http"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
