"""Records that must go: of calls that became part of another, and of people who ask to be forgotten."""

from typing import Literal

import pytest

from crm_clients.conformance.calls import CUSTOMER, ID, call, push, retraction
from crm_clients.conformance.crm import Crm
from crm_clients.conformance.watching import delivered, opened, require, scenario, the_record
from crm_clients.state import InMemoryClientState

OnMerge = Literal["delete", "mark"]


class RetractionTests:
    """What is left of a record after `retract` and `forget`."""

    @scenario
    async def test_a_merged_record_is_deleted_where_the_settings_say_so(self, crm: Crm) -> None:
        async with opened(crm, on_merge="delete") as client:
            outcome = await client.deliver(call(ID))
            await client.deliver(call("cloudtalk-2"))
            delivered(await client.retract(retraction(call(ID), "cloudtalk-2", outcome)))
        _is_gone(crm)
        the_record(crm, "cloudtalk-2")

    @scenario
    async def test_a_merged_record_is_marked_where_the_settings_say_so(self, crm: Crm) -> None:
        async with opened(crm, on_merge="mark") as client:
            outcome = await client.deliver(call(ID))
            await client.deliver(call("cloudtalk-2"))
            delivered(await client.retract(retraction(call(ID), "cloudtalk-2", outcome)))
        marked = the_record(crm).get("merged_into")
        require(
            marked == "cloudtalk-2",
            f"with on_merge = mark the record says merged_into = {marked!r}: keep it, and write there which "
            "record the call's is now",
        )

    @pytest.mark.parametrize("on_merge", ["delete", "mark"])
    @scenario
    async def test_a_record_that_is_none_of_the_crms_is_deleted_in_any_case(
        self, crm: Crm, on_merge: OnMerge
    ) -> None:
        async with opened(crm, on_merge=on_merge) as client:
            outcome = await client.deliver(call())
            delivered(await client.retract(retraction(call(), outcome=outcome)))
        _is_gone(crm, "a retraction without `merged_into` has nothing to mark the record with")

    @pytest.mark.parametrize("on_merge", ["delete", "mark"])
    @scenario
    async def test_a_record_that_is_not_there_is_as_good_as_gone(self, crm: Crm, on_merge: OnMerge) -> None:
        async with opened(crm, on_merge=on_merge) as client:
            outcome = await client.deliver(call("cloudtalk-2"))
            never = retraction(call("cloudtalk-never"), "cloudtalk-2")
            gone = retraction(call("cloudtalk-2"), outcome=outcome)
            delivered(await client.retract(never, gone))
            delivered(await client.retract(never, gone))
            require(
                not crm.records("cloudtalk-never"),
                "a retraction of a record that was never there made one: write a mark on what is there only",
            )
            delivered(await client.forget(never, gone))

    @scenario
    async def test_a_call_that_was_taken_back_can_come_again(self, crm: Crm) -> None:
        async with opened(crm) as client:
            outcome = await client.deliver(call())
            delivered(await client.retract(retraction(call(), outcome=outcome)))
            await client.deliver(call(ID, 3))
        the_record(crm)

    @scenario
    async def test_what_is_forgotten_is_gone_from_the_crm_and_from_the_memory(self, crm: Crm) -> None:
        memory = InMemoryClientState()
        async with opened(crm, memory) as client:
            outcome = await client.deliver(call(ID))
            await client.deliver(call("cloudtalk-2", external_number="+34600000002", from_="+34600000002"))
            delivered(await client.forget(retraction(call(ID), outcome=outcome)))
        _is_gone(crm, "`forget` deletes whatever the client wrote about the call")
        the_record(crm, "cloudtalk-2")
        kept = [key for key, (text, _) in memory.entries.items() if CUSTOMER in key or CUSTOMER in text]
        require(
            not kept,
            f"the memory still holds the customer's number, under {kept!r}: `forget` keeps None there",
        )

    @scenario
    async def test_a_marked_record_is_forgotten_too(self, crm: Crm) -> None:
        async with opened(crm, on_merge="mark") as client:
            outcome = await client.deliver(call())
            gone = retraction(call(), "cloudtalk-2", outcome)
            delivered(await client.retract(gone))
            delivered(await client.forget(gone))
        _is_gone(crm)

    @scenario
    async def test_a_call_that_was_forgotten_can_come_again(self, crm: Crm) -> None:
        async with opened(crm) as client:
            outcome = await client.deliver(call())
            delivered(await client.forget(retraction(call(), outcome=outcome)))
            delivered(await client.upsert(push(call(ID, 3))))
        the_record(crm)


def _is_gone(crm: Crm, why: str = "the record must go") -> None:
    __tracebackhide__ = True
    found = crm.records(ID)
    require(not found, f"{why}, and the CRM still has {found!r}")
