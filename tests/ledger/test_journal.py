"""The raw journal keeps what came to the byte, in order, and knows what is not folded yet."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, select

from relay.instants import Duration, Instant
from relay.ledger import Ledger, journal
from relay.ledger.journal import NewEvent
from relay.ledger.tables import events
from tests.support.samples import ODD_IDS, RECEIVED_AT, make_event, make_event_row

BODIES = [
    b"",
    b"{}",
    b"\x00",
    b"a\x00b\x00",
    b"\xff\xfe\x80 no UTF-8",
    "ñandú 漢字 🎉".encode(),
    b"\r\n'\";--\\",
    bytes(range(256)),
    Random(1).randbytes(1 << 20),
]


async def append(ledger: Ledger, *rows: NewEvent) -> list[int]:
    return await ledger.write(lambda c: journal.append(c, rows))


async def stored(ledger: Ledger) -> Sequence[Any]:
    return await ledger.read(lambda c: c.execute(select(events).order_by(events.c.seq)).all())


async def unfolded(ledger: Ledger, limit: int = 100) -> list[int]:
    return [
        event.seq
        for event in await ledger.read(
            lambda c: journal.list_unfolded(c, limit, now=Instant(0), grace=Duration(1_000))
        )
    ]


# --- appending ------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", BODIES, ids=lambda body: f"{len(body)}-{body[:6]!r}")
async def test_a_body_alone_is_kept_to_the_byte(ledger: Ledger, body: bytes) -> None:
    await append(ledger, make_event_row(body))
    assert [row.raw for row in await stored(ledger)] == [body]


async def test_the_bodies_of_a_group_are_each_kept_to_the_byte(ledger: Ledger) -> None:
    bodies = [*BODIES, *reversed(BODIES)]
    await append(ledger, *(make_event_row(body, at=n) for n, body in enumerate(bodies)))
    assert [row.raw for row in await stored(ledger)] == bodies


async def test_a_group_of_empty_bodies_is_kept(ledger: Ledger) -> None:
    await append(ledger, make_event_row(b""), make_event_row(b"", at=1))
    assert [row.raw for row in await stored(ledger)] == [b"", b""]


async def test_everything_about_an_event_is_kept(ledger: Ledger) -> None:
    row = make_event_row(
        b"x", path="/hook/ñ'\"", query="?a=%00&b=[1]", content_type="text/plain; charset=utf-8"
    )
    await append(ledger, row)
    (kept,) = await stored(ledger)
    assert (kept.path, kept.query, kept.content_type) == (row.path, row.query, row.content_type)
    assert (kept.received_at, kept.dialect, kept.kind) == (row.received_at, "mission", "started")
    assert (kept.state, kept.call, kept.problem) == ("new", None, None)


async def test_sequence_numbers_come_in_the_order_given_and_grow(ledger: Ledger) -> None:
    first = await append(ledger, *(make_event_row(at=n, name=f"a{n}") for n in range(50)))
    second = await append(ledger, *(make_event_row(at=100 + n) for n in range(50)))
    assert [*first, *second] == sorted({*first, *second})
    found = await ledger.read(lambda c: journal.list_unfolded(c, 50, now=Instant(0), grace=Duration(1_000)))
    names = [event.parsed.name for event in found]
    assert names == [f"a{n}" for n in range(50)]


async def test_each_number_is_of_its_own_event_whatever_the_order_of_arrival(ledger: Ledger) -> None:
    numbers = await append(ledger, *(make_event_row(bytes([n]), at=-n) for n in range(10)))
    raws = {row.seq: row.raw for row in await stored(ledger)}
    assert [raws[seq] for seq in numbers] == [bytes([n]) for n in range(10)]
    assert numbers == sorted(numbers, reverse=True)  # who came first has the smaller number


async def test_a_number_is_never_given_twice(ledger: Ledger) -> None:
    (first,) = await append(ledger, make_event_row())
    await ledger.write(lambda c: c.execute(events.delete()))
    (second,) = await append(ledger, make_event_row())
    assert second > first


# --- what is not folded ---------------------------------------------------------------------------


async def test_the_reading_comes_back_as_it_was(ledger: Ledger) -> None:
    reading = make_event(name="it's 🎉", started_at=5, contact_name='"', tags=["a", "ñ"])
    await append(ledger, make_event_row(parsed=reading))
    (event,) = await ledger.read(lambda c: journal.list_unfolded(c, 1, now=Instant(0), grace=Duration(1_000)))
    assert (event.parsed, event.received_at) == (reading, RECEIVED_AT)


async def test_the_unfolded_come_oldest_first_and_no_more_than_asked_for(ledger: Ledger) -> None:
    numbers = await append(ledger, *(make_event_row(at=n) for n in range(5)))
    assert await unfolded(ledger, 3) == numbers[:3]
    assert await unfolded(ledger) == numbers


async def test_what_is_folded_waits_no_more_and_stands_in_its_call(ledger: Ledger) -> None:
    first, second, third = await append(ledger, *(make_event_row(at=n) for n in range(3)))
    await ledger.write(lambda c: journal.mark_folded(c, [(third, "cloudtalk-1"), (first, "cloudtalk-1")]))
    assert await unfolded(ledger) == [second]
    assert [row.seq for row in await ledger.read(lambda c: journal.list_for_call(c, "cloudtalk-1"))] == [
        first,
        third,
    ]


async def test_a_hole_in_the_numbers_hides_no_event(ledger: Ledger) -> None:
    first, second = await append(ledger, make_event_row(), make_event_row(at=1))
    await ledger.write(lambda c: journal.mark_folded(c, [(second, "cloudtalk-1")]))
    assert await unfolded(ledger) == [first]


@pytest.mark.parametrize("call", ODD_IDS)
async def test_an_event_stands_in_a_call_of_any_id(ledger: Ledger, call: str) -> None:
    (seq,) = await append(ledger, make_event_row(b"raw"))
    await ledger.write(lambda c: journal.mark_folded(c, [(seq, call)]))
    (row,) = await ledger.read(lambda c: journal.list_for_call(c, call))
    assert (row.seq, row.raw, row.parsed.kind, row.received_at) == (seq, b"raw", "started", RECEIVED_AT)


async def test_an_event_set_aside_waits_no_more_and_says_why(ledger: Ledger) -> None:
    first, second = await append(ledger, make_event_row(), make_event_row(at=1))
    await ledger.write(lambda c: journal.set_aside(c, first, "ValueError('ñ')"))
    assert await unfolded(ledger) == [second]
    row, _ = await stored(ledger)
    assert (row.state, row.problem, row.call) == ("aside", "ValueError('ñ')", None)


async def test_events_are_counted_and_those_that_wait_too(ledger: Ledger) -> None:
    first, second, _ = await append(ledger, *(make_event_row(at=n) for n in range(3)))

    def settle(connection: Connection) -> None:
        journal.mark_folded(connection, [(first, "cloudtalk-1")])
        journal.set_aside(connection, second, "broken")

    await ledger.write(settle)
    assert await ledger.read(journal.count) == (3, 1)


# --- waiting for a link -----------------------------------------------------------------------------


async def test_what_waits_is_folded_once_its_alias_has_a_call_or_its_grace_is_over(ledger: Ledger) -> None:
    await append(ledger, *(make_event_row(at=n) for n in range(3)))
    waiting = [(1, "id:1"), (2, "id:2")]
    await ledger.write(lambda c: journal.mark_waiting(c, waiting, until=Instant(100)))
    assert await unfolded(ledger) == [3]
    await ledger.write(lambda c: journal.requeue_waiting(c, ["id:2", "id:9"]))
    assert await unfolded(ledger) == [2, 3]
    due = await ledger.read(lambda c: journal.list_unfolded(c, 10, now=Instant(100), grace=Duration(1_000)))
    assert [(event.seq, event.waited) for event in due] == [(1, True), (2, False), (3, False)]
    assert await ledger.read(journal.count) == (3, 3)


async def test_the_events_of_a_call_that_went_into_another_go_with_it(ledger: Ledger) -> None:
    await append(ledger, *(make_event_row(at=n) for n in range(3)))
    await ledger.write(lambda c: journal.mark_folded(c, [(1, "a"), (2, "b"), (3, "c")]))
    await ledger.write(lambda c: journal.reassign_merged(c, {"a": "b"}))
    assert [row.seq for row in await ledger.read(lambda c: journal.list_for_call(c, "b"))] == [1, 2]
    assert await ledger.read(lambda c: journal.list_for_call(c, "a")) == []


async def test_a_grace_that_a_clock_set_back_has_put_out_of_reach_is_over(ledger: Ledger) -> None:
    (seq,) = await ledger.write(lambda c: journal.append(c, [make_event_row()]))
    await ledger.write(lambda c: journal.mark_waiting(c, [(seq, "id:1")], until=Instant(9_000)))

    async def due(now: int) -> list[int]:
        found = await ledger.read(
            lambda c: journal.list_unfolded(c, 10, now=Instant(now), grace=Duration(1_000))
        )
        return [event.seq for event in found]

    assert await due(8_500) == []
    assert await due(100) == [seq]
