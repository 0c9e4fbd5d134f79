"""Missed calls whose customer somebody talked to later, whichever call arrives first."""

import json
from random import Random
from typing import Any, Final, NamedTuple

import pytest
from sqlalchemy import update

from relay.fold.options import FoldOptions
from relay.fold.rebuild import rebuild_calls
from relay.fold.split import split_call
from relay.instants import SECOND, Duration, Instant
from relay.ledger import retention_queries
from relay.ledger.connection import Connection
from relay.ledger.states import DeliveryState
from relay.ledger.tables import calls as calls_table
from relay.ledger.tables import deliveries as deliveries_table
from tests.support.folding import FoldingRelay, parser_in

CUSTOMER: Final = "+34612345678"
LINES: Final = ("+34910000001", "+34910000002")


def body(
    uuid: str,
    minute: int,
    *,
    talking: int | None,
    direction: str = "inbound",
    customer: str = CUSTOMER,
    line: str = LINES[0],
    agent: str = "Ana Gil",
    **more: Any,
) -> bytes:
    """An Ended of a call that began so many minutes after ten."""
    return json.dumps(
        {
            "event": "ended",
            "call_uuid": uuid,
            "direction": direction,
            "external_number": customer,
            "internal_number": line,
            "started_at": f"2024-11-28T10:{minute:02}:00Z",
            "ended_at": f"2024-11-28T10:{minute:02}:30Z",
            "agent_name": agent if talking else None,
            "talking_time": talking,
            **more,
        }
    ).encode()


MISSED: Final = body("m", 0, talking=0)


async def follow_up(relay: FoldingRelay, call: str = "m") -> tuple[bool, str | None, str | None]:
    record = (await relay.row(f"cloudtalk-{call}")).record
    return record.follow_up, record.called_back_at, record.called_back_by


CALLED_BACK: Final = (False, "2024-11-28T10:14:00Z", "Ana Gil")
WAITING: Final = (True, None, None)

CONVERSATIONS: Final = {
    "a call to the customer": body("a", 14, talking=9, direction="outbound"),
    "another call of the customer": body("a", 14, talking=9),
    "another line": body("a", 14, talking=9, line=LINES[1]),
    "a direction that is unknown": body("a", 14, talking=9, direction=""),
    "another spelling of the number": body("a", 14, talking=9, customer="0034 612-345-678"),
    "stated as answered": body("a", 14, talking=None, status="answered", agent_name="Ana Gil"),
}
NO_CONVERSATIONS: Final = {
    "not answered": body("a", 14, talking=0, direction="outbound"),
    "an end that states no talking time": body("a", 14, talking=None, direction="outbound"),
    "another customer": body("a", 14, talking=9, customer="+34612345679"),
    "an internal call": body("a", 14, talking=9, direction="internal"),
    "before the missed call": body("a", 0, talking=9, started_at="2024-11-28T09:59:59Z"),
    "at the same time": body("a", 0, talking=9),
    "eight days later": body("a", 0, talking=9, started_at="2024-12-06T10:00:00Z"),
}


@pytest.mark.parametrize("arrives_first", [False, True])
@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_a_conversation_after_a_missed_call_ends_its_follow_up(
    relay: FoldingRelay, conversation: str, arrives_first: bool
) -> None:
    both = [MISSED, CONVERSATIONS[conversation]]
    for each in reversed(both) if arrives_first else both:
        await relay.receive(each)
    assert await follow_up(relay) == CALLED_BACK
    assert (await relay.row("cloudtalk-m")).record.status == "missed"


@pytest.mark.parametrize("arrives_first", [False, True])
@pytest.mark.parametrize("other", NO_CONVERSATIONS)
async def test_any_other_call_does_not(relay: FoldingRelay, other: str, arrives_first: bool) -> None:
    both = [MISSED, NO_CONVERSATIONS[other]]
    for each in reversed(both) if arrives_first else both:
        await relay.receive(each)
    assert await follow_up(relay) == WAITING


