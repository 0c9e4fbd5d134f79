"""What arrives about a forgotten call or number is deleted instead of folded."""

from typing import Any, Final

import msgspec
import pytest

from relay.call import Kind
from relay.fold.forgotten import is_forgotten
from relay.instants import SECOND, Instant
from relay.ledger import calls, erasure, forgotten, journal
from relay.ledger.connection import Connection
from relay.ledger.forgotten import Forgotten, ForgottenHash, hash_of_id, hash_of_number, hash_of_start
from relay.ledger.journal import UnfoldedEvent
from relay.measurements import FORGOTTEN_EVENTS
from tests.support.folding import FoldingRelay
from tests.support.measured import read_counter
from tests.support.relay import WEBHOOK_PATH
from tests.support.samples import make_event_with_ids

KEY: Final = b"key"
AT: Final = Instant(1_000 * SECOND)
NUMBER: Final = "+34612345678"
UUID: Final = "uuid:44fe27cd-5268-4670-993e-0129aabbccdd"
OTHER_UUID: Final = "uuid:0b6e3f0e-7b7c-4b0b-9f0e-5d0c6a4f1e11"


def ids(*aliases: str) -> Forgotten:
    """One call with these ids was forgotten."""
    namespaces = frozenset(alias.partition(":")[0] for alias in aliases)
    return Forgotten(KEY, {hash_of_id(KEY, each): ForgottenHash(AT, namespaces) for each in aliases})


def with_number(*aliases: str) -> Forgotten:
    """One call with these ids and `NUMBER` was forgotten."""
    return Forgotten(KEY, {}).with_ids(aliases, NUMBER, AT)


def unfolded(*aliases: str, received_at: Instant = AT, **facts: Any) -> UnfoldedEvent:
    event = make_event_with_ids(Kind.ENDED, *aliases, **facts)
    return UnfoldedEvent(1, received_at, event, waited=False)


@pytest.mark.parametrize(
    ("of_call", "of_event", "expected"),
    [
        ((UUID,), (UUID,), True),
        ((UUID,), (OTHER_UUID,), False),
        ((UUID, "id:7"), ("id:7",), True),
        (("id:7",), (UUID, "id:7"), True),  # the uuid of a call that was known by its call_id
        ((UUID, "id:7"), (UUID, "id:8"), True),  # another leg
        ((UUID, "id:7"), (OTHER_UUID, "id:7"), False),  # a constant that was typed for the call_id
    ],
)
def test_an_event_is_about_a_forgotten_call_unless_a_more_reliable_id_contradicts_it(
    of_call: tuple[str, ...], of_event: tuple[str, ...], *, expected: bool
) -> None:
    assert is_forgotten(unfolded(*of_event), ids(*of_call)) is expected


OTHER_NUMBER: Final = "+34699999999"


@pytest.mark.parametrize(
    ("of_event", "facts", "owned", "expected"),
    [
        (("id:7",), {}, (), True),
        (("id:7",), {"external_number": NUMBER}, (), True),
        (("id:7",), {"external_number": OTHER_NUMBER}, (), False),  # typed as a constant
        (("other:x",), {"external_number": OTHER_NUMBER}, (), False),
        (("id:7",), {"external_number": "anonymous"}, (), True),
        (("id:7",), {"from": NUMBER, "to": "+34910000000"}, (), True),
        (("id:7",), {}, ("id:7",), False),  # the ledger has another call with this constant
        ((UUID,), {"external_number": OTHER_NUMBER}, (), True),
        ((UUID,), {}, (UUID,), True),
        (("id:8",), {"leg_of": ["7"], "external_number": NUMBER}, (), True),
        (("id:8",), {"leg_of": ["7"], "external_number": OTHER_NUMBER}, (), False),
    ],
)
def test_a_call_id_counts_for_the_number_of_the_forgotten_call(
    of_event: tuple[str, ...], facts: dict[str, Any], owned: tuple[str, ...], *, expected: bool
) -> None:
    known = with_number(UUID, "id:7", "other:x")
    assert is_forgotten(unfolded(*of_event, **facts), known, owned) is expected


