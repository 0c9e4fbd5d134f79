"""Quarantined bodies are stored byte for byte, with the reason."""

import msgspec
from sqlalchemy import select

from relay.instants import Instant
from relay.ledger import Ledger, quarantine
from relay.ledger.quarantine import NewQuarantinedBody
from relay.ledger.tables import quarantine as table

BODY = NewQuarantinedBody(
    received_at=Instant(7),
    reason="not_json",
    message="the body is no JSON: 'ñ' 🎉",
    pointer="/data/id",
    content_type="application/json",
    path="/cloudtalk/webhook",
    query="",
    raw=b"\x00\xff{",
)


async def test_a_body_is_stored_byte_for_byte_with_its_reason(ledger: Ledger) -> None:
    id_ = await ledger.write(lambda c: quarantine.add(c, BODY))
    (row,) = await ledger.read(lambda c: c.execute(select(table)).mappings().all())
    assert dict(row) == msgspec.structs.asdict(BODY) | {"id": id_}


async def test_each_body_has_its_own_id_and_is_counted(ledger: Ledger) -> None:
    empty = msgspec.structs.replace(BODY, raw=b"")
    ids = await ledger.write(lambda c: [quarantine.add(c, body) for body in (BODY, BODY, empty)])
    assert len(set(ids)) == 3
    assert await ledger.read(quarantine.count) == 3


async def test_a_body_is_listed_and_can_be_removed(ledger: Ledger) -> None:
    first, second = await ledger.write(lambda c: [quarantine.add(c, BODY) for _ in range(2)])
    await ledger.write(lambda c: quarantine.remove(c, first))
    (body,) = await ledger.read(quarantine.list_all)
    assert (body.id, body.reason, body.pointer, body.raw) == (second, "not_json", "/data/id", b"\x00\xff{")


async def test_a_unique_key_is_known_once_its_body_is_stored(ledger: Ledger) -> None:
    assert not await ledger.read(lambda c: quarantine.contains_key(c, "mission:started:id:1"))
    keyed = msgspec.structs.replace(BODY, unique_key="mission:started:id:1")
    await ledger.write(lambda c: quarantine.add(c, keyed))
    assert await ledger.read(lambda c: quarantine.contains_key(c, "mission:started:id:1"))
