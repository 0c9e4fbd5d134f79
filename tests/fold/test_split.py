"""Splitting a call into the record of its uuid and the record of its call_id."""

import pytest

from relay.call import DELIVERED_FIELDS
from relay.fold.options import FoldOptions
from relay.fold.split import SplitError, SplitResult, split_call
from relay.instants import Instant
from relay.ledger import recordings
from tests.support.folding import FoldingRelay
from tests.support.relay import WEBHOOK_PATH

UUID = "44fe27cd-5268-4670-993e-0129aabbccdd"


async def receive_linked_call(relay: FoldingRelay) -> str:
    """Receive a call whose Ended links the call_id of another call; return its id."""
    uuid = UUID.encode()
    await relay.receive(
        b'{"call_uuid":"%s","direction":"incoming"}' % uuid, path=f"{WEBHOOK_PATH}/call.started"
    )
    await relay.receive(
        b'{"call_uuid":"%s","call_id":77,"talking_time":5}' % uuid, path=f"{WEBHOOK_PATH}/call.ended"
    )
    await relay.receive(b'{"call_id":77,"note":"of the other"}', path=f"{WEBHOOK_PATH}/call.modified")
    return f"cloudtalk-{UUID}"


async def test_a_split_gives_the_call_id_a_record_of_its_own_for_good(relay: FoldingRelay) -> None:
    linked = await receive_linked_call(relay)
    assert (await relay.row(linked)).record.notes == "of the other"
    assert await split_call(relay.ledger, linked, FoldOptions()) == SplitResult(linked, "cloudtalk-77", 1)
    kept, split_off = await relay.row(linked), await relay.row("cloudtalk-77")
    assert (kept.record.notes, kept.record.call_id, kept.record.talking_seconds) == (None, None, 5)
    assert (split_off.record.notes, split_off.record.call_id) == ("of the other", "77")
    assert [(await relay.delivery(call)).state for call in (linked, split_off.id)] == ["pending", "pending"]
    body = b'{"call_uuid":"%s","call_id":77,"wrapup_time":3}' % UUID.encode()
    await relay.receive(body, path=f"{WEBHOOK_PATH}/call.ended")
    assert (await relay.row(linked)).record.wrapup_seconds == 3
    assert (await relay.row("cloudtalk-77")).version == split_off.version


async def test_a_call_with_one_id_cannot_be_split(relay: FoldingRelay) -> None:
    await relay.receive(b'{"event":"call.started","data":{"id":"a"}}')
    with pytest.raises(SplitError, match="nothing was linked"):
        await split_call(relay.ledger, "cloudtalk-a", FoldOptions())
    with pytest.raises(SplitError, match="no call"):
        await split_call(relay.ledger, "cloudtalk-nobody", FoldOptions())


async def test_if_every_event_has_both_ids_a_split_only_pins_the_call_id(relay: FoldingRelay) -> None:
    body = b'{"event":"call.ended","data":{"id":"5","call_uuid":"%s","duration":3}}' % UUID.encode()
    await relay.receive(body, body.replace(b"ended", b"started"))
    result = await split_call(relay.ledger, "cloudtalk-5", FoldOptions())
    assert result == SplitResult("cloudtalk-5", "cloudtalk-id:5", 0)
    await relay.receive(b'{"call_id":5,"note":"later"}', path=f"{WEBHOOK_PATH}/call.modified")
    assert (await relay.row("cloudtalk-5")).record.notes is None
    assert (await relay.row("cloudtalk-id:5")).record.notes == "later"


async def test_a_record_that_was_merged_and_split_off_again_is_delivered_with_every_field(
    relay: FoldingRelay,
) -> None:
    uuid = UUID.encode()
    await relay.receive(b'{"call_uuid":"%s"}' % uuid, path=f"{WEBHOOK_PATH}/call.started")
    await relay.receive(b'{"call_id":77,"note":"of the other"}', path=f"{WEBHOOK_PATH}/call.modified")
    await relay.receive(b'{"call_uuid":"%s","call_id":77}' % uuid, path=f"{WEBHOOK_PATH}/call.ended")
    merged = await relay.row("cloudtalk-77")
    assert merged.record.merged_into == f"cloudtalk-{UUID}"
    await split_call(relay.ledger, f"cloudtalk-{UUID}", FoldOptions())
    split_off = await relay.row("cloudtalk-77")
    assert (split_off.record.merged_into, split_off.record.notes) == (None, "of the other")
    assert split_off.version == merged.version + 1
    assert split_off.field_versions == dict.fromkeys(DELIVERED_FIELDS, split_off.version)


@pytest.mark.parametrize(("archives", "calls"), [(True, ["cloudtalk-77"]), (False, [])])
async def test_a_recording_is_archived_for_the_record_that_it_belongs_to(
    relay: FoldingRelay, archives: bool, calls: list[str]
) -> None:
    linked = await receive_linked_call(relay)
    body = b'{"call_id":77,"recording_url":"https://files.example.com/77.wav"}'
    await relay.receive(body, path=f"{WEBHOOK_PATH}/call.recorded")
    assert (await relay.row(linked)).record.recording_url == "https://files.example.com/77.wav"
    await split_call(relay.ledger, linked, FoldOptions(archives_recordings=archives))
    due = await relay.ledger.read(lambda c: recordings.list_due(c, busy=(), now=Instant(2**62), limit=9))
    assert [each.call for each in due] == calls
