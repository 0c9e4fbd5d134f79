"""Bodies that could not be read are kept as they came."""

import msgspec
from sqlalchemy import select

from relay.instants import Instant
from relay.ledger import Ledger, quarantine
from relay.ledger.quarantine import NewQuarantinedBody
from relay.ledger.tables import quarantine as table

ROW = NewQuarantinedBody(
    received_at=Instant(7),
    reason="not_json",
    message="the body is no JSON: 'ñ' 🎉",
    pointer="/data/id",
    content_type="application/json",
    path="/cloudtalk/webhook",
    query="",
    raw=b"\x00\xff{",
)


async def test_a_body_is_kept_with_its_reason_to_the_byte(ledger: Ledger) -> None:
    number = await ledger.write(lambda c: quarantine.add(c, ROW))
    (row,) = await ledger.read(lambda c: c.execute(select(table)).mappings().all())
    assert dict(row) == msgspec.structs.asdict(ROW) | {"id": number}


async def test_each_body_has_a_number_of_its_own_and_they_are_counted(ledger: Ledger) -> None:
    empty = msgspec.structs.replace(ROW, raw=b"")
    numbers = await ledger.write(lambda c: [quarantine.add(c, row) for row in (ROW, ROW, empty)])
    assert len(set(numbers)) == 3
    assert await ledger.read(quarantine.count) == 3
