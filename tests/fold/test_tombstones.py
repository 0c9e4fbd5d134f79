"""Events of calls that retention deleted: a late event continues its call."""

from typing import Final

import msgspec
import pytest

from crm_clients.settings import DestinationSettings
from relay.delivery.choose_action import Action, choose_action, undelivered_fields
from relay.delivery.replay import Replay, ReplayCounts
from relay.fold.options import FoldOptions
from relay.fold.split import split_call
from relay.instants import Instant
from relay.ledger import calls, deliveries, destinations, retention_queries, tombstones
from relay.ledger.deliveries import DeliveryCounts
from relay.ledger.states import DeliveryState
from relay.ledger.tables import calls as call_table
from relay.ledger.tables import deliveries as delivery_table
from tests.support.deliveries import delivered_update, settle, take_due
from tests.support.folding import FoldingRelay
from tests.support.relay import WEBHOOK_PATH

UUID: Final = "44fe27cd-5268-4670-993e-0129aabbccdd"
OTHER_UUID: Final = "0b6e3f0e-7b7c-4b0b-9f0e-5d0c6a4f1e11"
CALL: Final = f"cloudtalk-{UUID}"


async def receive_and_delete_call(relay: FoldingRelay) -> int:
    """Receive a call with both ids, deliver it, let retention delete it, and return its last version."""
    await relay.receive(b'{"call_uuid":"%s","direction":"incoming"}' % UUID.encode(), path=path_of("started"))
    body = b'{"call_uuid":"%s","call_id":77,"talking_time":5}' % UUID.encode()
    await relay.receive(body, path=path_of("ended"))
    last = (await relay.row(CALL)).version
    await deliver_and_delete(relay, last)
    return last


async def deliver_and_delete(relay: FoldingRelay, version: int, *, ids: tuple[str, ...] = (CALL,)) -> None:
    settled = [delivered_update(id_, version=version) for id_ in ids]
    await relay.ledger.write(lambda c: deliveries.settle(c, "crm", settled, now=Instant(1)))
    await relay.ledger.write(
        lambda c: retention_queries.delete_old_calls(c, before=Instant(2**62), now=Instant(7))
    )
    assert await relay.ledger.read(calls.count) == 0


def path_of(event: str) -> str:
    return f"{WEBHOOK_PATH}/call.{event}"


@pytest.mark.parametrize(
    ("event", "body"),
    [
        ("modified", b'{"call_uuid":"%s","tags":["late"]}' % UUID.encode()),
        ("modified", b'{"call_id":77,"note":"late"}'),
        ("recording", b'{"call_id":77,"recording_url":"https://x.test/77"}'),
        ("ended", b'{"call_uuid":"%s","call_id":77,"wrapup_time":9}' % UUID.encode()),
    ],
)
async def test_a_late_event_continues_a_deleted_call(relay: FoldingRelay, event: str, body: bytes) -> None:
    last = await receive_and_delete_call(relay)
    await relay.receive(body, path=path_of(event))
    row = await relay.row(CALL)
    assert row.version == last + 1
    assert row.state.aliases == ["id:77", f"uuid:{UUID}"]
    assert await relay.ledger.read(lambda c: calls.list_pruned_ids(c, [CALL])) == {CALL}
    (due,) = await relay.ledger.read(
        lambda c: deliveries.take_due(c, "crm", deliveries.Pick.FRESH, busy=(), now=Instant(2**62), limit=9)
    )
    assert (due.partial, due.delivered_version) == (True, last)


async def test_a_call_that_is_deleted_again_continues_from_its_newest_version(relay: FoldingRelay) -> None:
    last = await receive_and_delete_call(relay)
    for number in (1, 2):
        await relay.receive(b'{"call_id":77,"note":"%d"}' % number, path=path_of("modified"))
        await deliver_and_delete(relay, last + number)
    await relay.receive(b'{"call_id":77,"note":"3"}', path=path_of("modified"))
    assert (await relay.row(CALL)).version == last + 3


