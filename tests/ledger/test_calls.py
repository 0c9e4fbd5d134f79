"""The rows of calls, whatever their ids and texts look like."""

import msgspec
import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from relay.call import Kind, join, state_from_event
from relay.instants import Instant
from relay.ledger import Ledger, calls
from relay.ledger.calls import CallRow, NumberWindow
from relay.ledger.errors import CallPruned
from relay.ledger.tables import calls as table
from tests.support.samples import ODD_IDS, RECEIVED_AT, make_call_row, make_event, make_state

LAST = Instant(2**62)


async def write(
    ledger: Ledger, *, new: list[CallRow] | None = None, changed: list[CallRow] | None = None
) -> None:
    await ledger.write(lambda c: calls.write(c, new or [], changed or []))


async def get_many(ledger: Ledger, *ids: str) -> dict[str, CallRow]:
    return await ledger.read(lambda c: calls.get_many(c, ids))


async def test_a_row_is_read_as_it_was_written(ledger: Ledger) -> None:
    row = make_call_row(contact_name="Zoë 'Ñ' \"🎉\"", tags=["a", ""], started_at=RECEIVED_AT, notes="a\nb")
    await write(ledger, new=[row])
    assert await get_many(ledger, row.id) == {row.id: row}


async def test_a_changed_row_replaces_only_its_own_old_version(ledger: Ledger) -> None:
    await write(ledger, new=[make_call_row("a"), make_call_row("b")])
    newer = msgspec.structs.replace(make_call_row("b", 2, notes="new"), began_at=Instant(7))
    await write(ledger, changed=[newer])
    assert await get_many(ledger, "a", "b") == {"a": make_call_row("a"), "b": newer}


async def test_new_and_changed_rows_are_written_together(ledger: Ledger) -> None:
    await write(ledger, new=[make_call_row("b")])
    await write(ledger, new=[make_call_row("c"), make_call_row("a")], changed=[make_call_row("b", 2)])
    assert {call: row.version for call, row in (await get_many(ledger, "a", "b", "c")).items()} == {
        "a": 1,
        "b": 2,
        "c": 1,
    }


async def test_terms_that_are_the_same_are_not_written_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced = list[list[str]]()
    await write(ledger, new=[make_call_row("a"), make_call_row("b")])
    monkeypatch.setattr("relay.ledger.call_terms.replace", lambda _, terms: replaced.append(sorted(terms)))
    rows = [make_call_row("a", 2), make_call_row("b", 2)]
    await ledger.write(lambda c: calls.write(c, [], rows, same_terms={"a"}))
    await ledger.write(lambda c: calls.write(c, [], rows, same_terms={"a", "b"}))
    assert replaced == [["b"]]


async def test_an_unknown_id_is_absent_from_the_result(ledger: Ledger) -> None:
    await write(ledger, new=[make_call_row("a")])
    assert (await get_many(ledger, "a", "b")).keys() == {"a"}
    assert await get_many(ledger) == {}


async def test_a_known_call_cannot_be_inserted_again(ledger: Ledger) -> None:
    await write(ledger, new=[make_call_row()])
    with pytest.raises(IntegrityError):
        await write(ledger, new=[make_call_row()])


async def test_a_changed_call_that_is_gone_is_an_error(ledger: Ledger) -> None:
    await write(ledger, new=[make_call_row("a")])
    with pytest.raises(CallPruned):
        await write(ledger, changed=[make_call_row("a", 2), make_call_row("gone", 2)])
    assert await get_many(ledger, "a") == {"a": make_call_row("a")}


async def test_the_records_of_calls_are_read_by_id(ledger: Ledger) -> None:
    rows = [make_call_row("a"), make_call_row("b", 2)]
    await write(ledger, new=rows)
    found = await ledger.read(lambda c: calls.get_records(c, ["b", "unknown"]))
    assert found == {"b": rows[1].record}
    assert await ledger.read(calls.count) == 2


