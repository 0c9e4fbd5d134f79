"""What the command line shows, as it is found in the ledger."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection

from relay.cli.queries import call_view, status_view
from relay.instants import iso
from relay.ledger import Ledger, aliases, calls, deliveries, destinations, journal, quarantine
from relay.ledger.aliases import Alias, AliasReason
from relay.ledger.deliveries import DeliveryUpdate
from relay.ledger.destinations import Pause
from relay.ledger.quarantine import NewQuarantinedBody
from relay.ledger.states import DeliveryState
from tests.support.clock import SECOND, Clock
from tests.support.samples import RECEIVED_AT, call_row, event_of, event_row

UUID = "a1b2c3d4-0000-4000-8000-00000000abcd"
NOW = RECEIVED_AT
DELIVERED = DeliveryUpdate(
    call="cloudtalk-1",
    version=1,
    state=DeliveryState.DELIVERED,
    delivered_version=1,
    due_at=NOW,
    attempts=1,
    attempted_at=NOW,
    failing_for=0,
    remote_id="r1",
    outcome="delivered",
    code=None,
    message=None,
)
WAITING = msgspec.structs.replace(
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
DEAD = msgspec.structs.replace(WAITING, state=DeliveryState.DEAD, outcome="rejected", code="22P05")


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'relay.db'}", clock=Clock(NOW))
    await opened.open()
    yield opened
    await opened.close()


def write_call(connection: Connection, id_: str, version: int = 1, *ids: str) -> None:
    """A call of this id, owed to every destination."""
    calls.write(connection, [call_row(id_, version)], [])
    aliases.add(connection, [Alias(alias, id_, AliasReason.STATED) for alias in ids])
    deliveries.enqueue(connection, [(id_, version)], now=NOW)


# --- one call -------------------------------------------------------------------------------------


async def shown(ledger: Ledger, wanted: str) -> dict[str, Any] | None:
    return await ledger.read(lambda connection: call_view(connection, wanted))


@pytest.mark.parametrize("wanted", ["cloudtalk-x", "x", "42", UUID, UUID.upper(), "a word"])
async def test_a_call_is_found_by_the_records_id_and_by_each_of_cloudtalks(
    ledger: Ledger, wanted: str
) -> None:
    await ledger.write(
        lambda c: write_call(c, "cloudtalk-x", 1, "id:42", f"uuid:{UUID}", "other:a word", "id:cloudtalk-x")
    )
    found = await shown(ledger, wanted)
    assert found is not None
    assert found["id"] == "cloudtalk-x"


@pytest.mark.parametrize("wanted", ["y", "4", "", "cloudtalk-", "%", "CLOUDTALK-X"])
async def test_another_id_finds_nothing(ledger: Ledger, wanted: str) -> None:
    await ledger.write(lambda c: write_call(c, "cloudtalk-x", 1, "id:42"))
    assert await shown(ledger, wanted) is None


async def test_the_records_own_id_comes_before_an_alias_that_reads_alike(ledger: Ledger) -> None:
    await ledger.write(lambda c: write_call(c, "cloudtalk-1"))
    await ledger.write(lambda c: write_call(c, "cloudtalk-2", 1, "other:cloudtalk-1"))
    found = await shown(ledger, "cloudtalk-1")
    assert found is not None
    assert found["id"] == "cloudtalk-1"


async def test_its_events_stand_as_they_came_in_the_order_of_arrival(ledger: Ledger) -> None:
    said = msgspec.structs.replace(event_of("1"), occurred_at=NOW - SECOND)

    def write(connection: Connection) -> None:
        rows = [
            event_row(b'{"first": "\xc3\xb1"}', parsed=said),
            event_row(b"caf\xe9", at=1500),
            event_row(b"of another call", at=1600, name="2"),
        ]
        first, second, other = journal.append(connection, rows)
        write_call(connection, "cloudtalk-1")
        journal.mark_folded(
            connection, [(second, "cloudtalk-1"), (first, "cloudtalk-1"), (other, "cloudtalk-2")]
        )

    await ledger.write(write)
    found = await shown(ledger, "1")
    assert found is not None
    assert found["events"] == [
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


async def test_each_destination_tells_what_it_has_and_what_it_waits_for(ledger: Ledger) -> None:
    def write(connection: Connection) -> None:
        destinations.register(connection, dict.fromkeys(("dead", "done", "new", "waiting"), "local"))
        write_call(connection, "cloudtalk-1")
        for destination, settlement in (("done", DELIVERED), ("waiting", WAITING), ("dead", DEAD)):
            deliveries.settle(connection, destination, [settlement], now=NOW)

    await ledger.write(write)
    found = await shown(ledger, "1")
    assert found is not None
    told = {delivery.pop("destination"): delivery for delivery in found["deliveries"]}
    nothing = dict.fromkeys(("delivered_version", "remote_id", "outcome", "code", "message"))
    assert told == {
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


# --- how all of it stands -------------------------------------------------------------------------


async def status(ledger: Ledger, *, now: int = NOW, **enabled: bool) -> dict[str, Any]:
    return await ledger.read(lambda connection: status_view(connection, enabled, now=now))


async def test_events_calls_and_quarantine_are_counted(ledger: Ledger) -> None:
    assert await status(ledger) == {
        "events": {"accepted": 0, "unfolded": 0, "quarantined": 0},
        "calls": 0,
        "destinations": [],
    }

    def write(connection: Connection) -> None:
        seqs = journal.append(connection, [event_row(at=at) for at in range(4)])
        write_call(connection, "cloudtalk-1")
        journal.mark_folded(connection, [(seqs[0], "cloudtalk-1")])
        journal.set_aside(connection, seqs[1], "it broke the fold")
        quarantine.add(connection, NewQuarantinedBody(NOW, "not_json", "", "", "", "/", "", b"x"))

    await ledger.write(write)
    found = await status(ledger)
    assert found["events"] == {"accepted": 4, "unfolded": 2, "quarantined": 1}
    assert found["calls"] == 1


async def test_a_destination_tells_what_it_is_owed_and_since_when(ledger: Ledger) -> None:
    def write(connection: Connection) -> None:
        destinations.register(connection, {"crm": "local"})
        for number in range(1, 5):
            write_call(connection, f"cloudtalk-{number}")
        ended = (DELIVERED, msgspec.structs.replace(DEAD, call="cloudtalk-2"))
        deliveries.settle(connection, "crm", ended, now=NOW)

    await ledger.write(write)
    (crm,) = (await status(ledger, now=NOW + 90 * SECOND + 1, crm=True))["destinations"]
    assert (crm["pending"], crm["delivered"], crm["dead"], crm["oldest_pending_seconds"]) == (2, 1, 1, 90)
    (crm,) = (await status(ledger, now=NOW - SECOND, crm=True))["destinations"]
    assert crm["oldest_pending_seconds"] == 0  # a clock that was set back


async def test_a_destination_that_is_owed_nothing_has_no_oldest(ledger: Ledger) -> None:
    await ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
    (crm,) = (await status(ledger, crm=True))["destinations"]
    assert (crm["pending"], crm["oldest_pending_seconds"]) == (0, None)


async def test_a_destination_is_delivering_waiting_disabled_orphaned_or_paused(ledger: Ledger) -> None:
    names = ("a_delivering", "b_waiting", "c_disabled", "d_orphaned", "e_paused")

    def write(connection: Connection) -> None:
        destinations.register(connection, dict.fromkeys(names, "local"))
        for name in names[1:4]:
            destinations.pause_until(
                connection, name, Pause("throttled", 1, "429", "slow down"), until=NOW + SECOND
            )
        destinations.pause(connection, "e_paused")

    await ledger.write(write)
    told = (await status(ledger, a_delivering=True, b_waiting=True, c_disabled=False, e_paused=True))[
        "destinations"
    ]
    assert [row["name"] for row in told] == list(names)
    assert [row["name"][2:] for row in told] == [row["state"] for row in told]
    assert told[0]["paused_reason"] is told[0]["paused_until"] is told[0]["paused_message"] is None
    assert (told[1]["paused_reason"], told[1]["paused_until"], told[1]["paused_message"]) == (
        "throttled",
        iso(NOW + SECOND),
        "slow down",
    )