async def test_a_new_call_with_the_call_id_of_a_deleted_one_does_not_continue_it(relay: FoldingRelay) -> None:
    """A call_id typed into a workflow is the same in each call."""
    await receive_and_delete_call(relay)
    body = b'{"call_uuid":"%s","call_id":77,"from":"+34600111222"}' % OTHER_UUID.encode()
    await relay.receive(body, path=path_of("started"))
    assert (await relay.row(f"cloudtalk-{OTHER_UUID}")).version == 1
    assert await relay.ledger.read(lambda c: calls.get_many(c, [CALL])) == {}


async def test_a_deleted_call_that_proves_the_same_as_a_new_one_stays_the_record_of_both(
    relay: FoldingRelay,
) -> None:
    """The CRMs have had the deleted call for long, so its record keeps its id, and its ids find the call."""
    await relay.receive(b'{"call_uuid":"%s","direction":"incoming"}' % UUID.encode(), path=path_of("started"))
    await deliver_and_delete(relay, (await relay.row(CALL)).version)
    await relay.receive(b'{"call_id":77,"direction":"incoming"}', path=path_of("started"))
    both = b'{"call_uuid":"%s","call_id":77,"note":"both"}' % UUID.encode()
    await relay.receive(both, path=path_of("modified"))
    assert (await relay.row("cloudtalk-77")).record.merged_into == CALL
    await relay.receive(b'{"call_uuid":"%s","note":"late"}' % UUID.encode(), path=path_of("modified"))
    await relay.receive(b'{"call_id":77,"tags":["late"]}', path=path_of("modified"))
    row = await relay.row(CALL)
    assert (row.record.call_id, row.record.notes, row.record.tags) == ("77", "late", ["late"])
    assert await relay.ledger.read(calls.count) == 1


async def test_two_deleted_calls_that_prove_the_same_are_continued_as_one(relay: FoldingRelay) -> None:
    await relay.receive(b'{"call_uuid":"%s","direction":"incoming"}' % UUID.encode(), path=path_of("started"))
    await relay.receive(b'{"call_id":77,"direction":"incoming"}', path=path_of("started"))
    await deliver_and_delete(relay, 1, ids=(CALL, "cloudtalk-77"))
    both = b'{"call_uuid":"%s","call_id":77,"note":"both"}' % UUID.encode()
    for body in (
        both,
        b'{"call_uuid":"%s","note":"one"}' % UUID.encode(),
        b'{"call_id":77,"tags":["other"]}',
    ):
        await relay.receive(body, path=path_of("modified"))
    assert await relay.ledger.read(calls.count) == 1


# --- only the CRMs that have the call receive what a late event states ----------------------------

EDITS: Final = (
    ("modified", b'{"call_uuid":"%s","tags":["late"]}' % UUID.encode()),
    ("recording", b'{"call_id":77,"recording_url":"https://x.test/77"}'),
    ("ended", b'{"call_uuid":"%s","call_id":77,"talking_time":9}' % UUID.encode()),
)
NEVER_DELIVERED: Final = (DeliveryState.FILTERED, DeliveryState.RETRACTED, DeliveryState.DROPPED)


async def receive_and_forget_call(relay: FoldingRelay, **delivered_versions: int) -> None:
    """Receive a call with both ids, settle it with these versions by destination (0: as one that no record
    is left of), and let retention delete it.
    """
    clients = dict.fromkeys(delivered_versions, "local")
    await relay.ledger.write(lambda c: destinations.register(c, clients))
    await relay.receive(
        b'{"call_uuid":"%s","call_id":77,"direction":"internal"}' % UUID.encode(), path=path_of("ended")
    )
    for name, version in delivered_versions.items():
        state = DeliveryState.DELIVERED if version else DeliveryState.FILTERED
        await settle(
            relay.ledger, delivered_update(CALL, state=state, delivered_version=version), name=name, now=1
        )
    await delete_calls(relay)


async def delete_calls(relay: FoldingRelay) -> None:
    await relay.ledger.write(
        lambda c: retention_queries.delete_old_calls(c, before=Instant(2**62), now=Instant(7))
    )
    assert await relay.ledger.read(calls.count) == 0


