"""Tests of `read`: what the CRM has of a call, whether or not it is what the client would write."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest

from crm_clients.base import Misconfigured, Outcome, Retry, Stored, Throttled, Unauthorised, Unknown
from crm_clients.conformance.crm import Capability, Crm, Fault
from crm_clients.conformance.harness import ClientHarness, async_test, open_client
from crm_clients.conformance.require import require, require_delivered, skip_unless_supported
from crm_clients.conformance.sample_calls import (
    CUSTOMER,
    ID,
    UNUSUAL_IDS,
    UNUSUAL_TEXTS,
    call,
    first_push,
    later_push,
    lookup,
    retraction,
    sparse_call,
)
from relay.call import Status

_EDITED: Final = "written by a person"

_FAULTS: Final[dict[Fault, tuple[type[Outcome], ...]]] = {
    Fault.DOWN: (Retry,),
    Fault.HANGING: (Unknown, Retry),
    Fault.UNAUTHORISED: (Unauthorised,),
    Fault.THROTTLED: (Throttled,),
    Fault.SERVER_ERROR: (Retry,),
    Fault.UNAVAILABLE: (Retry, Throttled),
    Fault.HTML_PAGE: (Retry, Unknown, Misconfigured),
    Fault.MISCONFIGURED: (Misconfigured,),
}


class ReadTests:
    """Requirements for `read`, for a client that has it."""

    @async_test
    async def test_check_and_read_create_no_record(self, crm: Crm) -> None:
        async with open_client(crm, timeout_seconds=10) as client:
            await client.check()
            await client.read(first_push(call()))
        require(not crm.records(ID), "`check` or `read` wrote a record: both must only read")

    @async_test
    async def test_read_is_none_if_the_client_cannot_read(self, crm: Crm) -> None:
        async with open_client(crm) as client:
            delivered = await client.deliver(call())
            found = await client.read(later_push(call(), "notes", last=delivered))
        require(
            (found is None) is (Capability.LOOKUP in crm.unsupported),
            f"`read` returned {found!r}: a client that can read returns records, any other returns None and "
            "names Capability.LOOKUP in `unsupported`",
        )

    @pytest.mark.parametrize("compared", [True, False])
    @async_test
    async def test_read_has_the_records_that_exist_by_reading_only(self, crm: Crm, compared: bool) -> None:
        skip_unless_supported(crm, Capability.LOOKUP, Capability.EDITS)
        async with open_client(crm, timeout_seconds=10) as client:
            calls = [
                call(id_, 7, call_id=str(number), call_uuid=None)
                for number, id_ in enumerate([ID, *UNUSUAL_IDS])
            ]
            pushes = [lookup(each, await client.deliver(each), compared=compared) for each in calls]
            records = await _read(client, *pushes)
            require(
                records.keys() == {each.id for each in calls},
                f"all records exist, and `read` returned {records!r}",
            )
            for (own, *_), each in zip([records[each.id] for each in calls], calls, strict=True):
                require(
                    own.version in {None, each.version},
                    f"`read` returned {own!r}: return the version of each record, None if the CRM stores no "
                    "version",
                )
            crm.remove(UNUSUAL_IDS[0])
            before = _count_writes(crm)
            records = await _read(client, *pushes)
            after = _count_writes(crm)
        require(
            records.keys() == {each.id for each in calls} - {UNUSUAL_IDS[0]},
            f"a person deleted {UNUSUAL_IDS[0]!r}, and `read` returned {[*records]!r}",
        )
        require(before == after, "`read` sent a writing request")

    @async_test
    async def test_read_of_a_written_record_finds_no_difference(self, crm: Crm) -> None:
        skip_unless_supported(crm, Capability.LOOKUP)
        texts = [
            call(f"cloudtalk-text-{name}", call_id=f"9{n}", call_uuid=None, notes=text, contact_name=text)
            for n, (name, text) in enumerate(UNUSUAL_TEXTS.items())
        ]
        statuses = [
            call(f"cloudtalk-{status}", call_id=f"8{n}", call_uuid=None, status=status, follow_up=n % 2 == 0)
            for n, status in enumerate(Status)
        ]
        calls = [
            *texts,
            *statuses,
            sparse_call("cloudtalk-sparse"),
            call("cloudtalk-long", notes="á" * 90_000),
        ]
        async with open_client(crm, timeout_seconds=60) as client:
            pushes = [lookup(each, await client.deliver(each)) for each in calls]
            records = await _read(client, *pushes)
        for each in calls:
            found = records.get(each.id, ())
            require(len(found) == 1, f"{each.id!r} has one record, and `read` returned {found!r}")
            require(
                not found[0].different,
                f"nobody changed {each.id!r}, and `read` returned {found[0]!r}: a value in another form, as "
                "a time with another offset, is no difference, and neither is what the client leaves out or "
                "cuts (crm_clients.is_same compares values)",
            )

    @async_test
    async def test_read_names_the_field_that_a_person_changed(self, crm: Crm) -> None:
        skip_unless_supported(crm, Capability.LOOKUP, Capability.EDITS)
        field, other = crm.text_fields
        async with open_client(crm, timeout_seconds=10) as client:
            delivered = await client.deliver(call())
            crm.edit(ID, field, _EDITED)
            edited = await _read(client, lookup(call(), delivered))
            unasked = await _read(client, later_push(call(), other, last=delivered))
        require(
            field in _own(edited).different and other not in _own(edited).different,
            f"a person changed {field!r} alone, and `read` returned {_own(edited)!r}",
        )
        require(
            not _own(unasked).different,
            f"`push.changed` had only {other!r}, and `read` returned {_own(unasked)!r}",
        )

    @async_test
    async def test_read_of_an_older_record_names_what_changed_since(self, crm: Crm) -> None:
        skip_unless_supported(crm, Capability.LOOKUP)
        field, other = crm.text_fields
        async with open_client(crm, timeout_seconds=10) as client:
            delivered = await client.deliver(call())
            found = _own(await _read(client, lookup(call(ID, 4, **{field: "newer"}), delivered)))
        require(
            found.version in {None, 1} and field in found.different and other not in found.different,
            f"the record has version 1, version 4 changed {field!r}, and `read` returned {found!r}",
        )

    @async_test
    async def test_read_names_doubles(self, crm: Crm) -> None:
        skip_unless_supported(crm, Capability.LOOKUP, Capability.DOUBLES)
        single = call("cloudtalk-2", call_id="2", call_uuid=None)
        async with open_client(crm, timeout_seconds=10) as client:
            pushes = [lookup(each, await client.deliver(each)) for each in (call(), single)]
            crm.double(ID)
            records = await _read(client, *pushes)
        require(
            len({stored.remote_id for stored in records[ID]}) == len(records[ID]) == 1 + 1,
            f"the CRM has two records of {ID!r}, and `read` returned {records[ID]!r}: return the client's "
            "own first, then the other",
        )
        require(len(records["cloudtalk-2"]) == 1, "`read` returned a double of a call that has none")

    @async_test
    async def test_the_marked_record_of_a_merged_call_is_no_double(self, crm: Crm) -> None:
        skip_unless_supported(crm, Capability.LOOKUP)
        merged = call(f"cloudtalk-{call().call_uuid}", call_id=None)
        async with open_client(crm, on_merge="mark", timeout_seconds=10) as client:
            delivered = await client.deliver(merged)
            survivor = lookup(call(), await client.deliver(call()))
            require_delivered(await client.retract(retraction(merged, ID, delivered)))
            records = await _read(client, survivor)
        require(
            len(records[ID]) == 1,
            f"a merged call is marked with `merged_into`, and `read` returned its record as a double: "
            f"{records[ID]!r}",
        )

    @async_test
    async def test_many_calls_are_read(self, crm: Crm) -> None:
        skip_unless_supported(crm, Capability.LOOKUP)
        calls = [
            call(f"cloudtalk-{n}-{'x' * 60}", call_id=str(n), call_uuid=None, external_number=CUSTOMER)
            for n in range(250)
        ]
        async with open_client(crm, timeout_seconds=120) as client:
            require_delivered(await client.upsert(*(first_push(each) for each in calls[::2])))
            records = await _read(client, *(lookup(each) for each in calls))
        require(
            records.keys() == {each.id for each in calls[::2]},
            f"{len(calls[::2])} of {len(calls)} calls have a record, and `read` found {len(records)}",
        )

    @pytest.mark.parametrize("fault", _FAULTS)
    @async_test
    async def test_read_returns_an_outcome_during_a_fault(self, crm: Crm, fault: Fault) -> None:
        skip_unless_supported(crm, Capability.LOOKUP, fault)
        async with open_client(crm) as client:
            delivered = await client.deliver(call())
            with crm.inject(fault):
                found = await client.read(lookup(call(), delivered))
        # A file that is locked for writing can be read.
        is_read = isinstance(found, Mapping) and ID in found
        require(
            is_read or isinstance(found, _FAULTS[fault]),
            f"during {fault} `read` returned {found!r} instead of {_FAULTS[fault][0].__name__}: return the "
            "outcome, so that the relay does not treat every record as deleted",
        )


async def _read(client: ClientHarness, *pushes: Any) -> Mapping[str, Sequence[Stored]]:
    """Read the calls. Fail unless the client returns records."""
    __tracebackhide__ = True
    found = await client.read(*pushes)
    if isinstance(found, Mapping):
        return found
    pytest.fail(f"there was no fault, and `read` returned {found!r}")


def _own(records: Mapping[str, Sequence[Stored]]) -> Stored:
    """Return the client's own record of the first sample call."""
    __tracebackhide__ = True
    require(len(records.get(ID, ())) == 1, f"{ID!r} has one record, and `read` returned {records!r}")
    return records[ID][0]


def _count_writes(crm: Crm) -> int:
    return 0 if Capability.WRITE_TIMES in crm.unsupported else len(crm.write_times())
