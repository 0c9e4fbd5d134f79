"""Reading again what was kept: the quarantine after an upgrade, the journal after a change of settings."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from sqlalchemy import select

from relay.app import Relay
from relay.cloudtalk.parser import Parser, RawRequest
from relay.fold.rebuild import Retried, rebuild, retry
from relay.fold.split import SplitError, split
from relay.ledger import calls, deliveries, destinations, journal, quarantine
from relay.ledger.journal import EventRow
from relay.ledger.quarantine import QuarantineRow
from relay.ledger.tables import events
from tests.support.in_process import settings_in

HOOK = "/cloudtalk/webhook"
TWO = b'[{"event":"call.started","data":{"id":"a"}},{"event":"call.ended","data":{"id":"%s"}}]'
UUID = "44fe27cd-5268-4670-993e-0129aabbccdd"


def reader_in(zone: str) -> Parser:
    return Parser(ZoneInfo(zone), "ES")


@pytest.fixture
async def relay(tmp_path: Path, ledger_url: str) -> AsyncIterator[Relay]:
    """The parts, opened and not at work: the tests fold by hand."""
    made = Relay(settings_in(tmp_path, ledger={"url": ledger_url}))
    await made.open()
    await made.ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
    yield made
    await made.ledger.close()


async def take(relay: Relay, *bodies: bytes, path: str = HOOK, reader: Parser | None = None) -> None:
    """What intake does, and then the fold."""
    rows = []
    for body in bodies:
        found = (reader or reader_in("Europe/Madrid")).read(RawRequest(body, "application/json", path))
        assert isinstance(found, list)
        rows += [
            EventRow(
                relay.group_commit.next_received_at(),
                "application/json",
                path,
                "",
                raw_of(body, part),
                reading,
            )
            for part, reading in enumerate(found)
        ]
    await relay.ledger.write(lambda c: journal.append(c, rows))
    await fold(relay)


def raw_of(body: bytes, part: int) -> bytes:
    """Of an array each event keeps its own part, as intake does."""
    value = msgspec.json.decode(body)
    return msgspec.json.encode(value[part]) if isinstance(value, list) else body


async def fold(relay: Relay) -> None:
    await relay.fold._lease.preempt()
    while await relay.fold.fold():
        pass


async def call_of(relay: Relay, id_: str) -> Any:
    return (await relay.ledger.read(lambda c: calls.by_id(c, [id_]))).get(id_)


def _remember(seen: list[tuple[int, int]]) -> Callable[[int, int], None]:
    return lambda done, total: seen.append((done, total))


async def owed(relay: Relay, id_: str) -> bool:
    (mark,) = await relay.ledger.read(lambda c: deliveries.list_for_call(c, id_))
    return bool(mark.state == "pending")


# --- the quarantine -----------------------------------------------------------------------------


async def keep(relay: Relay, raw: bytes, path: str = HOOK) -> int:
    row = QuarantineRow(7, "not_json", "", "", "application/json", path, "", raw)
    return await relay.ledger.write(lambda c: quarantine.add(c, row))


async def retried(relay: Relay) -> list[Retried]:
    reader = reader_in("Europe/Madrid")
    return await relay.ledger.write(lambda c: [retry(c, reader, row) for row in quarantine.list_all(c)])


async def test_what_can_be_read_now_becomes_an_event_as_of_its_arrival(relay: Relay) -> None:
    one = await keep(
        relay, b'[{"event":"call.started","data":{"id":"a"}},{"event":"call.ended","data":{"id":"b"}}]'
    )
    two = await keep(relay, b"still no JSON")
    first, second = await retried(relay)
    assert first == Retried(one, 2)
    assert (second.id, second.events) == (two, 0)
    assert second.problem is not None
    assert [row.id for row in await relay.ledger.read(quarantine.list_all)] == [two]
    rows = await relay.ledger.read(lambda c: list(c.execute(select(events.c.received_at, events.c.raw))))
    assert [row.received_at for row in rows] == [7, 8]
    assert msgspec.json.decode(rows[1].raw) == {"event": "call.ended", "data": {"id": "b"}}
    await fold(relay)
    assert await call_of(relay, "cloudtalk-a") is not None


# --- the journal --------------------------------------------------------------------------------


async def test_a_change_of_the_timezone_reads_every_call_again(relay: Relay) -> None:
    body = b'{"event":"call.ended","data":{"id":"a","started_at":"2024-11-28 10:30:00","status":"missed"}}'
    await take(relay, body)
    await take(relay, b'{"event":"call.started","data":{"id":"b","started_at":"2024-11-28T10:30:00Z"}}')
    before = await call_of(relay, "cloudtalk-a")
    assert before.record.started_at == "2024-11-28T09:30:00Z"
    seen: list[tuple[int, int]] = []
    done = await rebuild(relay.ledger, reader_in("America/Bogota"), _remember(seen))
    after = await call_of(relay, "cloudtalk-a")
    assert after.record.started_at == "2024-11-28T15:30:00Z"
    assert (after.version, after.changed) == (before.version + 1, {"started_at": before.version + 1})
    assert (done.calls, done.changed, done.unread) == (2, 1, 0)
    assert seen[-1] == (2, 2)
    (mark,) = await relay.ledger.read(lambda c: deliveries.list_for_call(c, "cloudtalk-a"))
    assert mark.version == after.version


async def test_a_rebuild_that_changes_nothing_makes_no_version(relay: Relay) -> None:
    await take(
        relay, b'[{"event":"call.started","data":{"id":"a"}},{"event":"call.ended","data":{"id":"a"}}]'
    )
    before = await call_of(relay, "cloudtalk-a")
    done = await rebuild(relay.ledger, reader_in("Europe/Madrid"), lambda *_: None)
    assert (done.calls, done.changed) == (1, 0)
    assert await call_of(relay, "cloudtalk-a") == before


async def test_links_and_merges_stay(relay: Relay) -> None:
    started = b'{"call_uuid":"%s","direction":"incoming"}' % UUID.encode()
    ended = b'{"call_uuid":"%s","call_id":1002402487,"talking_time":5}' % UUID.encode()
    await take(relay, started, path=f"{HOOK}/call.started")
    await take(relay, ended, path=f"{HOOK}/call.ended")
    before = await call_of(relay, f"cloudtalk-{UUID}")
    await rebuild(relay.ledger, reader_in("Europe/Madrid"), lambda *_: None)
    assert await call_of(relay, f"cloudtalk-{UUID}") == before
    assert before.state.aliases == ["id:1002402487", f"uuid:{UUID}"]


# --- undoing a link -----------------------------------------------------------------------------


async def linked(relay: Relay) -> str:
    """A call whose Ended linked a call_id that is not its own."""
    uuid = UUID.encode()
    await take(relay, b'{"call_uuid":"%s","direction":"incoming"}' % uuid, path=f"{HOOK}/call.started")
    await take(relay, b'{"call_uuid":"%s","call_id":77,"talking_time":5}' % uuid, path=f"{HOOK}/call.ended")
    await take(relay, b'{"call_id":77,"note":"of the other"}', path=f"{HOOK}/call.modified")
    return f"cloudtalk-{UUID}"


async def test_a_split_gives_the_call_id_a_record_of_its_own_for_good(relay: Relay) -> None:
    whole = await linked(relay)
    assert (await call_of(relay, whole)).record.notes == "of the other"
    parts = await split(relay.ledger, whole)
    assert (parts.kept, parts.split_off, parts.events_moved) == (whole, "cloudtalk-77", 1)
    kept, other = await call_of(relay, whole), await call_of(relay, "cloudtalk-77")
    assert (kept.record.notes, kept.record.call_id, kept.record.talking_seconds) == (None, None, 5)
    assert (other.record.notes, other.record.call_id) == ("of the other", "77")
    assert [await owed(relay, id_) for id_ in (whole, other.id)] == [True, True]
    body = b'{"call_uuid":"%s","call_id":77,"wrapup_time":3}' % UUID.encode()
    await take(relay, body, path=f"{HOOK}/call.ended")
    assert (await call_of(relay, whole)).record.wrapup_seconds == 3
    assert (await call_of(relay, "cloudtalk-77")).version == other.version


async def test_what_was_never_linked_cannot_be_split(relay: Relay) -> None:
    await take(relay, b'{"event":"call.started","data":{"id":"a"}}')
    with pytest.raises(SplitError, match="nothing was linked"):
        await split(relay.ledger, "cloudtalk-a")
    with pytest.raises(SplitError, match="no call"):
        await split(relay.ledger, "cloudtalk-nobody")


async def test_a_split_where_every_event_bears_both_ids_pins_the_call_id(relay: Relay) -> None:
    body = b'{"event":"call.ended","data":{"id":"5","call_uuid":"%s","duration":3}}' % UUID.encode()
    await take(relay, body, body.replace(b"ended", b"started"))
    parts = await split(relay.ledger, "cloudtalk-5")
    assert (parts.kept, parts.split_off, parts.events_moved) == ("cloudtalk-5", "cloudtalk-id:5", 0)
    await take(relay, b'{"call_id":5,"note":"later"}', path=f"{HOOK}/call.modified")
    assert (await call_of(relay, "cloudtalk-5")).record.notes is None
    assert (await call_of(relay, "cloudtalk-id:5")).record.notes == "later"


async def test_a_rebuild_takes_no_redelivery_for_news(relay: Relay) -> None:
    def modified(tags: str) -> bytes:
        envelope = {"event_id": f"evt-{tags}", "type": "call.tagged", "version": "v1"}
        return msgspec.json.encode(envelope | {"data": {"call_uuid": UUID, "tags": tags}})

    await take(relay, modified("A"), modified("B"), modified("A"))
    before = await call_of(relay, f"cloudtalk-{UUID}")
    assert before.record.tags == ["B"]
    await rebuild(relay.ledger, reader_in("Europe/Madrid"), lambda *_: None)
    assert (await call_of(relay, f"cloudtalk-{UUID}")).record.tags == ["B"]


async def test_an_internal_call_that_a_rebuild_changes_is_enqueued_as_well(relay: Relay) -> None:
    body = (
        b'{"event":"call.ended","data":{"id":"a","direction":"internal","started_at":"2024-11-28 10:30:00"}}'
    )
    await take(relay, body)
    await rebuild(relay.ledger, reader_in("America/Bogota"), lambda *_: None)
    (delivery,) = await relay.ledger.read(lambda c: deliveries.list_for_call(c, "cloudtalk-a"))
    assert (delivery.state, delivery.version) == ("pending", 2)


async def test_a_conflict_is_not_folded_a_second_time(relay: Relay) -> None:
    other = UUID.replace("44", "55")
    for uuid in (UUID, other):
        body = b'{"call_uuid":"%s","call_id":77,"talking_time":5}' % uuid.encode()
        await take(relay, body, path=f"{HOOK}/call.ended")
    (again,) = await retried(relay)
    assert again.events == 0
    assert "drop this" in (again.problem or "")
