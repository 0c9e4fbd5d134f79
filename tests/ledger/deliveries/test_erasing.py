"""What CRMs are to erase of forgotten calls."""

from typing import Final

import msgspec

from relay.call import minimal_call
from relay.instants import Instant
from relay.ledger import Ledger, aliases, calls, dead_letters, deliveries, erasure
from relay.ledger.aliases import Alias, AliasReason
from relay.ledger.connection import Connection
from relay.ledger.deliveries import Erasure
from relay.ledger.states import DeliveryState
from tests.support.deliveries import delivered_update, get_delivery, settle, take_due
from tests.support.ledger_content import read_all_rows
from tests.support.samples import make_call_row

NUMBER: Final = "+34612345678"
FIELDS: Final = {"crm": frozenset({"external_number"}), "other": frozenset[str]()}


async def write(ledger: Ledger, id_: str, number: str = NUMBER) -> None:
    """Write a call of this number, and enqueue it."""
    row = make_call_row(id_, external_number=number)

    def work(c: Connection) -> None:
        calls.write(c, [row], [])
        aliases.add(c, [Alias(f"other:{id_}", id_, AliasReason.STATED)])
        deliveries.enqueue(c, [(id_, 1)], now=Instant(10))

    await ledger.write(work)


async def erase(ledger: Ledger, *ids: str, fields: dict[str, frozenset[str]] = FIELDS) -> erasure.Erased:
    return await ledger.write(lambda c: erasure.erase_calls(c, ids, fields, now=Instant(70), by_number=True))


async def test_of_an_erased_call_only_what_crms_need_stays(two_destinations: Ledger) -> None:
    ledger = two_destinations
    await write(ledger, "cloudtalk-a")
    await settle(ledger, delivered_update("cloudtalk-a", remote_id="r1"))

    erased = await erase(ledger, "cloudtalk-a")

    pending = [Erasure("crm", "cloudtalk-a", "r1"), Erasure("other", "cloudtalk-a", None)]
    assert erased == erasure.Erased(1, 0, pending, [])
    (due,) = await take_due(ledger)
    known = {"version": 2, "external_number": NUMBER}
    assert due.call == msgspec.structs.replace(minimal_call("cloudtalk-a", version=1), **known)
    assert (due.erase, due.remote_id, due.field_versions) == (True, "r1", {})
    assert await take_due(ledger, "crm", erasures_only=True) == [due]
    rows = read_all_rows(ledger.url)
    assert [name for name, text in rows.items() if "cloudtalk-a" in text] == ["deliveries"]
    await ledger.write(lambda c: deliveries.finish_erasures(c, "crm", ["cloudtalk-a"]))
    await ledger.write(lambda c: deliveries.finish_erasures(c, "other", ["cloudtalk-a"]))
    assert not [name for name, text in read_all_rows(ledger.url).items() if "cloudtalk-a" in text]


async def test_the_result_of_a_push_under_way_leaves_the_erasure_pending(two_destinations: Ledger) -> None:
    ledger = two_destinations
    await write(ledger, "cloudtalk-a")
    (pushed,) = await take_due(ledger)
    await erase(ledger, "cloudtalk-a")

    await settle(ledger, delivered_update(pushed.call.id, version=1, remote_id="r9"), now=80)

    row = await get_delivery(ledger, "cloudtalk-a")
    assert (row.state, row.remote_id, row.version) == (DeliveryState.PENDING, "r9", 2)
    (due,) = await take_due(ledger)
    assert (due.erase, due.remote_id) == (True, "r9")


async def test_a_crm_that_never_had_the_call_has_nothing_to_erase(two_destinations: Ledger) -> None:
    ledger = two_destinations
    await write(ledger, "cloudtalk-a")
    filtered = delivered_update(
        "cloudtalk-a", state=DeliveryState.FILTERED, delivered_version=0, outcome=None, attempted_at=None
    )
    await settle(ledger, filtered)
    await settle(ledger, delivered_update("cloudtalk-a", remote_id="r2"), name="other")

    erased = await erase(ledger, "cloudtalk-a", fields={"crm": frozenset()})

    assert (erased.pending, erased.unserved) == ([], [Erasure("other", "cloudtalk-a", "r2")])
    assert await ledger.read(lambda c: deliveries.list_for_call(c, "cloudtalk-a")) == []


async def test_a_refused_erasure_is_a_dead_letter_and_dropping_it_leaves_nothing(
    two_destinations: Ledger,
) -> None:
    ledger = two_destinations
    await write(ledger, "cloudtalk-a")
    await settle(ledger, delivered_update("cloudtalk-a", remote_id="r1"))
    await erase(ledger, "cloudtalk-a")
    dead = delivered_update(
        "cloudtalk-a", version=2, state=DeliveryState.DEAD, outcome="rejected", code="x", attempts=1
    )
    await settle(ledger, dead)

    (found,) = await ledger.read(lambda c: dead_letters.find(c, destination="crm"))
    assert (found.call.id, found.code) == ("cloudtalk-a", "x")
    left = await ledger.read(lambda c: deliveries.list_open_erasures(c, ["cloudtalk-a"]))
    assert [(each.destination, each.state, each.code) for each in left] == [
        ("crm", DeliveryState.DEAD, "x"),
        ("other", DeliveryState.PENDING, None),
    ]
    await ledger.write(lambda c: dead_letters.drop(c, [("crm", "cloudtalk-a")]))
    (row,) = await ledger.read(lambda c: deliveries.list_for_call(c, "cloudtalk-a"))
    assert row.destination == "other"


async def test_a_group_of_refused_erasures_is_dropped_as_a_whole(two_destinations: Ledger) -> None:
    ledger = two_destinations
    await write(ledger, "cloudtalk-a")
    await settle(ledger, delivered_update("cloudtalk-a"))
    await erase(ledger, "cloudtalk-a")
    dead = delivered_update("cloudtalk-a", version=2, state=DeliveryState.DEAD, outcome="rejected", code="x")
    await settle(ledger, dead)

    group = dead_letters.Group("crm", "rejected", "x")
    assert await ledger.write(lambda c: dead_letters.drop_group(c, group)) == 1
    assert await ledger.read(dead_letters.find) == []
