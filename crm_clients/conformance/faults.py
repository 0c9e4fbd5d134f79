"""Tests of failures: each fault must have the outcome that makes the relay react correctly."""

from typing import Any, Final

import pytest

from crm_clients.base import (
    Delivered,
    Misconfigured,
    Outcome,
    Rejected,
    Retry,
    Split,
    Throttled,
    Unauthorised,
    Unknown,
)
from crm_clients.conformance.crm import Capability, Crm, Fault
from crm_clients.conformance.harness import async_test, open_client
from crm_clients.conformance.http_crm import RETRY_AFTER_SECONDS
from crm_clients.conformance.require import (
    require,
    require_delivered,
    require_one_record,
    skip_unless_supported,
)
from crm_clients.conformance.sample_calls import ID, call, first_push, retraction

OutcomeTypes = tuple[type[Outcome], ...]

EXPECTED: Final[dict[Fault, OutcomeTypes]] = {
    Fault.DOWN: (Retry,),
    Fault.HANGING: (Unknown, Retry),
    Fault.CLOSED_BEFORE_WRITE: (Unknown, Retry),
    Fault.CLOSED_AFTER_WRITE: (Unknown, Retry, Delivered),
    Fault.UNAUTHORISED: (Unauthorised,),
    Fault.THROTTLED: (Throttled,),
    Fault.THROTTLED_WITHOUT_RETRY_AFTER: (Throttled,),
    Fault.SERVER_ERROR: (Retry,),
    Fault.UNAVAILABLE: (Retry, Throttled),
    Fault.HTML_PAGE: (Retry, Unknown, Misconfigured),
    Fault.ENDLESS_ANSWER: (Retry, Unknown, Delivered),
    Fault.MISCONFIGURED: (Misconfigured,),
}
"""The outcomes that a fault may have. The relay reacts alike to all outcomes of one fault."""

EXPECTED_OF_RETRACTIONS: Final[dict[Fault, OutcomeTypes]] = {
    Fault.MISCONFIGURED: (Rejected, Delivered),
    Fault.HTML_PAGE: (Rejected,),
}
"""Outcomes that `retract` and `forget` may have besides. Rejected: a dead letter, which stops no other call.
Delivered: the CRM responds that the record does not exist."""

REACTION: Final = {
    Retry: "the relay retries later and no call is lost",
    Unknown: "the CRM may have the call, so the relay pushes it once more",
    Throttled: "the destination pauses and no attempt is counted",
    Unauthorised: "the destination pauses until a person changes the credentials",
    Misconfigured: "the destination pauses until a person corrects the set-up",
    Delivered: "the client has checked that the CRM has the call",
}


