"""The journal stores events byte for byte and in order, and knows which are not folded."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import ANY, Mock

import msgspec
import pytest
from sqlalchemy import Table, select

from relay.call import Kind
from relay.cloudtalk.dialects import REST
from relay.instants import Duration, Instant
from relay.ledger import Ledger, journal
from relay.ledger.connection import Connection
from relay.ledger.journal import NewEvent, StoredEvent, UnfoldedEvents, appending, folding
from relay.ledger.states import EventState
from relay.ledger.tables import bodies, events
from tests.support.journal import count_events, read_events
from tests.support.ledgers import open_ledger
from tests.support.samples import ODD_IDS, RECEIVED_AT, make_event, make_event_row, make_event_with_ids

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
    return await ledger.read(read_events)


async def list_unfolded(ledger: Ledger, limit: int = 100, *, now: int = 0) -> UnfoldedEvents:
    return await ledger.read(
        lambda c: journal.list_unfolded(c, limit, now=Instant(now), grace=Duration(1_000))
    )


async def unfolded(ledger: Ledger, limit: int = 100, *, now: int = 0) -> list[int]:
    return [event.seq for event in (await list_unfolded(ledger, limit, now=now)).events]


# --- appending ------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", BODIES, ids=lambda body: f"{len(body)}-{body[:6]!r}")
async def test_a_single_body_is_stored_byte_for_byte(ledger: Ledger, body: bytes) -> None:
    await append(ledger, make_event_row(body))
    assert [row.raw for row in await stored(ledger)] == [body]


async def test_each_body_of_a_group_is_stored_byte_for_byte(ledger: Ledger) -> None:
    bodies = [*BODIES, *reversed(BODIES)]
    await append(ledger, *(make_event_row(body, at=n) for n, body in enumerate(bodies)))
    assert [row.raw for row in await stored(ledger)] == bodies


async def test_a_group_of_empty_bodies_is_stored(ledger: Ledger) -> None:
    await append(ledger, make_event_row(b""), make_event_row(b"", at=1))
    assert [row.raw for row in await stored(ledger)] == [b"", b""]


async def test_every_field_of_an_event_is_stored(ledger: Ledger) -> None:
    row = make_event_row(
        b"x", path="/hook/ñ'\"", query="?a=%00&b=[1]", content_type="text/plain; charset=utf-8"
    )
    await append(ledger, row)
    (found,) = await stored(ledger)
    assert (found.path, found.query, found.content_type) == (row.path, row.query, row.content_type)
    assert (found.received_at, found.dialect, found.kind) == (row.received_at, "mission", "started")
    assert (found.state, found.call, found.problem) == ("new", None, None)


async def test_sequence_numbers_grow_in_the_order_given(ledger: Ledger) -> None:
    first = await append(ledger, *(make_event_row(at=n, name=f"a{n}") for n in range(50)))
    second = await append(ledger, *(make_event_row(at=100 + n) for n in range(50)))
    assert [*first, *second] == sorted({*first, *second})
    names = [event.parsed.name for event in (await list_unfolded(ledger, 50)).events]
    assert names == [f"a{n}" for n in range(50)]


async def test_each_event_has_its_own_number_whatever_the_order_of_arrival(ledger: Ledger) -> None:
    seqs = await append(ledger, *(make_event_row(bytes([n]), at=-n) for n in range(10)))
    raws = {row.seq: row.raw for row in await stored(ledger)}
    assert [raws[seq] for seq in seqs] == [bytes([n]) for n in range(10)]
    assert seqs == sorted(seqs, reverse=True)  # the earlier event has the smaller number


async def test_other_processes_are_woken_once_for_a_group(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify = Mock()
    monkeypatch.setattr(appending, "notify", notify)
    await append(ledger, make_event_row(), make_event_row(at=1))
    notify.assert_called_once()


async def test_a_number_is_never_used_twice(ledger: Ledger) -> None:
    (first,) = await append(ledger, make_event_row())
    await ledger.write(lambda c: c.execute(events.delete()))
    (second,) = await append(ledger, make_event_row())
    assert second > first


# --- what is not folded ---------------------------------------------------------------------------


async def test_the_parsed_form_is_read_as_it_was_written(ledger: Ledger) -> None:
    parsed = make_event(name="it's 🎉", started_at=5, contact_name='"', tags=["a", "ñ"])
    await append(ledger, make_event_row(parsed=parsed))
    ((event,), _) = await list_unfolded(ledger)
    assert (event.parsed, event.received_at) == (parsed, RECEIVED_AT)


async def test_unfolded_events_are_listed_oldest_first_up_to_the_limit(ledger: Ledger) -> None:
    seqs = await append(ledger, *(make_event_row(at=n) for n in range(5)))
    assert await unfolded(ledger, 3) == seqs[:3]
    assert await unfolded(ledger) == seqs


async def test_a_folded_event_is_listed_for_its_call_only(ledger: Ledger) -> None:
    first, second, third = await append(ledger, *(make_event_row(at=n) for n in range(3)))
    await ledger.write(lambda c: journal.mark_folded(c, [(third, "cloudtalk-1"), (first, "cloudtalk-1")]))
    assert await unfolded(ledger) == [second]
    assert [row.seq for row in await ledger.read(lambda c: journal.list_for_call(c, "cloudtalk-1"))] == [
        first,
        third,
    ]


async def test_an_event_that_is_folded_again_without_a_time_keeps_the_first_one(
    ledger: Ledger,
) -> None:
    await append(ledger, make_event_row(), make_event_row(at=1))
    await ledger.write(lambda c: journal.mark_folded(c, [(1, "a")], now=Instant(50)))
    await ledger.write(lambda c: journal.mark_folded(c, [(1, "b"), (2, "b")]))
    found = await ledger.read(lambda c: journal.list_for_call(c, "b"))
    assert [(event.seq, event.folded_at) for event in found] == [(1, 50), (2, None)]


async def test_an_event_before_a_folded_one_is_listed_all_the_same(ledger: Ledger) -> None:
    first, second = await append(ledger, make_event_row(), make_event_row(at=1))
    await ledger.write(lambda c: journal.mark_folded(c, [(second, "cloudtalk-1")]))
    assert await unfolded(ledger) == [first]


@pytest.mark.parametrize("call", ODD_IDS)
async def test_events_of_a_call_with_an_odd_id_are_found(ledger: Ledger, call: str) -> None:
    (seq,) = await append(ledger, make_event_row(b"raw"))
    await ledger.write(lambda c: journal.mark_folded(c, [(seq, call)]))
    (row,) = await ledger.read(lambda c: journal.list_for_call(c, call))
    assert (row.seq, row.raw, row.parsed.kind, row.received_at) == (seq, b"raw", "started", RECEIVED_AT)


async def test_an_event_that_was_set_aside_is_not_listed_and_has_its_problem(ledger: Ledger) -> None:
    first, second = await append(ledger, make_event_row(), make_event_row(at=1))
    await ledger.write(lambda c: journal.set_aside(c, first, "ValueError('ñ')"))
    assert await unfolded(ledger) == [second]
    row, _ = await stored(ledger)
    assert (row.state, row.problem, row.call) == ("aside", "ValueError('ñ')", None)


async def test_events_are_counted_and_how_many_are_unfolded(ledger: Ledger) -> None:
    first, second, _ = await append(ledger, *(make_event_row(at=n) for n in range(3)))

    def fold(connection: Connection) -> None:
        journal.mark_folded(connection, [(first, "cloudtalk-1")])
        journal.set_aside(connection, second, "broken")

    await ledger.write(fold)
    assert await ledger.read(count_events) == (3, 1, 1)


async def test_ended_events_without_an_outcome_are_counted_by_what_they_lack(ledger: Ledger) -> None:
    lacking = [
        msgspec.structs.replace(make_event(), missing=variable)
        for variable in ("talking_time", "status", "talking_time", None)
    ]
    seqs = await append(ledger, *(make_event_row(at=at, parsed=event) for at, event in enumerate(lacking)))

    def counted_since(at: int) -> Callable[[Connection], dict[str, int]]:
        return lambda c: journal.count_missing(c, since=Instant(RECEIVED_AT + at))

    counted = await ledger.read(counted_since(0))
    assert list(counted.items()) == [("status", 1), ("talking_time", 2)]
    assert await ledger.read(counted_since(2)) == {"talking_time": 1}
    await ledger.write(lambda c: journal.replace_parsed(c, seqs[2], make_event()))
    assert await ledger.read(counted_since(2)) == {}


async def test_events_to_fold_are_limited_by_the_bytes_of_their_parsed_forms(ledger: Ledger) -> None:
    parsed = [make_event(data={"note": "x" * length}) for length in (5_000, 3_000, 20_000, 10)]
    seqs = await append(ledger, *(make_event_row(at=at, parsed=event) for at, event in enumerate(parsed)))

    async def listed(max_bytes: int) -> list[int]:
        found = await ledger.read(
            lambda c: journal.list_unfolded(c, 10, now=Instant(0), grace=Duration(1), max_bytes=max_bytes)
        )
        return [event.seq for event in found.events]

    assert await listed(9_000) == seqs[:2]
    assert await listed(8_000) == seqs[:1]
    assert await listed(100) == seqs[:1]  # never none
    assert await listed(100_000) == seqs
    await ledger.write(lambda c: journal.replace_parsed(c, seqs[0], make_event()))
    assert await listed(8_000) == seqs[:2]


@pytest.mark.parametrize(("second", "together"), [(2_097_152, 2), (2_097_153, 1)])
async def test_four_mebibytes_of_parsed_forms_are_folded_together(
    ledger: Ledger, second: int, together: int
) -> None:
    await append(ledger, make_event_row(), make_event_row(at=1))
    for seq, size in ((1, 2_097_152), (2, second)):
        await set_size(ledger, seq, size)
    assert await list_unfolded(ledger) == (ANY, together == 1)
    assert await unfolded(ledger) == [1, 2][:together]


async def set_size(ledger: Ledger, seq: int, size: int) -> None:
    statement = events.update().where(events.c.seq == seq).values(size=size)
    await ledger.write(lambda c: c.execute(statement))


async def test_a_page_reads_no_more_rows_than_it_lists(ledger: Ledger) -> None:
    await append(ledger, *(make_event_row(at=n) for n in range(8)))
    waiting = [(seq, f"id:{seq}") for seq in range(1, 5)]
    await ledger.write(lambda c: journal.mark_waiting(c, waiting, until=Instant(100)))
    parameters = {"limit": 2, "now": 100, "latest": 200}
    rows = await ledger.read(lambda c: c.execute(folding._select_unfolded, parameters).all())
    assert sorted((row.seq, bool(row.waited)) for row in rows) == [
        (1, True),
        (2, True),
        (5, False),
        (6, False),
    ]


async def test_waits_that_end_first_come_first(ledger: Ledger) -> None:
    await append(ledger, *(make_event_row(at=n) for n in range(3)))
    for seq, until in ((1, 90), (2, 70), (3, 80)):
        waiting = [(seq, "id:1")]
        await ledger.write(partial(journal.mark_waiting, waiting=waiting, until=Instant(until)))
    listed, has_more = await list_unfolded(ledger, 2, now=100)
    assert [(event.seq, event.waited) for event in listed] == [(2, True), (3, True)]
    assert has_more


@pytest.mark.parametrize(("limit", "has_more"), [(3, True), (4, True), (5, False)])
async def test_a_page_says_whether_the_limit_may_hide_events(
    ledger: Ledger, limit: int, has_more: bool
) -> None:
    await append(ledger, *(make_event_row(at=n) for n in range(4)))
    await ledger.write(lambda c: journal.mark_waiting(c, [(1, "id:1")], until=Instant(100)))
    listed = await list_unfolded(ledger, limit, now=100)
    assert (len(listed.events), listed.has_more) == (min(limit, 4), has_more)


async def test_nothing_is_left_of_an_empty_page(ledger: Ledger) -> None:
    assert await list_unfolded(ledger) == ([], False)


async def test_the_state_of_an_event_changes_without_its_body_being_written_again(tmp_path: Path) -> None:
    path = tmp_path / "relay.db"
    async with open_ledger(f"sqlite:///{path}") as ledger:
        await append(ledger, make_event_row(Random(1).randbytes(1 << 20)))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        await ledger.write(lambda c: journal.mark_folded(c, [(1, "cloudtalk-1")]))
        assert path.with_name("relay.db-wal").stat().st_size < 100_000


# --- waiting for a link -----------------------------------------------------------------------------


async def test_a_wait_ends_with_a_call_of_the_alias_or_with_the_grace_period(ledger: Ledger) -> None:
    await append(ledger, *(make_event_row(at=n) for n in range(3)))
    waiting = [(1, "id:1"), (2, "id:2")]
    await ledger.write(lambda c: journal.mark_waiting(c, waiting, until=Instant(100)))
    assert await unfolded(ledger) == [3]
    assert await ledger.write(lambda c: journal.requeue_waiting(c, ["id:2", "id:9"])) == 1
    assert await unfolded(ledger) == [2, 3]
    due, _ = await list_unfolded(ledger, now=100)
    assert [(event.seq, event.waited) for event in due] == [(1, True), (2, False), (3, False)]
    assert await ledger.read(count_events) == (3, 3, 0)


async def test_the_oldest_event_that_is_not_folded_is_new_or_waits(ledger: Ledger) -> None:
    async def unfolded_since(*, waiting: bool = True) -> int | None:
        since = await ledger.read(lambda c: journal.unfolded_since(c, waiting=waiting))
        return None if since is None else since - RECEIVED_AT

    assert await unfolded_since() is None
    await append(ledger, *(make_event_row(at=n) for n in (10, 20, 30, 40, 50)))
    assert await unfolded_since() == 10
    await ledger.write(lambda c: journal.mark_waiting(c, [(1, "id:1")], until=Instant(100)))
    await ledger.write(lambda c: journal.mark_waiting(c, [(3, "id:3")], until=Instant(200)))
    assert await unfolded_since() == 10
    await ledger.write(lambda c: journal.mark_folded(c, [(1, "cloudtalk-1")]))
    assert await unfolded_since() == 20
    await ledger.write(lambda c: journal.mark_folded(c, [(2, "cloudtalk-1"), (4, "cloudtalk-1")]))
    assert await unfolded_since() == 30, "it waits"
    assert await unfolded_since(waiting=False) == 50
    await ledger.write(lambda c: journal.mark_folded(c, [(3, "cloudtalk-1")]))
    await ledger.write(lambda c: journal.set_aside(c, 5, "broken"))
    assert await unfolded_since() is None


async def test_events_in_no_call_are_listed_by_state_the_newest_first(ledger: Ledger) -> None:
    names = ("waits", "folded", "waits too", "aside", "new", "waited")
    seqs = await append(ledger, *(make_event_row(at=n, name=name) for n, name in enumerate(names, 1)))
    waiting = [(seq, f"id:{seq}") for seq in seqs if seq not in {2, 4, 5}]
    await ledger.write(lambda c: journal.mark_waiting(c, waiting, until=Instant(100)))
    await ledger.write(lambda c: journal.requeue_waiting(c, ["id:6"]))
    await ledger.write(lambda c: journal.mark_folded(c, [(2, "cloudtalk-2")]))
    await ledger.write(lambda c: journal.set_aside(c, 4, "broken"))

    async def listed(limit: int) -> list[tuple[str, int, str, int | None, tuple[str, ...]]]:
        found = await ledger.read(lambda c: list(journal.list_unmatched(c, limit)))
        return [
            (event.name, event.received_at - RECEIVED_AT, event.state, event.waits_until, event.aliases)
            for event in found
        ]

    assert await listed(limit=2) == [
        ("e3", 3, "waiting", 100, ("id:waits too",)),
        ("e1", 1, "waiting", 100, ("id:waits",)),
        ("e6", 6, "new", None, ("id:waited",)),  # its wait ended before its time
        ("e5", 5, "new", None, ("id:new",)),
        ("e4", 4, "aside", None, ("id:aside",)),
    ]
    assert [name for name, *_ in await listed(limit=1)] == ["e3", "e6", "e4"]


async def test_the_newest_event_is_the_last_that_arrived(ledger: Ledger) -> None:
    assert await ledger.read(journal.last_received_at) is None
    await append(ledger, *(make_event_row(at=n) for n in (10, 30, 20)))
    assert await ledger.read(journal.last_received_at) == RECEIVED_AT + 30


async def test_a_row_that_the_relay_fetched_is_no_sign_that_cloudtalk_sends(ledger: Ledger) -> None:
    fetched = msgspec.structs.replace(make_event(), dialect=REST.name)
    await append(ledger, make_event_row(at=10), make_event_row(at=20, parsed=fetched))
    assert await ledger.read(journal.last_received_at) == RECEIVED_AT + 10


async def test_an_event_is_new_until_it_is_folded_set_aside_or_waits(ledger: Ledger) -> None:
    first, second, third, later = await append(ledger, *(make_event_row(at=n) for n in range(4)))

    async def has_new() -> bool:
        return await ledger.read(lambda c: journal.has_new(c, third))

    assert await has_new()
    await ledger.write(lambda c: journal.mark_folded(c, [(first, "1")], now=RECEIVED_AT))
    await ledger.write(lambda c: journal.set_aside(c, second, "a fault"))
    assert await has_new()
    await ledger.write(lambda c: journal.mark_waiting(c, [(third, "id:1")], until=RECEIVED_AT))
    assert not await has_new()
    assert await ledger.read(lambda c: journal.has_new(c, later))


async def test_only_a_wait_ends_with_a_call_of_the_alias(ledger: Ledger) -> None:
    await append(ledger, make_event_row(), make_event_row(at=1))
    waiting = [(1, "id:1"), (2, "id:1")]
    await ledger.write(lambda c: journal.mark_waiting(c, waiting, until=Instant(100)))
    await ledger.write(lambda c: journal.mark_folded(c, [(1, "cloudtalk-1")]))
    await ledger.write(lambda c: journal.requeue_waiting(c, ["id:1"]))
    assert await unfolded(ledger) == [2]
    assert [row.state for row in await stored(ledger)] == ["folded", "new"]


async def test_the_events_of_a_merged_call_move_to_the_survivor(ledger: Ledger) -> None:
    await append(ledger, *(make_event_row(at=n) for n in range(3)))
    await ledger.write(lambda c: journal.mark_folded(c, [(1, "a"), (2, "b"), (3, "c")]))
    await ledger.write(lambda c: journal.reassign_merged(c, {"a": "b"}))
    assert [row.seq for row in await ledger.read(lambda c: journal.list_for_call(c, "b"))] == [1, 2]
    assert await ledger.read(lambda c: journal.list_for_call(c, "a")) == []


async def test_a_wait_longer_than_the_grace_period_begins_again_after_the_clock_was_set_back(
    ledger: Ledger,
) -> None:
    (seq,) = await ledger.write(lambda c: journal.append(c, [make_event_row()]))
    await ledger.write(lambda c: journal.mark_waiting(c, [(seq, "id:1")], until=Instant(9_000)))

    async def listed(now: int) -> list[tuple[int, bool]]:
        events, _ = await list_unfolded(ledger, now=now)
        return [(event.seq, event.waited) for event in events]

    assert await listed(8_000) == []
    assert await listed(7_999) == [(seq, False)]
    assert await listed(8_999) == []
    assert await listed(9_000) == [(seq, True)]


# --- single events ----------------------------------------------------------------------------------


async def test_a_single_event_is_read_with_all_its_fields(ledger: Ledger) -> None:
    parsed = make_event(name="7")
    await append(ledger, make_event_row(b"other"), make_event_row(b"raw", at=1, parsed=parsed))
    await ledger.write(lambda c: journal.mark_folded(c, [(2, "cloudtalk-7")]))
    await ledger.write(lambda c: journal.set_aside(c, 2, "broken"))
    expected = StoredEvent(
        seq=2,
        received_at=Instant(RECEIVED_AT + 1),
        content_type="application/json",
        path="/cloudtalk/webhook",
        query="a=1&b=%20",
        raw=b"raw",
        parsed=parsed,
        state=EventState.ASIDE,
        call="cloudtalk-7",
        problem="broken",
    )
    assert await ledger.read(lambda c: journal.get(c, 2)) == expected
    assert expected.name == "e2"


async def test_single_events_are_read_and_removed_by_their_number(ledger: Ledger) -> None:
    rows = [make_event_row(raw, at=at) for at, raw in enumerate((b"1", b"2", b"3"))]
    first, second, third = await append(ledger, *rows)
    assert (await ledger.read(lambda c: journal.get(c, second))).raw == b"2"
    found = await ledger.read(lambda c: journal.get_many(c, [third, 10**9, first]))
    assert [(event.seq, event.raw) for event in found] == [(first, b"1"), (third, b"3")]
    await ledger.write(lambda c: journal.remove(c, second))
    assert [await numbers_in(ledger, table) for table in (events, bodies)] == [[first, third]] * 2


async def numbers_in(ledger: Ledger, table: Table) -> list[int]:
    statement = select(table.c.seq).order_by(table.c.seq)
    return await ledger.read(lambda c: list(c.execute(statement).scalars()))


async def test_the_parsed_form_of_one_event_is_replaced_with_what_follows_from_it(ledger: Ledger) -> None:
    await append(ledger, make_event_row(), make_event_row(at=1))
    parsed = make_event_with_ids(Kind.ENDED, "id:1", dialect="flow")
    parsed = msgspec.structs.replace(parsed, missing="talking_time")
    await ledger.write(lambda c: journal.replace_parsed(c, 1, parsed))
    changed, other = await stored(ledger)
    assert (changed.dialect, changed.kind, changed.missing) == ("flow", "ended", "talking_time")
    assert (other.dialect, other.kind, other.missing) == ("mission", "started", None)
    assert (changed.size, other.size) == (len(changed.parsed), len(other.parsed))
    assert (await ledger.read(lambda c: journal.get(c, 1))).parsed == parsed
    assert (await ledger.read(lambda c: journal.get(c, 2))).parsed == make_event()


async def test_events_that_were_set_aside_are_listed_in_order_and_folded_again_one_by_one(
    ledger: Ledger,
) -> None:
    await append(ledger, *(make_event_row(at=n) for n in range(4)))
    await ledger.write(lambda c: journal.mark_folded(c, [(1, "cloudtalk-1")]))
    for seq in (4, 2, 3):
        await ledger.write(partial(journal.set_aside, seq=seq, problem="broken"))
    assert await ledger.read(journal.list_aside) == [2, 3, 4]
    for seq in (1, 3):  # the first is folded, and stays so
        await ledger.write(partial(journal.requeue_aside, seq=seq))
    rows = await stored(ledger)
    assert [(row.state, row.problem) for row in rows] == [
        ("folded", None),
        ("aside", "broken"),
        ("new", None),
        ("aside", "broken"),
    ]
    assert await ledger.read(journal.list_aside) == [2, 4]


async def test_the_sizes_of_events_are_listed_call_by_call_in_the_order_of_arrival(ledger: Ledger) -> None:
    await append(ledger, *(make_event_row(at=n) for n in range(5)))
    folded = [(1, "b"), (2, "a"), (3, "other"), (4, "b"), (5, "a")]
    await ledger.write(lambda c: journal.mark_folded(c, folded))
    for seq in range(1, 6):
        await set_size(ledger, seq, 100 + seq)
    assert await ledger.read(lambda c: journal.list_sizes(c, ["b", "a", "unknown"])) == [
        ("a", 2, 102),
        ("a", 5, 105),
        ("b", 1, 101),
        ("b", 4, 104),
    ]
