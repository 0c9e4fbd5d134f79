"""What a client wants to know again: a destination's own, under any key, no older than asked for."""

from collections.abc import Mapping

from relay.instants import Instant
from relay.ledger import Ledger, client_state
from tests.support.samples import ODD_IDS


async def keep(ledger: Ledger, values: Mapping[str, str | None], name: str = "crm", now: int = 10) -> None:
    await ledger.write(lambda c: client_state.set_many(c, name, values, now=Instant(now)))


async def recall(ledger: Ledger, *keys: str, name: str = "crm", since: int = 0) -> dict[str, str]:
    return await ledger.read(lambda c: client_state.get_many(c, name, keys, since=Instant(since)))


async def test_what_was_kept_is_known_again_and_nothing_else(ledger: Ledger) -> None:
    await keep(ledger, {"phone:1": "c1", "phone:2": "c2"})
    assert await recall(ledger, "phone:2", "phone:2", "phone:3") == {"phone:2": "c2"}
    assert await recall(ledger) == {}


async def test_each_destination_has_a_memory_of_its_own(ledger: Ledger) -> None:
    await keep(ledger, {"phone:1": "c1"})
    await keep(ledger, {"phone:1": "other"}, name="other")
    await keep(ledger, {"phone:1": None}, name="third")
    assert await recall(ledger, "phone:1") == {"phone:1": "c1"}
    assert await recall(ledger, "phone:1", name="other") == {"phone:1": "other"}


async def test_the_newer_takes_the_place_of_the_older(ledger: Ledger) -> None:
    await keep(ledger, {"a": "1", "b": "1"})
    await keep(ledger, {"a": "2", "c": "2"}, now=20)
    assert await recall(ledger, "a", "b", "c") == {"a": "2", "b": "1", "c": "2"}


async def test_nothing_in_the_place_of_something_forgets_it(ledger: Ledger) -> None:
    await keep(ledger, {"a": "1", "b": "1"})
    await keep(ledger, {"a": None, "never": None})
    assert await recall(ledger, "a", "b", "never") == {"b": "1"}


async def test_what_is_too_old_is_not_recalled(ledger: Ledger) -> None:
    await keep(ledger, {"old": "1"}, now=10)
    await keep(ledger, {"new": "1"}, now=20)
    assert await recall(ledger, "old", "new", since=20) == {"new": "1"}
    await keep(ledger, {"old": "1"}, now=30)
    assert await recall(ledger, "old", since=20) == {"old": "1"}


async def test_odd_keys_and_values_are_told_apart(ledger: Ledger) -> None:
    await keep(ledger, {odd: odd for odd in ODD_IDS})
    assert await recall(ledger, *ODD_IDS) == {odd: odd for odd in ODD_IDS}
