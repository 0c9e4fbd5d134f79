"""Tests of `retract` and `forget`."""

from typing import Literal

import pytest

from crm_clients.conformance.crm import Crm
from crm_clients.conformance.harness import async_test, open_client
from crm_clients.conformance.require import (
    require,
    require_delivered,
    require_no_record,
    require_one_record,
)
from crm_clients.conformance.sample_calls import CUSTOMER, ID, call, retraction
from crm_clients.state import InMemoryClientState
from relay.call import minimal_call

OnMerge = Literal["delete", "mark"]


class RetractionTests:
    """Records of merged calls, and of people who ask to be forgotten."""

    @async_test
    async def test_a_merged_record_is_deleted_if_on_merge_is_delete(self, crm: Crm) -> None:
        async with open_client(crm, on_merge="delete") as client:
            delivered = await client.deliver(call(ID))
            await client.deliver(call("cloudtalk-2"))
            require_delivered(await client.retract(retraction(call(ID), "cloudtalk-2", delivered)))
        require_no_record(crm)
        require_one_record(crm, "cloudtalk-2")

    @async_test
    async def test_a_merged_record_is_marked_if_on_merge_is_mark(self, crm: Crm) -> None:
        async with open_client(crm, on_merge="mark") as client:
            delivered = await client.deliver(call(ID))
            await client.deliver(call("cloudtalk-2"))
            require_delivered(await client.retract(retraction(call(ID), "cloudtalk-2", delivered)))
        merged_into = require_one_record(crm).get("merged_into")
        require(
            merged_into == "cloudtalk-2",
            f"with on_merge = mark the record has merged_into = {merged_into!r}: keep the record, and write "
            "the id of the other call there",
        )

    @pytest.mark.parametrize("on_merge", ["delete", "mark"])
    @async_test
    async def test_a_retraction_without_merged_into_deletes_in_any_case(
        self, crm: Crm, on_merge: OnMerge
    ) -> None:
        async with open_client(crm, on_merge=on_merge) as client:
            delivered = await client.deliver(call())
            require_delivered(await client.retract(retraction(call(), last=delivered)))
        require_no_record(crm, "a retraction without `merged_into` always deletes the record")

    @pytest.mark.parametrize("on_merge", ["delete", "mark"])
    @async_test
    async def test_a_record_that_does_not_exist_counts_as_retracted(
        self, crm: Crm, on_merge: OnMerge
    ) -> None:
        async with open_client(crm, on_merge=on_merge) as client:
            delivered = await client.deliver(call("cloudtalk-2"))
            never_pushed = retraction(call("cloudtalk-never"), "cloudtalk-2")
            deleted = retraction(call("cloudtalk-2"), last=delivered)
            require_delivered(await client.retract(never_pushed, deleted))
            require_delivered(await client.retract(never_pushed, deleted))
            require(
                not crm.records("cloudtalk-never"),
                "a retraction of a record that did not exist created one: mark existing records only",
            )
            require_delivered(await client.forget(never_pushed, deleted))

    @async_test
    async def test_a_retracted_call_can_be_pushed_again(self, crm: Crm) -> None:
        async with open_client(crm) as client:
            delivered = await client.deliver(call())
            require_delivered(await client.retract(retraction(call(), last=delivered)))
            await client.deliver(call(ID, 3))
        require_one_record(crm)

    @async_test
    async def test_forget_deletes_the_record_and_the_client_state(self, crm: Crm) -> None:
        state = InMemoryClientState()
        async with open_client(crm, state) as client:
            delivered = await client.deliver(call(ID))
            await client.deliver(call("cloudtalk-2", external_number="+34600000002", from_="+34600000002"))
            known = minimal_call(ID, version=1, of=call(ID), fields=client.client.forget_fields)
            require_delivered(await client.forget(retraction(known, last=delivered)))
        require_no_record(crm, "`forget` deletes everything that the client wrote about the call")
        require_one_record(crm, "cloudtalk-2")
        keys = [key for key, (text, _) in state.entries.items() if CUSTOMER in key or CUSTOMER in text]
        require(
            not keys,
            f"the client state still has the customer's number, under {keys!r}: set these keys to None in "
            "`forget`",
        )

    @async_test
    async def test_forget_deletes_a_marked_record(self, crm: Crm) -> None:
        async with open_client(crm, on_merge="mark") as client:
            delivered = await client.deliver(call())
            merged = retraction(call(), "cloudtalk-2", delivered)
            require_delivered(await client.retract(merged))
            require_delivered(await client.forget(merged))
        require_no_record(crm)

    @async_test
    async def test_a_forgotten_call_can_be_pushed_again(self, crm: Crm) -> None:
        async with open_client(crm) as client:
            delivered = await client.deliver(call())
            require_delivered(await client.forget(retraction(call(), last=delivered)))
            await client.deliver(call(ID, 3))
        require_one_record(crm)
