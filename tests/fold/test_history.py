"""Rows of the history in a real ledger."""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from sqlalchemy import select

from relay.cloudtalk.history import history_request
from relay.cloudtalk.parser import Parser
from relay.fold.ambiguous import find_doubts
from relay.fold.options import FoldOptions
from relay.fold.rebuild import rebuild_calls
from relay.fold.snapshot import read_snapshot
from relay.fold.split import split_call
from relay.instants import Instant
from relay.ledger import tombstones
from relay.ledger.journal import UnfoldedEvent
from relay.ledger.tables import aliases
from tests.support.folding import FoldingRelay
from tests.support.history import make_row, row_event
from tests.support.relay import WEBHOOK_PATH

UUID = "44fe27cd-5268-4670-993e-0129aabbccdd"
LINKED = f"cloudtalk-{UUID}"


def webhook(**changes: Any) -> bytes:
    """The Started of the row's call, by its uuid."""
    return msgspec.json.encode(
        {
            "event": "call.started",
            "call_uuid": UUID,
            "direction": "incoming",
            "external_number": "+30224000000",
            "internal_number": "+30211000000",
            "started_at": "2024-01-10T08:42:11Z",
        }
        | changes
    )


async def receive_row(relay: FoldingRelay, id_: object = "484371839", **cdr: Any) -> None:
    await relay.receive(history_request(make_row(id_, **cdr)).raw, path="history/calls")


async def read_aliases(relay: FoldingRelay) -> dict[str, tuple[str, str]]:
    rows = await relay.ledger.read(lambda c: c.execute(select(aliases)).all())
    return {alias: (call, reason) for alias, call, reason in rows}


@pytest.mark.parametrize("row_first", [False, True])
async def test_a_row_of_an_old_call_and_its_webhook_are_one_record(
    relay: FoldingRelay, row_first: bool
) -> None:
    """The row says when the call took place, however long ago that is."""
    if row_first:
        await receive_row(relay)
        await relay.receive(webhook())
    else:
        await relay.receive(webhook())
        await receive_row(relay)
    name, linked = ("cloudtalk-484371839", f"uuid:{UUID}") if row_first else (LINKED, "id:484371839")
    found = await read_aliases(relay)
    assert {call for call, _ in found.values()} == {name}
    assert found[linked] == (name, "number_and_time")
    record = (await relay.row(name)).record
    assert (record.call_uuid, record.call_id, record.talking_seconds) == (UUID, "484371839", 27)
    assert (await relay.delivery(name)).state == "pending"


@pytest.mark.parametrize("child_first", [False, True])
async def test_a_leg_is_linked_to_the_call_that_it_names(relay: FoldingRelay, child_first: bool) -> None:
    times = {"started_at": "2024-01-10T09:50:00+01:00", "ended_at": "2024-01-10T09:51:00+01:00"}
    for id_, cdr in sorted({"1": {}, "2": times | {"transferred_from": "1"}}.items(), reverse=child_first):
        await receive_row(relay, id_, **cdr)
    name = "cloudtalk-2" if child_first else "cloudtalk-1"
    row = await relay.row(name)
    assert (row.state.aliases, len(row.record.legs)) == (["id:1", "id:2"], 2)
    assert (await read_aliases(relay))["leg_of:1"] == (name, "leg")


async def test_a_rebuild_parses_rows_again(relay: FoldingRelay) -> None:
    await relay.receive(webhook())
    await receive_row(relay, started_at="2024-01-10 09:42:11", ended_at="2024-01-10 09:42:47")
    parser = Parser(ZoneInfo("Europe/London"), "ES")
    result = await rebuild_calls(relay.ledger, parser, FoldOptions(), lambda _done, _total: None)
    assert (result.calls, result.changed, result.unread) == (1, 1, 0)
    row = await relay.row(LINKED)
    assert row.record.ended_at == "2024-01-10T09:42:47Z"
    assert row.state.fact("row:484371839") == row_event(
        started_at="2024-01-10 09:42:11", ended_at="2024-01-10 09:42:47"
    ).fact("row:484371839")


async def test_a_call_that_a_person_split_is_not_linked_again(relay: FoldingRelay) -> None:
    await relay.receive(webhook(event="ringing", started_at=None))
    await receive_row(relay)
    body = msgspec.json.encode({"call_uuid": UUID, "call_id": 484371839})
    await relay.receive(body, path=f"{WEBHOOK_PATH}/call.modified")
    assert (await relay.row(LINKED)).record.merged_into == "cloudtalk-484371839"
    split = await split_call(relay.ledger, "cloudtalk-484371839", FoldOptions())
    await relay.receive(webhook())
    await receive_row(relay, Tags=[{"name": "lead"}])
    kept, split_off = await relay.row(split.kept), await relay.row(split.split_off)
    assert (kept.record.call_uuid, kept.record.tags) == (UUID, [])
    assert (split_off.record.call_id, split_off.record.tags) == ("484371839", ["lead"])


async def test_the_reference_to_a_call_is_no_alias_of_a_deleted_call(relay: FoldingRelay) -> None:
    await receive_row(relay, "2", transferred_from="1")
    await relay.ledger.write(lambda c: tombstones.add(c, ["cloudtalk-2"], now=Instant(1)))
    found = await relay.ledger.read(lambda c: tombstones.get_many(c, ["cloudtalk-2"]))
    assert found["cloudtalk-2"].aliases == ["id:2"]


async def test_ambiguous_rows_are_found_in_the_ledger(relay: FoldingRelay) -> None:
    await relay.receive(webhook(), webhook(call_uuid=UUID.replace("d", "e")))
    rows = [row_event(), row_event("5", public_external="+34611111111")]
    unfolded = [UnfoldedEvent(n, Instant(2**60), row, waited=False) for n, row in enumerate(rows)]
    found = await relay.ledger.read(
        lambda c: find_doubts(unfolded, read_snapshot(c, unfolded, looks_around=True))
    )
    assert found.to_ask == {0}