@pytest.mark.parametrize(
    ("facts", "received_at", "expected"),
    [
        ({"external_number": NUMBER, "started_at": AT - SECOND}, AT + SECOND, True),
        ({"external_number": NUMBER, "started_at": AT}, AT + SECOND, False),
        ({"external_number": NUMBER}, AT - SECOND, True),
        ({"external_number": NUMBER}, AT + SECOND, False),
        ({"direction": "inbound", "from": NUMBER, "to": "+34910000000"}, AT - SECOND, True),
        ({"direction": "outbound", "from": "+34910000000", "to": NUMBER}, AT - SECOND, True),
        ({"direction": "inbound", "from": "+34699999999", "to": NUMBER}, AT - SECOND, False),
        ({"from": NUMBER, "to": "+34910000000"}, AT - SECOND, True),
        ({"external_number": "+34699999999"}, AT - SECOND, False),
        ({"external_number": "101"}, AT - SECOND, False),
    ],
)
def test_a_number_is_forgotten_for_the_calls_that_began_before(
    facts: dict[str, Any], received_at: Instant, *, expected: bool
) -> None:
    known = Forgotten(KEY, {hash_of_number(KEY, NUMBER): ForgottenHash(AT, frozenset())})
    assert is_forgotten(unfolded("id:7", received_at=received_at, **facts), known) is expected


@pytest.mark.parametrize(
    ("alias", "started_at", "owned", "expected"),
    [
        ("id:7", AT, (), True),
        ("id:7", AT + 121 * SECOND, (), False),
        (OTHER_UUID, AT, (), False),  # the forgotten call had another uuid
        ("id:7", AT, ("id:7",), False),  # it is of a call that the ledger has
    ],
)
def test_one_call_is_forgotten_by_its_number_and_start(
    alias: str, started_at: Instant, owned: tuple[str, ...], *, expected: bool
) -> None:
    known = Forgotten(KEY, {hash_of_start(KEY, NUMBER, AT, "id"): ForgottenHash(AT, frozenset())})
    event = unfolded(alias, external_number=NUMBER, started_at=started_at)
    assert is_forgotten(event, known, owned) is expected


def body(**fields: Any) -> bytes:
    common = {"direction": "incoming", "external_number": "612 345 678", "started_at": "2026-11-20T10:00:00Z"}
    return msgspec.json.encode(common | fields)


def forget(connection: Connection, *ids_: str, number: str | None = NUMBER) -> None:
    now = Instant(2_000_000_000 * SECOND)
    if number is not None:
        erasure.forget_number(connection, number, now=now)
    fields: dict[str, frozenset[str]] = {"crm": frozenset()}
    erasure.erase_calls(connection, ids_, fields, now=now, by_number=number is not None)


async def count(relay: FoldingRelay) -> tuple[int, int]:
    """The calls and the events of the ledger."""
    return await relay.ledger.read(lambda c: (calls.count(c), journal.count_accepted(c)))


ENDED: Final = f"{WEBHOOK_PATH}/call.ended"
CALL_ID: Final = "77000001"
OF_UUID: Final = UUID.removeprefix("uuid:")


async def test_events_about_a_forgotten_number_are_deleted_and_their_other_ids_too(
    relay: FoldingRelay,
) -> None:
    await relay.receive(body(call_uuid=OF_UUID), path=ENDED)
    await relay.ledger.write(lambda c: forget(c, f"cloudtalk-{OF_UUID}"))
    assert await count(relay) == (0, 0)

    await relay.receive(body(call_uuid=OF_UUID, call_id=CALL_ID), path=ENDED)  # its call_id is new
    await relay.receive(
        b'{"call_id":%s,"note":"late"}' % CALL_ID.encode(), path=f"{WEBHOOK_PATH}/call.modified"
    )

    assert await count(relay) == (0, 0)


