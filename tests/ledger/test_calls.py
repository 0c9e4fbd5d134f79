"""The joined records and whose an id is, whatever the ids look like."""

import msgspec
import pytest
from sqlalchemy.exc import IntegrityError

from relay.ledger import Ledger, aliases, calls
from relay.ledger.aliases import Alias, AliasReason
from relay.ledger.calls import CallRow
from tests.support.samples import ODD_IDS, RECEIVED_AT, make_call_row


async def write(
    ledger: Ledger, *, new: list[CallRow] | None = None, known: list[CallRow] | None = None
) -> None:
    await ledger.write(lambda c: calls.write(c, new or [], known or []))


async def found(ledger: Ledger, *ids: str) -> dict[str, CallRow]:
    return await ledger.read(lambda c: calls.get_many(c, ids))


async def test_a_call_comes_back_as_it_was_written(ledger: Ledger) -> None:
    row = make_call_row(contact_name="Zoë 'Ñ' \"🎉\"", tags=["a", ""], started_at=RECEIVED_AT, notes="a\nb")
    await write(ledger, new=[row])
    assert await found(ledger, row.id) == {row.id: row}


async def test_a_newer_version_takes_the_place_of_the_older_and_of_no_other(ledger: Ledger) -> None:
    await write(ledger, new=[make_call_row("a"), make_call_row("b")])
    newer = msgspec.structs.replace(make_call_row("b", 2, notes="new"), began_at=7)
    await write(ledger, known=[newer])
    assert await found(ledger, "a", "b") == {"a": make_call_row("a"), "b": newer}


async def test_new_and_known_calls_are_written_together(ledger: Ledger) -> None:
    await write(ledger, new=[make_call_row("b")])
    await write(ledger, new=[make_call_row("c"), make_call_row("a")], known=[make_call_row("b", 2)])
    assert {call: row.version for call, row in (await found(ledger, "a", "b", "c")).items()} == {
        "a": 1,
        "b": 2,
        "c": 1,
    }


async def test_what_is_unknown_is_left_out(ledger: Ledger) -> None:
    await write(ledger, new=[make_call_row("a")])
    assert (await found(ledger, "a", "b")).keys() == {"a"}
    assert await found(ledger) == {}


async def test_a_call_cannot_begin_twice(ledger: Ledger) -> None:
    await write(ledger, new=[make_call_row()])
    with pytest.raises(IntegrityError):
        await write(ledger, new=[make_call_row()])


async def test_the_newest_are_those_that_began_last(ledger: Ledger) -> None:
    rows = [
        msgspec.structs.replace(make_call_row(call), began_at=at)
        for call, at in (("a", 2), ("b", 3), ("c", 1))
    ]
    await write(ledger, new=rows)
    assert [call.id for call in await ledger.read(lambda c: calls.list_newest(c, 2))] == ["b", "a"]
    assert await ledger.read(calls.count) == 3


async def test_calls_of_every_odd_id_are_told_apart(ledger: Ledger) -> None:
    await write(ledger, new=[make_call_row(odd, contact_name=odd) for odd in ODD_IDS])
    await write(ledger, known=[make_call_row(odd, 2, contact_name=odd) for odd in ODD_IDS])
    everything = await found(ledger, *ODD_IDS)
    assert everything == {odd: make_call_row(odd, 2, contact_name=odd) for odd in ODD_IDS}


# --- aliases --------------------------------------------------------------------------------------


async def own(ledger: Ledger, *pairs: tuple[str, str]) -> None:
    await ledger.write(
        lambda c: aliases.add(c, [Alias(alias, call, AliasReason.STATED) for alias, call in pairs])
    )


async def owners(ledger: Ledger, *ids: str) -> dict[str, str]:
    return await ledger.read(lambda c: aliases.resolve(c, ids))


async def test_an_alias_finds_its_call_and_an_unknown_one_nothing(ledger: Ledger) -> None:
    await own(ledger, ("id:1", "cloudtalk-1"), ("uuid:ab", "cloudtalk-1"), ("id:2", "cloudtalk-2"))
    assert await owners(ledger, "id:1", "uuid:ab", "id:3") == {
        "id:1": "cloudtalk-1",
        "uuid:ab": "cloudtalk-1",
    }
    assert await owners(ledger) == {}


async def test_aliases_of_every_odd_id_are_told_apart(ledger: Ledger) -> None:
    await own(ledger, *((f"other:{odd}", f"cloudtalk-{odd}") for odd in ODD_IDS))
    assert await owners(ledger, *(f"other:{odd}" for odd in ODD_IDS)) == {
        f"other:{odd}": f"cloudtalk-{odd}" for odd in ODD_IDS
    }


async def test_an_alias_is_found_by_its_exact_text(ledger: Ledger) -> None:
    await own(ledger, ("other:ABC", "cloudtalk-1"), ("other:é", "cloudtalk-2"), ("id:1", "cloudtalk-3"))
    assert await owners(ledger, "other:abc", "other:e\u0301", "id:01", "id:1 ", "other:%") == {}


async def test_an_alias_belongs_to_one_call(ledger: Ledger) -> None:
    await own(ledger, ("id:1", "cloudtalk-1"))
    with pytest.raises(IntegrityError):
        await own(ledger, ("id:1", "cloudtalk-2"))
    assert await owners(ledger, "id:1") == {"id:1": "cloudtalk-1"}
