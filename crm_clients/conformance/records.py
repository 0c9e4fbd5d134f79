"""Tests of `upsert`: one record per call, with all fields at first, and with the edits of people kept."""

import asyncio
from typing import Final

import pytest

from crm_clients.conformance.crm import Capability, Crm
from crm_clients.conformance.harness import async_test, open_client
from crm_clients.conformance.require import (
    require,
    require_delivered,
    require_one_record,
    skip_unless_supported,
)
from crm_clients.conformance.sample_calls import (
    ID,
    UNUSUAL_IDS,
    UNUSUAL_TEXTS,
    call,
    first_push,
    later_push,
    partial_push,
)

_EDITED: Final = "written by a person"


class RecordTests:
    """Records after a push."""

    @async_test
    async def test_a_first_push_creates_one_record_with_all_fields(self, crm: Crm) -> None:
        field, other = crm.text_fields
        async with open_client(crm) as client:
            await client.deliver(call(**{field: "one", other: "other"}))
        record = require_one_record(crm)
        require(
            (record.get(field), record.get(other)) == ("one", "other"),
            f"the record is {record!r}: on a first push (`push.first`) `changed` has every field; write all "
            f"that the CRM can store, `{field}` and `{other}` included",
        )

    @async_test
    async def test_the_same_pushes_twice_create_one_record_each(self, crm: Crm) -> None:
        pushes = [first_push(call(ID)), first_push(call("cloudtalk-2"))]
        async with open_client(crm) as client:
            for _ in range(2):
                require_delivered(await client.upsert(*pushes))
        for push in pushes:
            require_one_record(crm, push.call.id)

    @async_test
    async def test_a_call_that_is_twice_in_a_batch_becomes_one_record_in_its_newest_version(
        self, crm: Crm
    ) -> None:
        field, _ = crm.text_fields
        older, newer = call(ID, 1, **{field: "older"}), call(ID, 2, **{field: "newer"})
        batch = [first_push(older), first_push(call("cloudtalk-2")), first_push(newer)]
        async with open_client(crm) as client:
            require_delivered(await client.upsert(*batch))
        record = require_one_record(crm)
        require(
            record.get(field) == "newer",
            f"the record has {record.get(field)!r}: if a call is twice in a batch, send it once in its "
            "newest version (crm_clients.merge_by_call does it)",
        )

    @async_test
    async def test_changed_fields_are_written_and_edits_of_people_stay(self, crm: Crm) -> None:
        skip_unless_supported(crm, Capability.EDITS)
        field, other = crm.text_fields
        async with open_client(crm) as client:
            delivered = await client.deliver(call(**{field: "one", other: "other"}))
            crm.edit(ID, field, _EDITED)
            later = call(ID, 2, **{field: "one", other: "changed"})
            require_delivered(await client.upsert(later_push(later, other, last=delivered)))
        record = require_one_record(crm)
        require(
            record.get(other) == "changed", f"`{other}` changed, and the record has {record.get(other)!r}"
        )
        require(
            record.get(field) == _EDITED,
            f"a person edited `{field}`, and now the record has {record.get(field)!r}: after the first push "
            "write only the fields in `push.changed`",
        )

    @async_test
    async def test_a_push_without_changes_is_delivered_and_overwrites_nothing(self, crm: Crm) -> None:
        skip_unless_supported(crm, Capability.EDITS)
        field, _ = crm.text_fields
        async with open_client(crm) as client:
            delivered = await client.deliver(call(**{field: "one"}))
            crm.edit(ID, field, _EDITED)
            unchanged = later_push(call(ID, 2, **{field: "one"}), last=delivered)
            require_delivered(await client.upsert(unchanged))
        require(
            require_one_record(crm).get(field) == _EDITED,
            "`push.changed` was empty, and a field was written",
        )

    @async_test
    async def test_a_partial_push_keeps_the_values_that_only_the_record_has(self, crm: Crm) -> None:
        skip_unless_supported(crm, Capability.EDITS)
        field, other = crm.text_fields
        async with open_client(crm) as client:
            await client.deliver(call(**{field: "one", other: "other"}))
        async with open_client(crm) as client:
            require_delivered(await client.upsert(partial_push(call(**{field: "late", other: None}), field)))
            require_delivered(await client.upsert(partial_push(call("cloudtalk-2", **{other: "new"}), other)))
        record = require_one_record(crm)
        require(record.get(field) == "late", f"`{field}` was known, and the record has {record.get(field)!r}")
        require(
            record.get(other) == "other",
            f"`{other}` was unknown to the relay, and now the record has {record.get(other)!r}: if a record "
            "exists, write only the fields in `push.changed`, on a partial first push too",
        )
        require(
            require_one_record(crm, "cloudtalk-2").get(other) == "new",
            "a partial push of a call without a record created no whole record",
        )

    @async_test
    async def test_a_record_that_a_person_deleted_is_created_with_all_fields_or_not_at_all(
        self, crm: Crm
    ) -> None:
        skip_unless_supported(crm, Capability.EDITS)
        field, other = crm.text_fields
        async with open_client(crm) as client:
            delivered = await client.deliver(call(**{field: "one", other: "other"}))
            crm.remove(ID)
            later = call(ID, 2, **{field: "one", other: "changed"})
            require_delivered(await client.upsert(later_push(later, other, last=delivered)))
        found = crm.records(ID)
        is_whole = len(found) == 1 and (found[0].get(field), found[0].get(other)) == ("one", "changed")
        require(
            not found or is_whole,
            f"a person had deleted the record, and a push of `{other}` created {found!r}: if a later push "
            "creates a new record, write every field of the call",
        )

    @async_test
    async def test_unusual_ids_create_one_record_each(self, crm: Crm) -> None:
        async with open_client(crm) as client:
            require_delivered(await client.upsert(*(first_push(call(id_)) for id_ in UNUSUAL_IDS)))
        for id_ in UNUSUAL_IDS:
            require_one_record(crm, id_)

    @pytest.mark.parametrize("kind", UNUSUAL_TEXTS)
    @async_test
    async def test_texts_are_stored_unchanged(self, crm: Crm, kind: str) -> None:
        text = UNUSUAL_TEXTS[kind]
        async with open_client(crm) as client:
            await client.deliver(call(**{crm.text_fields[0]: text}))
        stored = require_one_record(crm).get(crm.text_fields[0])
        require(
            stored in {text, text.replace("\0", "")},
            f"the text was {text!r} and the record has {stored!r}: escape what the CRM would interpret, and "
            "change nothing else",
        )

    @async_test
    async def test_a_full_batch_creates_a_record_of_each_call(self, crm: Crm) -> None:
        async with open_client(crm, timeout_seconds=30) as client:
            ids = [f"cloudtalk-{number}" for number in range(client.client.settings.batch)]
            require_delivered(await client.upsert(*(first_push(call(id_)) for id_ in ids)))
        for id_ in (ids[0], ids[len(ids) // 2], ids[-1]):
            require_one_record(crm, id_)

    @async_test
    async def test_concurrent_batches_do_not_affect_each_other(self, crm: Crm) -> None:
        ids = [f"cloudtalk-{number}" for number in range(12)]
        async with open_client(crm, concurrency=4, timeout_seconds=30) as client:
            batches = [[first_push(call(id_)) for id_ in ids[start::4]] for start in range(4)]
            for outcomes in await asyncio.gather(*(client.upsert(*batch) for batch in batches)):
                require_delivered(outcomes)
        for id_ in ids:
            require_one_record(crm, id_)

    @async_test
    async def test_an_empty_batch_returns_no_outcomes(self, crm: Crm) -> None:
        async with open_client(crm) as client:
            require(await client.upsert() == [], "`upsert` of an empty batch must return an empty list")