async def test_both_may_be_in_one_batch_and_crms_get_the_newest_version(relay: FoldingRelay) -> None:
    await relay.receive(MISSED, CONVERSATIONS["another line"])
    assert await follow_up(relay) == CALLED_BACK
    row = await relay.row("cloudtalk-m")
    assert row.version == 2
    assert row.field_versions == {"follow_up": 2, "called_back_at": 2, "called_back_by": 2}
    assert (await relay.delivery("cloudtalk-m")).version == row.version


async def test_each_missed_call_before_a_conversation_is_called_back(relay: FoldingRelay) -> None:
    await relay.receive(MISSED, body("v", 7, talking=0, is_voicemail=True), body("a", 14, talking=9))
    assert await follow_up(relay) == CALLED_BACK
    assert await follow_up(relay, "v") == CALLED_BACK
    assert (await relay.row("cloudtalk-v")).record.status == "voicemail"


async def test_a_call_that_is_being_answered_counts(relay: FoldingRelay) -> None:
    data = {"call_uuid": "a", "external_number": CUSTOMER, "agent_name": "Ana Gil"}
    started = json.dumps(data | {"event": "started", "started_at": "2024-11-28T10:14:00Z"}).encode()
    await relay.receive(MISSED, started)
    assert await follow_up(relay) == WAITING
    await relay.receive(json.dumps(data | {"event": "answered"}).encode())
    assert await follow_up(relay) == CALLED_BACK


# --- what changes later -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (body("b", 7, talking=3, agent="Bea"), (False, "2024-11-28T10:07:00Z", "Bea")),
        (body("b", 21, talking=3, agent="Bea"), CALLED_BACK),
        (body("a", 14, talking=9, agent="Bea"), (False, "2024-11-28T10:14:00Z", "Bea")),
        (
            body("a", 14, talking=9, started_at="2024-11-28T10:15:00Z"),
            (False, "2024-11-28T10:15:00Z", "Ana Gil"),
        ),
        (body("a", 14, talking=9, started_at="2024-11-28T09:14:00Z"), WAITING),
        (body("a", 14, talking=9, direction="internal"), WAITING),
        (body("m", 20, talking=0), WAITING),
    ],
    ids=["earlier", "later", "other agent", "began later", "began before", "internal", "missed later"],
)
async def test_the_first_conversation_counts_as_it_is_now(
    relay: FoldingRelay, later: bytes, expected: tuple[bool, str | None, str | None]
) -> None:
    await relay.receive(MISSED)
    await relay.receive(body("a", 14, talking=9))
    assert await follow_up(relay) == CALLED_BACK
    await relay.receive(later)
    assert await follow_up(relay) == expected


async def test_a_missed_call_that_was_answered_after_all_has_no_call_back(relay: FoldingRelay) -> None:
    await relay.receive(MISSED, body("a", 14, talking=9))
    await relay.receive(body("m", 0, talking=60))
    assert await follow_up(relay) == (False, None, None)
    assert (await relay.row("cloudtalk-m")).record.status == "completed"


async def test_a_merged_call_passes_its_conversation_on(relay: FoldingRelay) -> None:
    await relay.receive(MISSED)
    await relay.receive(body("a", 14, talking=9))
    await relay.receive(b'{"call_id":77,"external_number":"%s"}' % CUSTOMER.encode())
    await relay.receive(b'{"event":"modified","call_uuid":"a","call_id":77}')
    assert await follow_up(relay) == CALLED_BACK


