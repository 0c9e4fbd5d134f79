"""Each fault of a CRM comes back as the outcome that makes the relay do the right thing."""

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
from crm_clients.conformance.calls import ID, call, push, retraction
from crm_clients.conformance.crm import Ability, Crm, Fault
from crm_clients.conformance.http import AFTER
from crm_clients.conformance.watching import delivered, needs, opened, require, scenario, the_record

OWED: Final[dict[Fault, tuple[type[Outcome], ...]]] = {
    Fault.DOWN: (Retry,),
    Fault.SLOW: (Unknown, Retry),
    Fault.RESET: (Unknown, Retry),
    Fault.CUT: (Unknown, Retry, Delivered),
    Fault.UNAUTHORISED: (Unauthorised,),
    Fault.THROTTLED: (Throttled,),
    Fault.THROTTLED_WITHOUT_WORD: (Throttled,),
    Fault.FAILING: (Retry,),
    Fault.UNAVAILABLE: (Retry, Throttled),
    Fault.GARBAGE: (Retry, Unknown, Misconfigured),
    Fault.MISCONFIGURED: (Misconfigured,),
}
"""What a fault may come back as: several where the relay does the same for them."""

ALSO_OWED: Final[dict[Fault, tuple[type[Outcome], ...]]] = {
    Fault.MISCONFIGURED: (Rejected, Delivered),
    Fault.GARBAGE: (Rejected,),
}
"""What a retraction or a deletion may come back as besides: a dead letter, which holds up no other call,
and delivered where the CRM says that there is no such record."""

WHY: Final = {
    Retry: "it is tried again later, and no call is lost",
    Unknown: "the CRM may have it or not; it is brought once more",
    Throttled: "the destination waits, and spends no call's attempts",
    Unauthorised: "the destination waits for a person with new credentials",
    Misconfigured: "the destination waits for a person who mends the set-up",
    Delivered: "the client looked, and the CRM has it",
}


class FaultTests:
    """What a client says when something goes wrong, and that it harms nothing."""

    @pytest.mark.parametrize("fault", Fault)
    @scenario
    async def test_a_fault_comes_back_as_its_outcome(self, crm: Crm, fault: Fault) -> None:
        needs(crm, fault)
        async with opened(crm) as client:
            await client.deliver(call("cloudtalk-before"))
            with crm.failing(fault):
                outcomes = await client.upsert(push(call(ID)), push(call("cloudtalk-2")))
        for outcome in outcomes:
            _is_owed(fault, outcome, "upsert", besides=(Split,))

    @pytest.mark.parametrize("fault", Fault)
    @scenario
    async def test_after_a_fault_the_same_pushes_make_one_record_each(self, crm: Crm, fault: Fault) -> None:
        needs(crm, fault)
        pushes = [push(call(ID)), push(call("cloudtalk-2"))]
        async with opened(crm) as client:
            with crm.failing(fault):
                await client.upsert(*pushes)
        async with opened(crm, timeout_seconds=30) as client:
            delivered(await client.upsert(*pushes))
        for each in pushes:
            the_record(crm, each.call.id)

    @scenario
    async def test_a_client_that_met_an_outage_delivers_when_it_is_over(self, crm: Crm) -> None:
        needs(crm, Fault.DOWN)
        async with opened(crm) as client:
            await client.deliver(call("cloudtalk-before"))
            with crm.failing(Fault.DOWN):
                await client.upsert(push(call()))
            await client.deliver(call())

    @pytest.mark.parametrize("fault", Fault)
    @scenario
    async def test_a_fault_in_a_retraction_or_a_deletion_comes_back_as_its_outcome(
        self, crm: Crm, fault: Fault
    ) -> None:
        needs(crm, fault)
        async with opened(crm) as client:
            gone = retraction(call(), outcome=await client.deliver(call()))
            with crm.failing(fault):
                retracted = await client.retract(gone)
                forgotten = await client.forget(gone)
        _is_owed(fault, retracted[0], "retract", besides=ALSO_OWED.get(fault, ()))
        _is_owed(fault, forgotten[0], "forget", besides=ALSO_OWED.get(fault, ()))

    @scenario
    async def test_the_wait_that_the_crm_asks_for_is_passed_on(self, crm: Crm) -> None:
        needs(crm, Fault.THROTTLED)
        async with opened(crm) as client:
            with crm.failing(Fault.THROTTLED):
                (outcome,) = await client.upsert(push(call()))
        after = getattr(outcome, "after", None)
        require(
            after is not None and 0 < after <= AFTER,
            f"the CRM said `Retry-After: {AFTER}`, and the outcome says {after!r}: put it into `after` "
            "(crm_clients.http.retry_after reads it)",
        )

    @scenario
    async def test_a_refused_record_is_told_apart_from_the_others(self, crm: Crm) -> None:
        needs(crm, Ability.REFUSING)
        ids = (ID, "cloudtalk-bad", "cloudtalk-3")
        async with opened(crm) as client:
            with crm.refusing("cloudtalk-bad"):
                before, bad, after = await client.upsert(*(push(call(id_)) for id_ in ids))
        if {type(before), type(bad), type(after)} == {Split}:
            return
        require(
            isinstance(bad, Rejected) and isinstance(before, Delivered) and isinstance(after, Delivered),
            "of three records the CRM refused the second, and they came back as "
            f"{before!r}, {bad!r}, {after!r}: say Rejected of the one that is bad "
            "and Delivered of those that were taken, in the order of the "
            "pushes; where the CRM refuses a batch and does not say for which record, say Split of all",
        )

    @scenario
    async def test_a_refused_record_that_stands_alone_is_rejected(self, crm: Crm) -> None:
        needs(crm, Ability.REFUSING)
        async with opened(crm) as client:
            with crm.refusing("cloudtalk-bad"):
                (outcome,) = await client.upsert(push(call("cloudtalk-bad")))
            require(
                isinstance(outcome, Rejected) and outcome.code and outcome.message,
                f"the CRM refused a record that stood alone, and it came back as {outcome!r}: say Rejected, "
                "with the CRM's own code and message, for the person who finds the dead letter",
            )
            await client.deliver(call("cloudtalk-bad"))

    @pytest.mark.parametrize("fault", [Fault.DOWN, Fault.UNAUTHORISED, Fault.MISCONFIGURED])
    @scenario
    async def test_a_check_finds_it_and_says_what_to_do(self, crm: Crm, fault: Fault) -> None:
        needs(crm, fault, *(() if fault is Fault.DOWN else (Ability.DIAGNOSIS,)))
        async with opened(crm, timeout_seconds=10) as client:
            with crm.failing(fault):
                wrong = [finding for finding in await client.check() if not finding.ok]
        require(wrong, f"the CRM was {fault}, and `check` found nothing wrong")
        for finding in wrong:
            require(
                finding.code and finding.problem and finding.hint,
                f"`check` found {finding!r}: say a code, the problem, and in `hint` what a person should do",
            )


def _is_owed(fault: Fault, outcome: Outcome, method: str, *, besides: tuple[type[Outcome], ...]) -> None:
    __tracebackhide__ = True
    wanted: tuple[Any, ...] = OWED[fault]
    reasons = "; ".join(f"{kind.__name__}: {WHY[kind]}" for kind in wanted)
    require(
        isinstance(outcome, (*wanted, *besides)),
        f"Fault.{fault.name} came back from `{method}` as {outcome!r}. Owed is {reasons}",
    )