class FaultTests:
    """Outcomes of faults, and records after them."""

    @pytest.mark.parametrize("fault", Fault)
    @async_test
    async def test_a_fault_has_its_outcome(self, crm: Crm, fault: Fault) -> None:
        skip_unless_supported(crm, fault)
        async with open_client(crm) as client:
            await client.deliver(call("cloudtalk-before"))
            with crm.inject(fault):
                outcomes = await client.upsert(first_push(call(ID)), first_push(call("cloudtalk-2")))
        for outcome in outcomes:
            _require_expected(fault, outcome, "upsert", also=(Split,))

    @pytest.mark.parametrize("fault", Fault)
    @async_test
    async def test_after_a_fault_the_same_pushes_create_one_record_each(self, crm: Crm, fault: Fault) -> None:
        skip_unless_supported(crm, fault)
        pushes = [first_push(call(ID)), first_push(call("cloudtalk-2"))]
        async with open_client(crm) as client:
            with crm.inject(fault):
                await client.upsert(*pushes)
        async with open_client(crm, timeout_seconds=30) as client:
            require_delivered(await client.upsert(*pushes))
        for push in pushes:
            require_one_record(crm, push.call.id)

    @async_test
    async def test_an_endless_answer_is_not_read_to_its_end(self, crm: Crm) -> None:
        skip_unless_supported(crm, Fault.ENDLESS_ANSWER)
        async with open_client(crm, timeout_seconds=30) as client:
            with crm.inject(Fault.ENDLESS_ANSWER):
                await client.upsert(first_push(call()))
        require(
            crm.endless_answers_read == 0,
            "the client read a body of 64 MiB: read it as a stream and stop at a limit "
            "(crm_clients.VendorHttp does it)",
        )

    @async_test
    async def test_a_client_delivers_after_an_outage(self, crm: Crm) -> None:
        skip_unless_supported(crm, Fault.DOWN)
        async with open_client(crm) as client:
            await client.deliver(call("cloudtalk-before"))
            with crm.inject(Fault.DOWN):
                await client.upsert(first_push(call()))
            await client.deliver(call())

    @pytest.mark.parametrize("fault", Fault)
    @async_test
    async def test_a_fault_during_a_retraction_or_a_deletion_has_its_outcome(
        self, crm: Crm, fault: Fault
    ) -> None:
        skip_unless_supported(crm, fault)
        async with open_client(crm) as client:
            deleted = retraction(call(), last=await client.deliver(call()))
            with crm.inject(fault):
                (retracted,) = await client.retract(deleted)
                (forgotten,) = await client.forget(deleted)
        also = EXPECTED_OF_RETRACTIONS.get(fault, ())
        _require_expected(fault, retracted, "retract", also=also)
        _require_expected(fault, forgotten, "forget", also=also)

    @async_test
    async def test_the_requested_wait_is_part_of_the_outcome(self, crm: Crm) -> None:
        skip_unless_supported(crm, Fault.THROTTLED)
        async with open_client(crm) as client:
            with crm.inject(Fault.THROTTLED):
                (outcome,) = await client.upsert(first_push(call()))
        after = getattr(outcome, "after", None)
        require(
            after is not None and 0 < after <= RETRY_AFTER_SECONDS,
            f"the CRM sent `Retry-After: {RETRY_AFTER_SECONDS}`, and the outcome has after = {after!r}: "
            "parse the header (crm_clients.retry_after does it)",
        )

    @async_test
    async def test_a_rejected_record_does_not_affect_the_others(self, crm: Crm) -> None:
        skip_unless_supported(crm, Capability.REJECTION)
        ids = (ID, "cloudtalk-bad", "cloudtalk-3")
        async with open_client(crm) as client:
            with crm.reject("cloudtalk-bad"):
                before, bad, after = await client.upsert(*(first_push(call(id_)) for id_ in ids))
        if {type(before), type(bad), type(after)} == {Split}:
            return
        require(
            isinstance(bad, Rejected) and isinstance(before, Delivered) and isinstance(after, Delivered),
            f"the CRM rejected the second of three records, and the outcomes were {before!r}, {bad!r}, "
            f"{after!r}: return Rejected for the record that was rejected and Delivered for the others, in "
            "the order of the pushes; if the CRM rejects a batch and does not name the record, return Split "
            "for all",
        )

    @async_test
    async def test_a_single_rejected_record_is_rejected_with_code_and_message(self, crm: Crm) -> None:
        skip_unless_supported(crm, Capability.REJECTION)
        async with open_client(crm) as client:
            with crm.reject("cloudtalk-bad"):
                (outcome,) = await client.upsert(first_push(call("cloudtalk-bad")))
            require(
                isinstance(outcome, Rejected) and outcome.code and outcome.message,
                f"the CRM rejected a single record, and the outcome was {outcome!r}: return Rejected, with "
                "the CRM's own code and message, for the person who reads the dead letter",
            )
            await client.deliver(call("cloudtalk-bad"))

    @pytest.mark.parametrize("fault", [Fault.DOWN, Fault.UNAUTHORISED, Fault.MISCONFIGURED])
    @async_test
    async def test_check_finds_a_fault_and_says_what_to_do(self, crm: Crm, fault: Fault) -> None:
        skip_unless_supported(crm, fault, *(() if fault is Fault.DOWN else (Capability.DIAGNOSIS,)))
        async with open_client(crm, timeout_seconds=10) as client:
            with crm.inject(fault):
                problems = [finding for finding in await client.check() if not finding.ok]
        require(problems, f"the fault was {fault}, and `check` found no problem")
        for finding in problems:
            require(
                finding.code and finding.problem and finding.hint,
                f"`check` returned {finding!r}: set `code`, `problem`, and in `hint` what a person should do",
            )


def _require_expected(fault: Fault, outcome: Outcome, method: str, *, also: OutcomeTypes) -> None:
    __tracebackhide__ = True
    expected: tuple[Any, ...] = EXPECTED[fault]
    alternatives = "; ".join(f"{kind.__name__}: {REACTION[kind]}" for kind in expected)
    require(
        isinstance(outcome, (*expected, *also)),
        f"`{method}` returned {outcome!r} for Fault.{fault.name}. Expected: {alternatives}",
    )
