"""The views of deliveries and destinations."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from crm_clients.settings import DestinationSettings
from relay.instants import SECOND, Duration, Instant, iso
from relay.ledger import Ledger, delivered_counts, deliveries, destinations, journal, leases, quarantine
from relay.ledger.connection import Connection
from relay.ledger.destinations import Pause
from relay.ledger.quarantine import NewQuarantinedBody
from relay.operations.explanation import Situation
from relay.operations.status import EventCounts, Status, get_status
from tests.support.operations import DEAD, DELIVERED, NOW, write_call
from tests.support.samples import make_event_row


async def status(ledger: Ledger, *, now: int = NOW, **enabled: bool) -> Status:
    settings = {name: DestinationSettings(client="local", enabled=value) for name, value in enabled.items()}
    return await ledger.read(lambda connection: get_status(connection, Situation(settings, Instant(now))))


async def test_events_calls_and_quarantine_are_counted(ledger: Ledger) -> None:
    assert msgspec.to_builtins(await status(ledger)) == {
        "relays": [],
        "events": {
            "accepted": 0,
            "unfolded": 0,
            "last_at": None,
            "aside": 0,
            "quarantined": 0,
            "quarantine_dropped": 0,
            "unclear": 0,
        },
        "calls": 0,
        "follow_ups": {"customers": 0, "median_seconds": None, "longest_seconds": None},
        "destinations": [],
        "history": {"reconciles": False, "last": None, "next_at": None, "failing": None, "backfills": []},
        "retention_refused": None,
        "audit": None,
        "refused": [],
        "enrichment": {"pending": 0, "paused": []},
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
        accepted=4,
        unfolded=2,
        last_at=iso(NOW + 3),
        aside=1,
        quarantined=1,
        quarantine_dropped=0,
        unclear=0,
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


async def test_calls_that_wait_until_they_are_complete_are_pending_and_not_late(ledger: Ledger) -> None:
    held = [("cloudtalk-1", 1, Instant(NOW + 60 * SECOND))]

    def write(connection: Connection) -> None:
        destinations.register(connection, {"crm": "local"})
        write_call(connection, "cloudtalk-1")
        deliveries.hold(connection, "crm", held)
        lease = leases.delivery_lease("crm")
        leases.acquire(connection, lease, "here/1/1", now=Instant(NOW), length=Duration(900 * SECOND))

    await ledger.write(write)
    (crm,) = (await status(ledger, now=NOW + 50 * SECOND, crm=True)).destinations
    assert (crm.pending, crm.oldest_pending_seconds) == (1, 0)
    assert (crm.state, crm.explanation_code) == ("delivering", "incomplete")
    assert crm.explanation.startswith("crm has 1 calls pending, which all wait until they are complete")
    # Its wait is over, and nobody has sent it.
    (crm,) = (await status(ledger, now=NOW + 100 * SECOND, crm=True)).destinations
    assert (crm.oldest_pending_seconds, crm.explanation_code) == (40, "being_delivered")
    (crm,) = (await status(ledger, now=NOW + 60 * SECOND, crm=True)).destinations
    assert crm.explanation_code == "being_delivered"


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
                connection,
                name,
                Pause("throttled", 1, "429", "slow down"),
                until=Instant(NOW + SECOND),
                now=Instant(NOW - SECOND),
            )
        destinations.pause(connection, "e_paused", now=Instant(1))

    await ledger.write(write)
    found = await status(ledger, a_delivering=True, b_waiting=True, c_disabled=False, e_paused=True)
    assert [row.name for row in found.destinations] == list(names)
    assert [row.name[2:] for row in found.destinations] == [row.state for row in found.destinations]
    delivering, waiting, *_ = found.destinations
    assert delivering.paused_reason is delivering.paused_until is delivering.paused_message is None
    assert delivering.paused_since is None
    assert (waiting.paused_reason, waiting.paused_message) == ("throttled", "slow down")
    assert (waiting.paused_since, waiting.paused_until) == (iso(NOW - SECOND), iso(NOW + SECOND))


async def test_calls_delivered_since_midnight_in_the_zone_are_counted(ledger: Ledger) -> None:
    def at(time: str) -> Instant:
        return Instant(int(datetime.fromisoformat(time).timestamp()) * SECOND)

    def write(connection: Connection) -> None:
        destinations.register(connection, {"crm": "local", "other": "local"})
        delivered_counts.add(connection, "crm", 7, now=at("2026-07-13T23:59:59+02:00"))
        delivered_counts.add(connection, "crm", 2, now=at("2026-07-14T00:00:00+02:00"))
        delivered_counts.add(connection, "crm", 3, now=at("2026-07-14T12:00:00+02:00"))

    await ledger.write(write)
    situation = Situation({}, at("2026-07-14T15:00:00+02:00"), day_zone=ZoneInfo("Europe/Madrid"))
    found = await ledger.read(lambda connection: get_status(connection, situation))
    assert {row.name: row.delivered_today for row in found.destinations} == {"crm": 5, "other": 0}
