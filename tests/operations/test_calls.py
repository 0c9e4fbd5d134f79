"""The view of a call."""

import msgspec
import pytest

from relay.instants import SECOND, iso
from relay.ledger import Ledger, calls, deliveries, destinations, journal, tables
from relay.ledger.connection import Connection
from relay.operations.calls import CallView, find_call, view_call
from relay.operations.explanation import Situation
from relay.operations.story import view_story
from tests.support.operations import DEAD, DELIVERED, NOW, RETRYING, write_call
from tests.support.samples import make_event, make_event_row

UUID = "a1b2c3d4-0000-4000-8000-00000000abcd"


async def find_id(ledger: Ledger, wanted: str) -> str | None:
    call = await ledger.read(lambda connection: find_call(connection, wanted))
    return call.id if call else None


async def view(ledger: Ledger, wanted: str) -> CallView:
    def read(connection: Connection) -> CallView:
        call = find_call(connection, wanted)
        assert call is not None
        return view_call(connection, call, Situation({}, NOW))

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


@pytest.mark.parametrize("limit", [{"MOST_EVENTS": 2}, {"MOST_EVENT_BYTES": 25}])
async def test_the_newest_events_of_a_call_are_shown_with_the_number_of_the_others(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, limit: dict[str, int]
) -> None:
    for name, value in limit.items():
        monkeypatch.setattr(f"relay.operations.calls.{name}", value)

    def write(connection: Connection) -> None:
        seqs = journal.append(connection, [make_event_row(b"%d" % number, at=number) for number in range(4)])
        write_call(connection, "cloudtalk-1")
        journal.mark_folded(connection, [(seq, "cloudtalk-1") for seq in seqs])
        connection.execute(tables.events.update().values(size=10))

    await ledger.write(write)
    found = await view(ledger, "cloudtalk-1")
    assert ([event.raw for event in found.events], found.events_left_out) == (["2", "3"], 2)
    story = await ledger.read(
        lambda c: view_story(c, calls.get_many(c, ["cloudtalk-1"])["cloudtalk-1"], Situation({}, NOW))
    )
    assert (story[0].event, story[0].text) == ("left_out", "2 older events of the call are not shown")
    assert [entry.event_seq for entry in story if entry.event == "received"] == [3, 4]


async def test_a_call_is_shown_with_its_delivery_to_each_destination(ledger: Ledger) -> None:
    def write(connection: Connection) -> None:
        destinations.register(connection, dict.fromkeys(("dead", "done", "new", "waiting"), "local"))
        write_call(connection, "cloudtalk-1")
        for destination, update in (("done", DELIVERED), ("waiting", RETRYING), ("dead", DEAD)):
            deliveries.settle(connection, destination, [update], now=NOW)

    await ledger.write(write)
    call = await view(ledger, "1")
    shown = {delivery.pop("destination"): delivery for delivery in msgspec.to_builtins(call.deliveries)}
    for delivery in shown.values():
        del delivery["explanation"], delivery["explanation_code"]  # see test_explanation
        assert delivery.pop("pushes") == []  # see test_story
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
