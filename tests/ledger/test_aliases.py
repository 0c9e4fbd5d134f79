"""The call of each id, whatever the ids look like."""

import pytest
from sqlalchemy.exc import IntegrityError

from relay.ledger import Ledger, aliases
from relay.ledger.aliases import Alias, AliasReason
from tests.support.samples import ODD_IDS


async def add(ledger: Ledger, *pairs: tuple[str, str]) -> None:
    new = [Alias(alias, call, AliasReason.STATED) for alias, call in pairs]
    await ledger.write(lambda c: aliases.add(c, new))


async def resolve(ledger: Ledger, *ids: str) -> dict[str, str]:
    return {found.alias: found.call for found in await ledger.read(lambda c: aliases.get_many(c, ids))}


async def test_a_known_alias_has_its_call_and_an_unknown_one_is_absent(ledger: Ledger) -> None:
    await add(ledger, ("id:1", "cloudtalk-1"), ("uuid:ab", "cloudtalk-1"), ("id:2", "cloudtalk-2"))
    assert await resolve(ledger, "id:1", "uuid:ab", "id:3") == {
        "id:1": "cloudtalk-1",
        "uuid:ab": "cloudtalk-1",
    }
    assert await resolve(ledger) == {}


async def test_aliases_with_odd_ids_are_distinct(ledger: Ledger) -> None:
    await add(ledger, *((f"other:{odd}", f"cloudtalk-{odd}") for odd in ODD_IDS))
    assert await resolve(ledger, *(f"other:{odd}" for odd in ODD_IDS)) == {
        f"other:{odd}": f"cloudtalk-{odd}" for odd in ODD_IDS
    }


async def test_only_the_exact_text_of_an_alias_matches(ledger: Ledger) -> None:
    await add(ledger, ("other:ABC", "cloudtalk-1"), ("other:é", "cloudtalk-2"), ("id:1", "cloudtalk-3"))
    assert await resolve(ledger, "other:abc", "other:e\u0301", "id:01", "id:1 ", "other:%") == {}


async def test_an_alias_cannot_be_added_to_a_second_call(ledger: Ledger) -> None:
    await add(ledger, ("id:1", "cloudtalk-1"))
    with pytest.raises(IntegrityError):
        await add(ledger, ("id:1", "cloudtalk-2"))
    assert await resolve(ledger, "id:1") == {"id:1": "cloudtalk-1"}


async def test_the_aliases_of_a_merged_call_move_to_the_survivor(ledger: Ledger) -> None:
    await add(ledger, ("id:1", "a"), ("uuid:1", "a"), ("id:2", "b"), ("id:3", "c"))
    await ledger.write(lambda c: aliases.reassign_merged(c, {"a": "b"}))
    assert await resolve(ledger, "id:1", "uuid:1", "id:2", "id:3") == {
        "id:1": "b",
        "uuid:1": "b",
        "id:2": "b",
        "id:3": "c",
    }


async def test_each_alias_is_read_with_the_reason_of_its_call(ledger: Ledger) -> None:
    added = [Alias("id:1", "a", AliasReason.STATED), Alias("uuid:1", "a", AliasReason.CHOSEN)]
    await ledger.write(lambda c: aliases.add(c, added))
    await ledger.write(lambda c: aliases.pin(c, "id:1", "b"))
    found = await ledger.read(lambda c: aliases.get_many(c, ["id:1", "uuid:1", "id:9"]))
    assert sorted(found, key=lambda alias: alias.alias) == [
        Alias("id:1", "b", AliasReason.SPLIT),
        Alias("uuid:1", "a", AliasReason.CHOSEN),
    ]