async def states_of(relay: FoldingRelay, call: str = CALL) -> dict[str, tuple[str, int]]:
    """The state of the deliveries of a call and the version that the CRM has, by destination."""
    rows = await relay.ledger.read(lambda c: deliveries.list_for_call(c, call))
    return {row.destination: (row.state, row.delivered_version) for row in rows}


@pytest.mark.parametrize("state", NEVER_DELIVERED)
async def test_a_late_event_of_a_call_that_no_crm_has_is_delivered_nowhere(
    relay: FoldingRelay, state: DeliveryState
) -> None:
    await relay.receive(b'{"call_uuid":"%s","call_id":77}' % UUID.encode(), path=path_of("started"))
    await settle(relay.ledger, delivered_update(CALL, state=state, delivered_version=0), now=1)
    await delete_calls(relay)
    for event, body in EDITS:
        await relay.receive(body, path=path_of(event))
        assert await states_of(relay) == {}
    assert (await relay.row(CALL)).record.tags == ["late"]
    counts = await relay.ledger.read(deliveries.counts_by_destination)
    assert counts.get("crm", DeliveryCounts()) == DeliveryCounts()


@pytest.mark.parametrize(("event", "body"), EDITS)
async def test_a_late_event_is_delivered_only_where_the_crm_has_the_call(
    relay: FoldingRelay, event: str, body: bytes
) -> None:
    await receive_and_forget_call(relay, crm=1, without=0, other=1)
    assert await relay.ledger.read(deliveries.counts_by_destination) == {}, "a deleted call does not count"
    await relay.ledger.write(lambda c: destinations.register(c, {"new": "local"}))
    pending = {"crm": ("pending", 1), "other": ("pending", 1)}
    await relay.receive(body, path=path_of(event))
    assert await states_of(relay) == pending
    # The second event too, although the ledger has the call again.
    await relay.receive(b'{"call_id":77,"note":"later"}', path=path_of("modified"))
    assert await states_of(relay) == pending


async def test_a_late_event_is_delivered_with_what_it_states_whatever_the_filter(
    relay: FoldingRelay,
) -> None:
    await receive_and_forget_call(relay, crm=1)
    await relay.receive(*(body for _, body in EDITS[:1]), path=path_of("modified"))
    (due,) = await take_due(relay.ledger, now=2**62)
    settings = DestinationSettings.model_validate(
        {
            "client": "local",
            "when": {"directions": ["inbound"], "own_numbers": ["34911"], "minimum_seconds": 5},
        }
    )
    assert choose_action(due, settings, forward_internal=False) is Action.UPSERT
    assert {"tags", "call_uuid"} <= due.field_versions.keys()
    assert due.field_versions.keys().isdisjoint({"direction", "notes", "duration"})
    unknown = {"status": 0, "follow_up": 0}
    assert due.field_versions == dict.fromkeys(due.field_versions, 2) | unknown


async def test_a_replay_begins_no_record_of_a_forgotten_call(relay: FoldingRelay) -> None:
    await receive_and_forget_call(relay, crm=1, without=0)
    await relay.receive(EDITS[0][1], path=path_of("modified"))
    targets = {name: DestinationSettings(client="local") for name in ("crm", "new", "without")}
    replay = Replay(relay.ledger, targets, forward_internal=False)
    result = await replay.replay_calls([CALL])
    assert result.counts == [
        ReplayCounts("crm", pending=1),
        ReplayCounts("new", filtered=1),
        ReplayCounts("without", filtered=1),
    ]
    assert await states_of(relay) == {"crm": ("pending", 1)}


async def test_deliveries_stay_as_long_as_the_tombstone(relay: FoldingRelay) -> None:
    await receive_and_forget_call(relay, crm=1, without=0)
    assert await states_of(relay) == {"crm": ("delivered", 1)}
    await relay.ledger.write(lambda c: tombstones.delete_old(c, before=Instant(8), limit=9))
    assert await states_of(relay) == {}