async def test_the_other_ids_of_a_late_event_count_for_the_events_with_it(relay: FoldingRelay) -> None:
    await relay.receive(body(call_uuid=OF_UUID), path=ENDED)
    await relay.ledger.write(lambda c: forget(c, f"cloudtalk-{OF_UUID}"))

    late = {"event": "call.started", "call_id": CALL_ID}  # nothing else links it
    await relay.receive(body(call_uuid=OF_UUID, **late), msgspec.json.encode(late))

    assert await count(relay) == (0, 0)


async def test_another_call_of_the_number_a_few_minutes_later_keeps_its_late_events(
    relay: FoldingRelay,
) -> None:
    second = {"call_uuid": OTHER_UUID.removeprefix("uuid:"), "started_at": "2026-11-20T10:02:00Z"}
    await relay.receive(body(call_uuid=OF_UUID), body(**second), path=ENDED)
    await relay.ledger.write(lambda c: forget(c, f"cloudtalk-{OF_UUID}", number=None))

    await relay.receive(body(**second, call_id=2, agent_name="Ana"), path=ENDED)
    await relay.receive(
        body(call_uuid="0b6e3f0e-7b7c-4b0b-9f0e-5d0c6a4f1e33", started_at="2026-11-20T10:03:00Z"), path=ENDED
    )

    assert await count(relay) == (2, 3)


async def test_a_forgotten_call_does_not_return_under_another_id_and_other_calls_of_the_number_stay(
    relay: FoldingRelay,
) -> None:
    later = "2026-11-21T10:00:00Z"
    await relay.receive(body(call_uuid=OF_UUID), body(call_id=2, started_at=later), path=ENDED)
    await relay.ledger.write(lambda c: forget(c, f"cloudtalk-{OF_UUID}", number=None))
    assert await count(relay) == (1, 1)

    await relay.receive(
        body(call_id=1, started_at="2026-11-20T10:00:30Z"), path=f"{WEBHOOK_PATH}/call.started"
    )
    assert await count(relay) == (1, 1)
    await relay.receive(body(call_id=2, started_at=later), path=ENDED)
    assert await count(relay) == (1, 2)


@pytest.mark.parametrize("by_number", [True, False])
async def test_a_constant_call_id_that_was_forgotten_deletes_no_event_of_another_person(
    relay: FoldingRelay, by_number: bool
) -> None:
    """A workflow states the same call_id in each event, and no call_uuid."""
    await relay.receive(body(call_id=CALL_ID), path=ENDED)
    number = NUMBER if by_number else None
    await relay.ledger.write(lambda c: forget(c, f"cloudtalk-{CALL_ID}", number=number))

    await relay.receive(body(call_id=CALL_ID), path=ENDED)  # late, of the forgotten person
    assert await count(relay) == (0, 0)
    other = {"external_number": "699 999 999", "started_at": "2026-11-20T11:00:00Z", "call_id": CALL_ID}
    await relay.receive(body(**other), path=ENDED)
    assert await count(relay) == (1, 1)
    tagged = b'{"call_id":%s,"tags":"vip"}' % CALL_ID.encode()
    await relay.receive(tagged, path=f"{WEBHOOK_PATH}/call.modified")
    assert (await relay.row(f"cloudtalk-{CALL_ID}")).record.tags == ["vip"]


async def test_deleted_events_are_counted(relay: FoldingRelay) -> None:
    before = read_counter(FORGOTTEN_EVENTS).get((), 0)
    await relay.receive(body(call_uuid=OF_UUID), path=ENDED)
    await relay.ledger.write(lambda c: forget(c, f"cloudtalk-{OF_UUID}"))
    await relay.receive(body(call_uuid=OF_UUID), body(call_uuid=OF_UUID, call_id=CALL_ID), path=ENDED)
    assert read_counter(FORGOTTEN_EVENTS)[()] - before == 2


async def test_without_an_erasure_there_is_no_key_and_nothing_is_looked_up(relay: FoldingRelay) -> None:
    await relay.receive(body(call_uuid=OF_UUID), path=ENDED)
    assert (await relay.row(f"cloudtalk-{OF_UUID}")).version == 1

    first = await relay.ledger.write(forgotten.require_key)
    assert len(first) == 32
    assert await relay.ledger.write(forgotten.require_key) == first
