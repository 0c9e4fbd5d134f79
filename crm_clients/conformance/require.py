"""Assertions of the kit. Their messages say what the author of a client must do."""

from collections.abc import Iterable
from typing import Any

import pytest

from crm_clients.base import Delivered, Outcome
from crm_clients.conformance.crm import Capability, Crm, Fault
from crm_clients.conformance.sample_calls import ID


def require(condition: object, message: str) -> None:
    """Fail with the message if the condition is false."""
    __tracebackhide__ = True
    if not condition:
        pytest.fail(message)


def skip_unless_supported(crm: Crm, *needed: Capability | Fault) -> None:
    """Skip the test if the CRM does not support something that it needs."""
    for each in needed:
        if each in crm.unsupported:
            pytest.skip(f"{type(crm).__name__} does not support {type(each).__name__}.{each.name}")


def require_delivered(outcomes: Iterable[Outcome]) -> None:
    """Fail unless all outcomes are `Delivered`."""
    __tracebackhide__ = True
    for outcome in outcomes:
        require(isinstance(outcome, Delivered), f"there was no fault, and the outcome was {outcome!r}")


def require_one_record(crm: Crm, call_id: str = ID) -> dict[str, Any]:
    """Return the record of a call. Fail if there is none or more than one."""
    __tracebackhide__ = True
    found = crm.records(call_id)
    require(
        len(found) == 1,
        f"the CRM has {len(found)} records of {call_id!r} instead of one: find the record by the call's id, "
        "by `remote_id` or by the client state before you create a new one",
    )
    return found[0]


def require_no_record(crm: Crm, reason: str = "the record must be deleted") -> None:
    """Fail if the first sample call has a record."""
    __tracebackhide__ = True
    found = crm.records(ID)
    require(not found, f"{reason}, and the CRM still has {found!r}")