async def test_the_deliveries_of_a_continued_call_outlive_its_tombstone(relay: FoldingRelay) -> None:
    await receive_and_forget_call(relay, crm=1)
    await relay.receive(EDITS[0][1], path=path_of("modified"))
    await relay.ledger.write(lambda c: tombstones.delete_old(c, before=Instant(8), limit=9))
    assert await states_of(relay) == {"crm": ("pending", 1)}


# --- merges of deleted calls ----------------------------------------------------------------------

BOTH_IDS: Final = b'{"call_uuid":"%s","call_id":77,"note":"both"}' % UUID.encode()


async def receive_two_and_delete(relay: FoldingRelay, *delivered: str) -> None:
    """Receive a call by each id; the CRM receives some, the first one first; retention deletes both."""
    await relay.receive(b'{"call_uuid":"%s"}' % UUID.encode(), path=path_of("started"))
    await relay.receive(b'{"call_id":77}', path=path_of("started"))
    for at, call in enumerate(delivered, 1):
        await settle(relay.ledger, delivered_update(call), now=at)
    for call in {CALL, "cloudtalk-77"} - set(delivered):
        filtered = delivered_update(call, state=DeliveryState.FILTERED, delivered_version=0)
        await settle(relay.ledger, filtered)
    await delete_calls(relay)


@pytest.mark.parametrize("calls_by_delivery", [(CALL, "cloudtalk-77"), ("cloudtalk-77", CALL)])
async def test_of_two_deleted_calls_that_prove_the_same_the_record_delivered_last_is_retracted(
    relay: FoldingRelay, calls_by_delivery: tuple[str, str]
) -> None:
    survivor, loser = calls_by_delivery
    await receive_two_and_delete(relay, survivor, loser)
    await relay.receive(BOTH_IDS, path=path_of("modified"))
    due = {each.call.id: each for each in await take_due(relay.ledger, now=2**62)}
    settings = DestinationSettings(client="local")
    actions = {id_: choose_action(each, settings, forward_internal=False) for id_, each in due.items()}
    assert actions == {survivor: Action.UPSERT, loser: Action.RETRACT}
    assert (due[loser].call.merged_into, due[loser].call.version > 1) == (survivor, True)
    retracted = delivered_update(loser, version=due[loser].call.version, state=DeliveryState.RETRACTED)
    await settle(relay.ledger, retracted, delivered_update(survivor, version=due[survivor].call.version))
    # The next event finds the survivor by either id, and concerns the loser no more.
    await relay.receive(b'{"call_id":77,"tags":["a"]}', path=path_of("modified"))
    await relay.receive(
        b'{"call_uuid":"%s","recording_url":"https://x.test/1"}' % UUID.encode(), path=path_of("recording")
    )
    assert [each.call.id for each in await take_due(relay.ledger, now=2**62)] == [survivor]


@pytest.mark.parametrize("delivered", [CALL, "cloudtalk-77"])
async def test_of_two_deleted_calls_that_prove_the_same_the_delivered_one_is_continued(
    relay: FoldingRelay, delivered: str
) -> None:
    await receive_two_and_delete(relay, delivered)
    await relay.receive(BOTH_IDS, path=path_of("modified"))
    assert [each.call.id for each in await take_due(relay.ledger, now=2**62)] == [delivered]
    assert (await relay.row(delivered)).record.notes == "both"


async def test_two_deleted_calls_that_no_crm_has_stay_in_none(relay: FoldingRelay) -> None:
    await receive_two_and_delete(relay)
    await relay.receive(BOTH_IDS, path=path_of("modified"))
    assert await take_due(relay.ledger, now=2**62) == []


async def test_a_call_of_the_ledger_survives_a_deleted_one_that_no_crm_has(relay: FoldingRelay) -> None:
    await relay.receive(b'{"call_uuid":"%s"}' % UUID.encode(), path=path_of("started"))
    filtered = delivered_update(CALL, state=DeliveryState.FILTERED, delivered_version=0)
    await settle(relay.ledger, filtered)
    await delete_calls(relay)
    await relay.receive(b'{"call_id":77}', path=path_of("started"))
    await relay.receive(BOTH_IDS, path=path_of("modified"))
    assert [each.call.id for each in await take_due(relay.ledger, now=2**62)] == ["cloudtalk-77"]
    await relay.receive(b'{"call_uuid":"%s","tags":["a"]}' % UUID.encode(), path=path_of("modified"))
    assert (await relay.row("cloudtalk-77")).record.tags == ["a"]