async def test_a_call_changed_with_the_last_event_that_set_a_value(ledger: Ledger) -> None:
    """An event that arrived later, but set nothing, does not count; the first event always does."""
    first = make_state(seq=1, contact_name="Ana")
    late = make_event(kind=Kind.MODIFIED, tags=["vip"])
    joined = join(first, state_from_event(late, seq=9, received_at=Instant(RECEIVED_AT + 9)))
    rows = [
        msgspec.structs.replace(make_call_row(id_), state=state)
        for id_, state in (("first", first), ("joined", joined))
    ]
    await write(ledger, new=rows)
    found = await ledger.read(lambda c: c.execute(select(table.c.id, table.c.changed_at)).all())
    assert {id_: at - RECEIVED_AT for id_, at in found} == {"first": 1, "joined": 9}


def merged_row(id_: str) -> CallRow:
    row = make_call_row(id_)
    return msgspec.structs.replace(row, record=msgspec.structs.replace(row.record, merged_into="a"))


async def test_a_merged_call_is_neither_counted_nor_listed(ledger: Ledger) -> None:
    number = "+34600111222"
    rows = [make_call_row("a"), merged_row("b"), make_call_row("c")]
    await write(ledger, new=[msgspec.structs.replace(row, number=number) for row in rows])
    assert await ledger.read(calls.count) == 2
    assert await ledger.read(lambda c: calls.list_ids_after(c, "", 9)) == ["a", "c"]
    found = await ledger.read(lambda c: calls.list_by_number(c, [NumberWindow(number, Instant(0), LAST)]))
    assert found.keys() == {"a", "c"}


async def test_calls_are_found_by_their_number_and_the_time_of_their_start(ledger: Ledger) -> None:
    values = {
        "a": ("+341", 9),
        "b": ("+341", 10),
        "c": ("+341", 20),
        "d": ("+342", 11),
        "e": (None, 11),
        "f": ("+341", 21),
        "g": ("+343", 99),
    }
    rows = [
        msgspec.structs.replace(make_call_row(id_), number=number, began_at=Instant(at))
        for id_, (number, at) in values.items()
    ]
    await write(ledger, new=rows)
    windows = [
        NumberWindow("+341", Instant(10), Instant(20)),
        NumberWindow("+341", Instant(10), Instant(20)),
        NumberWindow("+341", Instant(15), Instant(20)),
        NumberWindow("+343", Instant(99), Instant(99)),
        NumberWindow("+344", Instant(0), LAST),
    ]
    found = await ledger.read(lambda c: calls.list_by_number(c, windows))
    assert found == {"b": rows[1], "c": rows[2], "g": rows[6]}
    assert await ledger.read(lambda c: calls.list_by_number(c, [])) == {}


async def test_the_ids_of_all_calls_are_read_in_pages(ledger: Ledger) -> None:
    await write(ledger, new=[make_call_row(id_) for id_ in ("d", "b", "a", "c")])
    assert await ledger.read(lambda c: calls.list_ids_after(c, "", 2)) == ["a", "b"]
    assert await ledger.read(lambda c: calls.list_ids_after(c, "b", 9)) == ["c", "d"]


async def test_only_calls_that_lost_events_are_pruned(ledger: Ledger) -> None:
    await write(ledger, new=[make_call_row(id_) for id_ in ("a", "b", "c")])
    await ledger.write(lambda c: calls.set_pruned(c, ["b", "a"], now=Instant(7)))
    assert await ledger.read(lambda c: calls.list_pruned_ids(c, ["b", "c", "unknown"])) == {"b"}


async def test_calls_with_odd_ids_are_distinct(ledger: Ledger) -> None:
    await write(ledger, new=[make_call_row(odd, contact_name=odd) for odd in ODD_IDS])
    await write(ledger, changed=[make_call_row(odd, 2, contact_name=odd) for odd in ODD_IDS])
    rows = await get_many(ledger, *ODD_IDS)
    assert rows == {odd: make_call_row(odd, 2, contact_name=odd) for odd in ODD_IDS}
