"""One record per call, whole at first, and with what people wrote in it."""

import asyncio
from typing import Final

import pytest

from crm_clients.conformance.calls import ID, ODD_IDS, ODD_TEXTS, call, push
from crm_clients.conformance.crm import Ability, Crm
from crm_clients.conformance.watching import delivered, needs, opened, require, scenario, the_record

BY_HAND: Final = "written by a person"


class RecordTests:
    """What stands in the CRM after a push."""

    @scenario
    async def test_a_first_push_makes_one_whole_record(self, crm: Crm) -> None:
        one, other = crm.texts
        async with opened(crm) as client:
            await client.deliver(call(**{one: "one", other: "other"}))
        record = the_record(crm)
        require(
            (record.get(one), record.get(other)) == ("one", "other"),
            f"the record says {record!r}: a first push (`push.first`) names every field in `changed`; write "
            f"all that the CRM holds, `{one}` and `{other}` among them",
        )

    @scenario
    async def test_the_same_pushes_twice_make_one_record_each(self, crm: Crm) -> None:
        pushes = [push(call(ID)), push(call("cloudtalk-2"))]
        async with opened(crm) as client:
            for _ in range(2):
                delivered(await client.upsert(*pushes))
        for each in pushes:
            the_record(crm, each.call.id)

    @scenario
    async def test_a_call_that_stands_twice_in_a_batch_makes_one_record_of_its_newest_version(
        self, crm: Crm
    ) -> None:
        one, _ = crm.texts
        older, newer = call(ID, 1, **{one: "older"}), call(ID, 2, **{one: "newer"})
        async with opened(crm) as client:
            delivered(await client.upsert(push(older), push(call("cloudtalk-2")), push(newer)))
        record = the_record(crm)
        require(
            record.get(one) == "newer",
            f"the record says {record.get(one)!r}: send a call that a batch names twice once, in its newest "
            "version (crm_clients.merge_by_call does it)",
        )

    @scenario
    async def test_what_changed_comes_and_what_a_person_wrote_stays(self, crm: Crm) -> None:
        needs(crm, Ability.EDITS)
        one, other = crm.texts
        async with opened(crm) as client:
            outcome = await client.deliver(call(**{one: "one", other: "other"}))
            crm.edit(ID, one, BY_HAND)
            later = call(ID, 2, **{one: "one", other: "changed"})
            delivered(await client.upsert(push(later, other, outcome=outcome)))
        record = the_record(crm)
        require(
            record.get(other) == "changed", f"`{other}` changed, and the record says {record.get(other)!r}"
        )
        require(
            record.get(one) == BY_HAND,
            f"a person wrote `{one}`, and now the record says {record.get(one)!r}: after the first push "
            "write the fields in `push.changed` only",
        )

    @scenario
    async def test_a_push_in_which_nothing_changed_is_delivered_and_writes_over_nothing(
        self, crm: Crm
    ) -> None:
        needs(crm, Ability.EDITS)
        one, _ = crm.texts
        async with opened(crm) as client:
            outcome = await client.deliver(call(**{one: "one"}))
            crm.edit(ID, one, BY_HAND)
            delivered(await client.upsert(push(call(ID, 2, **{one: "one"}), outcome=outcome)))
        require(
            the_record(crm).get(one) == BY_HAND,
            "`push.changed` was empty, and a field was written all the same",
        )

    @scenario
    async def test_a_record_that_a_person_deleted_comes_back_whole_or_not_at_all(self, crm: Crm) -> None:
        needs(crm, Ability.EDITS)
        one, other = crm.texts
        async with opened(crm) as client:
            outcome = await client.deliver(call(**{one: "one", other: "other"}))
            crm.remove(ID)
            later = call(ID, 2, **{one: "one", other: "changed"})
            delivered(await client.upsert(push(later, other, outcome=outcome)))
        found = crm.records(ID)
        require(
            not found or (len(found) == 1 and (found[0].get(one), found[0].get(other)) == ("one", "changed")),
            f"a person had deleted the record, and a push of `{other}` left {found!r}: where a push that is "
            "not the first makes a new record, write every field of the call",
        )

    @scenario
    async def test_odd_ids_make_a_record_each(self, crm: Crm) -> None:
        async with opened(crm) as client:
            delivered(await client.upsert(*(push(call(id_)) for id_ in ODD_IDS)))
        for id_ in ODD_IDS:
            the_record(crm, id_)

    @pytest.mark.parametrize("kind", ODD_TEXTS)
    @scenario
    async def test_texts_arrive_as_people_typed_them(self, crm: Crm, kind: str) -> None:
        text = ODD_TEXTS[kind]
        async with opened(crm) as client:
            await client.deliver(call(**{crm.texts[0]: text}))
        found = the_record(crm).get(crm.texts[0])
        require(
            found in {text, text.replace("\0", "")},
            f"the text was {text!r} and the record says {found!r}: escape what the CRM would interpret, and "
            "change nothing",
        )

    @scenario
    async def test_a_full_batch_makes_a_record_of_each_call(self, crm: Crm) -> None:
        async with opened(crm, timeout_seconds=30) as client:
            ids = [f"cloudtalk-{number}" for number in range(client.client.settings.batch)]
            delivered(await client.upsert(*(push(call(id_)) for id_ in ids)))
        for id_ in (ids[0], ids[len(ids) // 2], ids[-1]):
            the_record(crm, id_)

    @scenario
    async def test_batches_under_way_at_once_do_not_disturb_one_another(self, crm: Crm) -> None:
        ids = [f"cloudtalk-{number}" for number in range(12)]
        async with opened(crm, concurrency=4, timeout_seconds=30) as client:
            batches = [[push(call(id_)) for id_ in ids[start::4]] for start in range(4)]
            for outcomes in await asyncio.gather(*(client.upsert(*batch) for batch in batches)):
                delivered(outcomes)
        for id_ in ids:
            the_record(crm, id_)

    @scenario
    async def test_an_empty_batch_is_no_fault(self, crm: Crm) -> None:
        async with opened(crm) as client:
            require(await client.upsert() == [], "`upsert` of nothing is an empty list")
