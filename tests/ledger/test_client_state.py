"""The values that a client keeps: separate for each destination, under any key, and with an age."""

from collections.abc import Mapping

from relay.instants import Instant
from relay.ledger import Ledger, client_state
from tests.support.samples import ODD_IDS


async def set_many(
    ledger: Ledger, values: Mapping[str, str | None], name: str = "crm", now: int = 10
) -> None:
    await ledger.write(lambda c: client_state.set_many(c, name, values, now=Instant(now)))


async def get_many(ledger: Ledger, *keys: str, name: str = "crm", since: int = 0) -> dict[str, str]:
    return await ledger.read(lambda c: client_state.get_many(c, name, keys, since=Instant(since)))


async def test_a_value_is_read_by_its_key_and_unknown_keys_are_absent(ledger: Ledger) -> None:
    await set_many(ledger, {"phone:1": "c1", "phone:2": "c2"})
    assert await get_many(ledger, "phone:2", "phone:2", "phone:3") == {"phone:2": "c2"}
    assert await get_many(ledger) == {}


async def test_each_destination_has_its_own_values(ledger: Ledger) -> None:
    await set_many(ledger, {"phone:1": "c1"})
    await set_many(ledger, {"phone:1": "other"}, name="other")
    await set_many(ledger, {"phone:1": None}, name="third")
    assert await get_many(ledger, "phone:1") == {"phone:1": "c1"}
    assert await get_many(ledger, "phone:1", name="other") == {"phone:1": "other"}


async def test_a_new_value_replaces_the_old_one(ledger: Ledger) -> None:
    await set_many(ledger, {"a": "1", "b": "1"})
    await set_many(ledger, {"a": "2", "c": "2"}, now=20)
    assert await get_many(ledger, "a", "b", "c") == {"a": "2", "b": "1", "c": "2"}


async def test_none_removes_a_key(ledger: Ledger) -> None:
    await set_many(ledger, {"a": "1", "b": "1"})
    await set_many(ledger, {"a": None, "never": None})
    assert await get_many(ledger, "a", "b", "never") == {"b": "1"}


async def test_values_that_are_too_old_are_absent(ledger: Ledger) -> None:
    await set_many(ledger, {"old": "1"}, now=10)
    await set_many(ledger, {"new": "1"}, now=20)
    assert await get_many(ledger, "old", "new", since=20) == {"new": "1"}
    await set_many(ledger, {"old": "1"}, now=30)
    assert await get_many(ledger, "old", since=20) == {"old": "1"}


async def test_odd_keys_and_values_are_distinct(ledger: Ledger) -> None:
    await set_many(ledger, {odd: odd for odd in ODD_IDS})
    assert await get_many(ledger, *ODD_IDS) == {odd: odd for odd in ODD_IDS}