async def test_a_rebuild_keeps_call_backs_and_counts_as_the_settings_are_now(relay: FoldingRelay) -> None:
    await relay.receive(MISSED, body("a", 14, talking=9))
    before = await relay.row("cloudtalk-m")
    await rebuild(relay, FoldOptions())
    assert await relay.row("cloudtalk-m") == before
    await rebuild(relay, FoldOptions(call_back_window=Duration(14 * 60 * SECOND - 1)))
    assert await follow_up(relay) == WAITING
    await rebuild(relay, FoldOptions(call_back_window=Duration(14 * 60 * SECOND)))
    assert await follow_up(relay) == CALLED_BACK
    row = await relay.row("cloudtalk-m")
    assert (row.version, (await relay.delivery("cloudtalk-m")).version) == (before.version + 2,) * 2


async def test_a_conversation_that_retention_has_deleted_stays_one(relay: FoldingRelay) -> None:
    await relay.receive(MISSED, body("a", 14, talking=9))

    def delete_conversation(connection: Connection) -> None:
        connection.execute(update(deliveries_table).values(state=DeliveryState.DELIVERED))
        connection.execute(update(calls_table).where(calls_table.c.id == "cloudtalk-a").values(changed_at=1))
        retention_queries.delete_old_calls(connection, before=Instant(2), now=Instant(5))

    await relay.ledger.write(delete_conversation)
    await relay.receive(body("m", 0, talking=0, agent_name="Zoe"))
    assert await follow_up(relay) == CALLED_BACK
    await relay.receive(body("b", 20, talking=9, agent="Bea"))
    assert await follow_up(relay) == CALLED_BACK
    await rebuild(relay, FoldOptions())
    assert await follow_up(relay) == CALLED_BACK


async def rebuild(relay: FoldingRelay, options: FoldOptions) -> None:
    await rebuild_calls(relay.ledger, parser_in(), options, lambda *_: None)


async def test_a_split_call_takes_its_conversation_along(relay: FoldingRelay) -> None:
    await relay.receive(MISSED)
    # The conversation of the call_id was linked to a call that nobody answered.
    uuid = "0a1b2c3d-0000-4000-8000-000000000001"
    await relay.receive(body(uuid, 2, talking=0, direction="outbound", call_id=77))
    await relay.receive(
        json.dumps({"event": "ended", "call_id": 77, "talking_time": 9, "agent_name": "Ana Gil"}).encode()
    )
    assert (await follow_up(relay))[0] is False
    await split_call(relay.ledger, f"cloudtalk-{uuid}", FoldOptions())
    assert await follow_up(relay) == WAITING


# --- any calls in any order -----------------------------------------------------------------------


class Simulated(NamedTuple):
    """One call of a customer: it began so many minutes after ten, and somebody talked for so many seconds."""

    uuid: str
    minute: int
    talking: int
    direction: str


@pytest.mark.parametrize("seed", range(20))
async def test_call_backs_do_not_depend_on_the_order_of_arrival(relay: FoldingRelay, seed: int) -> None:
    random = Random(seed)
    found = [
        Simulated(
            f"{n}",
            random.randrange(60),
            random.choice((0, 0, 9)),
            random.choice(("inbound", "inbound", "outbound", "internal")),
        )
        for n in range(12)
    ]
    bodies = [
        body(
            call.uuid, call.minute, talking=call.talking, direction=call.direction, agent=f"Agent {call.uuid}"
        )
        for call in found
    ]
    random.shuffle(bodies)
    while bodies:
        size = random.randint(1, 4)
        await relay.receive(*bodies[:size])
        bodies = bodies[size:]
    for call in found:
        record = (await relay.row(f"cloudtalk-{call.uuid}")).record
        later = first_conversation_after(call, found)
        is_missed = call.direction == "inbound" and not call.talking
        assert record.follow_up == (is_missed and later is None)
        assert record.called_back_by == (f"Agent {later.uuid}" if is_missed and later else None)


def first_conversation_after(call: Simulated, others: list[Simulated]) -> Simulated | None:
    talked = [o for o in others if o.talking and o.direction != "internal" and o.minute > call.minute]
    return min(talked, key=lambda o: (o.minute, f"cloudtalk-{o.uuid}"), default=None)
