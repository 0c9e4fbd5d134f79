"""What waits in the ledger."""

import msgspec

from relay.instants import Instant
from relay.ledger import Ledger, deliveries, destinations, journal, quarantine
from relay.ledger.backlog import read_backlog
from relay.ledger.connection import Connection
from relay.ledger.quarantine import NewQuarantinedBody
from tests.support.operations import DEAD, DELIVERED, NOW, write_call
from tests.support.samples import make_event_row


async def test_an_empty_ledger_has_no_backlog(ledger: Ledger) -> None:
    found = await ledger.read(read_backlog)
    assert (found.unfolded, found.set_aside, found.quarantined, found.last_event_at) == (0, 0, 0, None)


async def test_events_deliveries_and_quarantine_are_counted(ledger: Ledger) -> None:
    def write(connection: Connection) -> None:
        destinations.register(connection, {"crm": "local", "far": "local"})
        seqs = journal.append(connection, [make_event_row(at=at) for at in (50, 10, 30, 20)])
        for number in range(1, 5):
            write_call(connection, f"cloudtalk-{number}")
        journal.mark_folded(connection, [(seqs[0], "cloudtalk-1")])
        journal.set_aside(connection, seqs[1], "the fold failed")
        journal.mark_waiting(connection, [(seqs[2], "ct:1")], until=Instant(NOW))
        quarantine.add(connection, NewQuarantinedBody(NOW, "not_json", "", "", "", "/", "", b"x"))
        ended = (DELIVERED, msgspec.structs.replace(DEAD, call="cloudtalk-2"))
        deliveries.settle(connection, "crm", ended, now=NOW)

    await ledger.write(write)
    found = await ledger.read(read_backlog)
    assert (found.unfolded, found.set_aside, found.quarantined, found.last_event_at) == (2, 1, 1, NOW + 50)
    by_name = {
        each.row.name: (each.counts.pending, each.counts.oldest_pending_since, each.counts.dead)
        for each in found.destinations
    }
    assert {name: by_name[name] for name in ("crm", "far")} == {"crm": (2, NOW, 1), "far": (4, NOW, 0)}
    # Counting the delivered ones would read all deliveries.
    assert {each.counts.delivered for each in found.destinations} == {0}