async def test_a_record_that_a_person_splits_off_is_delivered_although_retention_deleted_it(
    relay: FoldingRelay,
) -> None:
    """Its events are in the ledger, so it is known as a whole."""
    await relay.receive(b'{"call_uuid":"%s"}' % UUID.encode(), path=path_of("started"))
    await relay.receive(b'{"call_id":77}', path=path_of("started"))
    await relay.receive(BOTH_IDS, path=path_of("modified"))
    loser = "cloudtalk-77"
    await relay.ledger.write(lambda c: tombstones.add(c, [loser], now=Instant(7)))
    await relay.ledger.write(lambda c: c.execute(call_table.delete().where(call_table.c.id == loser)))
    await relay.ledger.write(
        lambda c: c.execute(delivery_table.delete().where(delivery_table.c.call == loser))
    )
    await split_call(relay.ledger, CALL, FoldOptions())
    assert await states_of(relay, loser) == {"crm": ("pending", 0)}


# --- the outcome ----------------------------------------------------------------------------------

TAG: Final = (b'{"call_id":77,"tags":["late"]}', "modified")
ENDED: Final = (b'{"call_id":77,"wrapup_time":9}', "ended")
MISSED: Final = (b'{"call_id":77,"status":"missed"}', "ended")
ANSWERED: Final = (b'{"call_id":77,"status":"answered"}', "ended")
TALKED: Final = (b'{"call_id":77,"talking_time":9}', "ended")
VOICEMAIL: Final = (b'{"call_id":77,"direction":"incoming","voicemail":true}', "ended")


@pytest.mark.parametrize(
    ("late", "outcomes"),
    [
        ([ENDED], [None]),
        ([TAG, ENDED], [None, None]),
        ([ENDED, TAG], [None, None]),
        ([ENDED, ANSWERED], [None, ("completed", False)]),
        ([ENDED, MISSED], [None, ("missed", None)]),
        ([ENDED, VOICEMAIL], [None, ("voicemail", True)]),
        ([TAG, ENDED, TALKED], [None, None, ("completed", False)]),
        ([MISSED], [("missed", None)]),
        ([ANSWERED], [("completed", False)]),
        ([VOICEMAIL], [("voicemail", True)]),
        ([MISSED, TAG], [("missed", None), None]),
    ],
)
@pytest.mark.parametrize("rewrite", [False, True])
async def test_the_outcome_of_a_forgotten_call_is_pushed_only_once_it_is_stated(
    relay: FoldingRelay,
    late: list[tuple[bytes, str]],
    outcomes: list[tuple[str, bool | None] | None],
    rewrite: bool,
) -> None:
    """An outcome: the status and the follow-up that are pushed. None: the field is not pushed."""
    delivered = await receive_and_delete_call(relay)
    known: dict[str, object] = {}
    for (body, event), outcome in zip(late, outcomes, strict=True):
        await relay.receive(body, path=path_of(event))
        (due,) = await take_due(relay.ledger, now=2**62)
        due = msgspec.structs.replace(due, delivered_version=delivered, rewrite=rewrite)
        fields = undelivered_fields(due, partial=True)
        values = {"status": due.call.status.value, "follow_up": due.call.follow_up}
        pushed = {field: value for field, value in values.items() if field in fields}
        if outcome is not None:
            known = {field: value for field, value in zip(values, outcome, strict=True) if value is not None}
        assert pushed == (known if rewrite or outcome is not None else {})
        delivered = due.call.version


async def test_the_ledger_itself_shows_that_a_forgotten_call_is_over(relay: FoldingRelay) -> None:
    await receive_and_delete_call(relay)
    for body, event in (TAG, (b'{"call_id":77}', "ended")):
        await relay.receive(body, path=path_of(event))
    assert (await relay.row(CALL)).record.status == "completed"
