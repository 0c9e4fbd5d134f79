"""Quarantined bodies are stored byte for byte, with the reason."""

from functools import partial
from random import Random

import msgspec
import pytest
from structlog.testing import capture_logs

from relay.instants import Instant
from relay.ledger import Ledger, quarantine
from relay.ledger.quarantine import NewQuarantinedBody
from tests.support.journal import read_quarantine

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
    (row,) = await ledger.read(read_quarantine)
    assert msgspec.structs.asdict(row) | {"unique_key": None} == msgspec.structs.asdict(BODY) | {"id": id_}


async def test_each_body_has_its_own_id_and_is_counted(ledger: Ledger) -> None:
    empty = msgspec.structs.replace(BODY, raw=b"")
    ids = await ledger.write(lambda c: [quarantine.add(c, body) for body in (BODY, BODY, empty)])
    assert len(set(ids)) == 3
    assert await ledger.read(quarantine.count) == 3


async def test_a_body_is_listed_and_can_be_removed(ledger: Ledger) -> None:
    first, second = await ledger.write(lambda c: [quarantine.add(c, BODY) for _ in range(2)])
    await ledger.write(lambda c: quarantine.remove(c, first))
    (body,) = await ledger.read(read_quarantine)
    assert (body.id, body.reason, body.pointer, body.raw) == (second, "not_json", "/data/id", b"\x00\xff{")


async def test_bodies_are_read_by_their_ids_and_counted_by_reason(ledger: Ledger) -> None:
    assert await ledger.read(quarantine.last_received_at) is None
    bodies = [
        msgspec.structs.replace(BODY, reason=reason, received_at=Instant(at))
        for at, reason in enumerate(("b", "a", "b", "c", "a"))
    ]
    ids = await ledger.write(lambda c: [quarantine.add(c, body) for body in bodies])
    assert await ledger.read(quarantine.list_ids) == ids
    assert await ledger.read(partial(quarantine.list_ids, reason="b")) == [ids[0], ids[2]]
    assert await ledger.read(quarantine.count_by_reason) == [
        ("a", 2, ids[4]),
        ("c", 1, ids[3]),
        ("b", 2, ids[2]),
    ]
    found = await ledger.read(partial(quarantine.get_many, ids=[ids[3], 10**9, ids[1]]))
    assert [(body.id, body.reason, body.received_at) for body in found] == [
        (ids[1], "a", 1),
        (ids[3], "c", 3),
    ]
    assert await ledger.read(quarantine.last_received_at) == 4


async def test_a_unique_key_is_known_once_its_body_is_stored(ledger: Ledger) -> None:
    assert not await ledger.read(lambda c: quarantine.contains_key(c, "mission:started:id:1"))
    keyed = msgspec.structs.replace(BODY, unique_key="mission:started:id:1")
    await ledger.write(lambda c: quarantine.add(c, keyed))
    assert await ledger.read(lambda c: quarantine.contains_key(c, "mission:started:id:1"))
    assert not await ledger.read(lambda c: quarantine.contains_key(c, "mission:started:id:2"))


# --- the quota --------------------------------------------------------------------------------------


async def add_bodies(ledger: Ledger, *raws: bytes) -> list[int]:
    """Add these bodies, each in a transaction of its own."""
    bodies = [msgspec.structs.replace(BODY, raw=raw) for raw in raws]
    return [await ledger.write(partial(quarantine.add, body=body)) for body in bodies]


async def listed(ledger: Ledger) -> list[int]:
    return [body.id for body in await ledger.read(read_quarantine)]


def test_the_quota_is_the_one_that_the_documentation_states() -> None:
    assert (quarantine.MAX_BODIES, quarantine.MAX_BYTES) == (10_000, 268_435_456)


async def test_above_the_quota_of_bodies_the_oldest_are_deleted_counted_and_logged(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MAX_BODIES", 3)
    with capture_logs() as logs:
        ids = await add_bodies(ledger, *(b"{" for _ in range(5)))
    assert await listed(ledger) == ids[2:]
    assert await ledger.read(quarantine.count_dropped) == 2
    assert [(line["event"], line["bodies"], line["oldest"]) for line in logs] == [
        ("quarantine.dropped", 1, ids[0]),
        ("quarantine.dropped", 1, ids[1]),
    ]


async def test_above_the_quota_of_bytes_as_many_as_needed_of_the_oldest_are_deleted(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(1)  # random bytes cannot be compressed
    small = [random.randbytes(1_000) for _ in range(4)]
    monkeypatch.setattr(quarantine, "MAX_BYTES", 4_500)
    ids = await add_bodies(ledger, *small, random.randbytes(2_000))
    assert await listed(ledger) == ids[2:]
    assert await ledger.read(quarantine.count_dropped) == 2


async def test_as_many_bytes_as_the_quota_are_kept(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([40, 30, 30, 1, 40])
    monkeypatch.setattr(quarantine, "compress", lambda _: b"x" * next(sizes))
    monkeypatch.setattr(quarantine, "decompress", bytes)
    monkeypatch.setattr(quarantine, "MAX_BYTES", 100)
    ids = await add_bodies(ledger, b"", b"", b"")
    assert await listed(ledger) == ids
    ids += await add_bodies(ledger, b"")
    assert await listed(ledger) == ids[1:]
    ids += await add_bodies(ledger, b"")
    assert await listed(ledger) == ids[2:], "30 are not enough: 61 are left, and 40 more are 101"


async def test_a_body_larger_than_the_quota_is_kept_alone(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MAX_BYTES", 1_000)
    ids = await add_bodies(ledger, b"{", Random(1).randbytes(5_000))
    assert await listed(ledger) == ids[1:]


async def test_compressed_bytes_count_for_the_quota(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MAX_BYTES", 1_000)
    ids = await add_bodies(ledger, *(b"a" * 100_000 for _ in range(5)))
    assert await listed(ledger) == ids
