"""The views of calls, deliveries and destinations that the commands show."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from relay.cli.queries import CallView, EventCounts, Status, find_call, get_status, view_call
from relay.instants import SECOND, Instant, iso
from relay.ledger import Ledger, aliases, calls, deliveries, destinations, journal, quarantine
from relay.ledger.aliases import Alias, AliasReason
from relay.ledger.connection import Connection
from relay.ledger.destinations import Pause
from relay.ledger.quarantine import NewQuarantinedBody
from relay.ledger.states import DeliveryState
from tests.support.clock import Clock
from tests.support.deliveries import delivered_update
from tests.support.ledgers import open_ledger
from tests.support.samples import RECEIVED_AT, make_call_row, make_event, make_event_row

UUID = "a1b2c3d4-0000-4000-8000-00000000abcd"
NOW = RECEIVED_AT
DELIVERED = delivered_update(due_at=NOW, attempted_at=NOW, remote_id="r1")
RETRYING = msgspec.structs.replace(
    DELIVERED,
    state=DeliveryState.PENDING,
    delivered_version=0,
    due_at=NOW + 5 * SECOND,
    attempts=2,
    remote_id=None,
    outcome="retry",
    code="503",
    message="it's down",
)
DEAD = msgspec.structs.replace(RETRYING, state=DeliveryState.DEAD, outcome="rejected", code="22P05")


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(f"sqlite:///{tmp_path / 'relay.db'}", clock=Clock(NOW)) as ledger:
        yield ledger


def write_call(connection: Connection, id_: str, version: int = 1, *ids: str) -> None:
    """Write a call, pending for every destination."""
    calls.write(connection, [make_call_row(id_, version)], [])
    aliases.add(connection, [Alias(alias, id_, AliasReason.STATED) for alias in ids])
    deliveries.enqueue(connection, [(id_, version)], now=NOW)


# --- one call -------------------------------------------------------------------------------------


async def find_id(ledger: Ledger, wanted: str) -> str | None:
    call = await ledger.read(lambda connection: find_call(connection, wanted))
    return call.id if call else None


async def view(ledger: Ledger, wanted: str) -> CallView:
    def read(connection: Connection) -> CallView:
        call = find_call(connection, wanted)
        assert call is not None
        return view_call(connection, call)

    return await ledger.read(read)


@pytest.mark.parametrize("wanted", ["cloudtalk-x", "x", "42", UUID, UUID.upper(), "a word"])
async def test_a_call_is_found_by_the_id_of_the_record_and_by_each_id_of_cloudtalk(
    ledger: Ledger, wanted: str
) -> None:
    await ledger.write(
        lambda c: write_call(c, "cloudtalk-x", 1, "id:42", f"uuid:{UUID}", "other:a word", "id:cloudtalk-x")
    )
    assert await find_id(ledger, wanted) == "cloudtalk-x"


@pytest.mark.parametrize("wanted", ["y", "4", "", "cloudtalk-", "%", "CLOUDTALK-X"])
async def test_another_id_finds_nothing(ledger: Ledger, wanted: str) -> None:
    await ledger.write(lambda c: write_call(c, "cloudtalk-x", 1, "id:42"))
    assert await find_id(ledger, wanted) is None


async def test_the_id_of_a_record_is_preferred_to_an_equal_alias(ledger: Ledger) -> None:
    await ledger.write(lambda c: write_call(c, "cloudtalk-1"))
    await ledger.write(lambda c: write_call(c, "cloudtalk-2", 1, "other:cloudtalk-1"))
    assert await find_id(ledger, "cloudtalk-1") == "cloudtalk-1"


async def test_the_events_of_a_call_are_shown_raw_in_the_order_of_arrival(ledger: Ledger) -> None:
    parsed = msgspec.structs.replace(make_event(name="1"), occurred_at=NOW - SECOND)

    def write(connection: Connection) -> None:
        rows = [
            make_event_row(b'{"first": "\xc3\xb1"}', parsed=parsed),
            make_event_row(b"caf\xe9", at=1500),
            make_event_row(b"of another call", at=1600, name="2"),
        ]
        first, second, other = journal.append(connection, rows)
        write_call(connection, "cloudtalk-1")
        journal.mark_folded(
            connection, [(second, "cloudtalk-1"), (first, "cloudtalk-1"), (other, "cloudtalk-2")]
        )

    await ledger.write(write)
    call = await view(ledger, "1")
    assert msgspec.to_builtins(call.events) == [
        {
            "seq": 1,
            "kind": "started",
            "dialect": "mission",
            "said_at": iso(NOW - SECOND),
            "received_at": iso(NOW),
            "raw": '{"first": "ñ"}',
        },
        {
            "seq": 2,
            "kind": "started",
            "dialect": "mission",
            "said_at": None,
            "received_at": iso(NOW + 1500),
            "raw": "caf\ufffd",
        },
    ]


async def test_a_call_is_shown_with_its_delivery_to_each_destination(ledger: Ledger) -> None:
    def write(connection: Connection) -> None:
        destinations.register(connection, dict.fromkeys(("dead", "done", "new", "waiting"), "local"))
        write_call(connection, "cloudtalk-1")
        for destination, update in (("done", DELIVERED), ("waiting", RETRYING), ("dead", DEAD)):
            deliveries.settle(connection, destination, [update], now=NOW)

    await ledger.write(write)
    call = await view(ledger, "1")
    shown = {delivery.pop("destination"): delivery for delivery in msgspec.to_builtins(call.deliveries)}
    nothing = dict.fromkeys(("delivered_version", "remote_id", "outcome", "code", "message"))
    assert shown == {
        "done": nothing
        | {"state": "delivered", "version": 1, "delivered_version": 1, "attempts": 1, "remote_id": "r1"}
        | {"next_attempt_at": None, "outcome": "delivered"},
        "waiting": nothing
        | {"state": "pending", "version": 1, "attempts": 2, "next_attempt_at": iso(NOW + 5 * SECOND)}
        | {"outcome": "retry", "code": "503", "message": "it's down"},
        "dead": nothing
        | {"state": "dead", "version": 1, "attempts": 2, "next_attempt_at": None}
        | {"outcome": "rejected", "code": "22P05", "message": "it's down"},
        "new": nothing | {"state": "pending", "version": 1, "attempts": 0, "next_attempt_at": iso(NOW)},
    }


# --- the status of everything ----------------------------------------------------------------------


async def status(ledger: Ledger, *, now: int = NOW, **enabled: bool) -> Status:
    return await ledger.read(lambda connection: get_status(connection, enabled, now=Instant(now)))


async def test_events_calls_and_quarantine_are_counted(ledger: Ledger) -> None:
    assert msgspec.to_builtins(await status(ledger)) == {
        "events": {
            "accepted": 0,
            "unfolded": 0,
            "aside": 0,
            "quarantined": 0,
            "quarantine_dropped": 0,
            "unclear": 0,
        },
        "calls": 0,
        "destinations": [],
        "retention_refused": None,
    }

    def write(connection: Connection) -> None:
        seqs = journal.append(connection, [make_event_row(at=at) for at in range(4)])
        write_call(connection, "cloudtalk-1")
        journal.mark_folded(connection, [(seqs[0], "cloudtalk-1")])
        journal.set_aside(connection, seqs[1], "the fold failed")
        quarantine.add(connection, NewQuarantinedBody(NOW, "not_json", "", "", "", "/", "", b"x"))

    await ledger.write(write)
    found = await status(ledger)
    assert found.events == EventCounts(
        accepted=4, unfolded=2, aside=1, quarantined=1, quarantine_dropped=0, unclear=0
    )
    assert found.calls == 1


async def test_a_destination_has_its_pending_deliveries_and_the_age_of_the_oldest(ledger: Ledger) -> None:
    def write(connection: Connection) -> None:
        destinations.register(connection, {"crm": "local"})
        for number in range(1, 5):
            write_call(connection, f"cloudtalk-{number}")
        ended = (DELIVERED, msgspec.structs.replace(DEAD, call="cloudtalk-2"))
        deliveries.settle(connection, "crm", ended, now=NOW)

    await ledger.write(write)
    (crm,) = (await status(ledger, now=NOW + 90 * SECOND + 1, crm=True)).destinations
    assert (crm.pending, crm.delivered, crm.dead, crm.oldest_pending_seconds) == (2, 1, 1, 90)
    (crm,) = (await status(ledger, now=NOW - SECOND, crm=True)).destinations
    assert crm.oldest_pending_seconds == 0  # a clock that was set back


async def test_a_destination_without_pending_deliveries_has_no_oldest(ledger: Ledger) -> None:
    await ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
    (crm,) = (await status(ledger, crm=True)).destinations
    assert (crm.pending, crm.oldest_pending_seconds) == (0, None)


async def test_a_destination_is_delivering_waiting_disabled_orphaned_or_paused(ledger: Ledger) -> None:
    names = ("a_delivering", "b_waiting", "c_disabled", "d_orphaned", "e_paused")

    def write(connection: Connection) -> None:
        destinations.register(connection, dict.fromkeys(names, "local"))
        for name in names[1:4]:
            destinations.pause_until(
                connection, name, Pause("throttled", 1, "429", "slow down"), until=Instant(NOW + SECOND)
            )
        destinations.pause(connection, "e_paused")

    await ledger.write(write)
    found = await status(ledger, a_delivering=True, b_waiting=True, c_disabled=False, e_paused=True)
    assert [row.name for row in found.destinations] == list(names)
    assert [row.name[2:] for row in found.destinations] == [row.state for row in found.destinations]
    delivering, waiting, *_ = found.destinations
    assert delivering.paused_reason is delivering.paused_until is delivering.paused_message is None
    assert (waiting.paused_reason, waiting.paused_until, waiting.paused_message) == (
        "throttled",
        iso(NOW + SECOND),
        "slow down",
    )
