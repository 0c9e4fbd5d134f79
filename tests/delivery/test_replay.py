"""A replay owes calls to CRMs again, in portions, beside a relay that serves."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from relay.delivery import replay
from relay.delivery.replay import Replay, Replayed
from relay.ledger import LeaseLost, Ledger, calls, deliveries, destinations, leases
from tests.support.clock import Clock
from tests.support.samples import call_row

NOW = 1_000


@pytest.fixture
async def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ledger]:
    """Seven calls that began a microsecond apart, one of them between colleagues."""
    monkeypatch.setattr(replay, "_PORTION", 3)
    opened = Ledger(f"sqlite:///{tmp_path / 'relay.db'}", clock=Clock(NOW))
    await opened.open()
    rows = [msgspec.structs.replace(call_row(f"call-{at}", 1), began_at=at) for at in range(1, 7)]
    internal = msgspec.structs.replace(call_row("call-7", 1, direction="internal"), began_at=7)
    await opened.write(lambda c: calls.write(c, [*rows, internal], []))
    yield opened
    await opened.close()


def replay_of(ledger: Ledger, *names: str, forward_internal: bool = False) -> Replay:
    return Replay(ledger, dict.fromkeys(names, "local"), forward_internal=forward_internal)


async def owed(ledger: Ledger, name: str = "crm") -> list[str]:
    def look(connection: Any) -> list[str]:
        ids = [f"call-{at}" for at in range(1, 8)]
        rows = [row for id_ in ids for row in deliveries.list_for_call(connection, id_)]
        return [row.call[5:] for row in rows if row.destination == name and row.state == "pending"]

    return await ledger.read(look)


def silent(_: int, __: int) -> None:
    """Nobody watches."""


async def test_every_call_but_those_between_colleagues_is_owed_to_every_destination(ledger: Ledger) -> None:
    done = await replay_of(ledger, "crm", "other").between(None, None, silent)
    assert done == Replayed(["crm", "other"], calls=6, left_out=1)
    assert await owed(ledger) == await owed(ledger, "other") == list("123456")


async def test_calls_between_colleagues_are_owed_where_they_are_wanted(ledger: Ledger) -> None:
    done = await replay_of(ledger, "crm", forward_internal=True).between(None, None, silent)
    assert (done.calls, done.left_out) == (7, 0)
    assert await owed(ledger) == list("1234567")


async def test_only_the_calls_of_a_time_are_owed(ledger: Ledger) -> None:
    done = await replay_of(ledger, "crm").between(2, 6, silent)
    assert done.calls == 4
    assert await owed(ledger) == list("2345")


async def test_it_works_in_portions_and_tells_how_far_it_is(ledger: Ledger) -> None:
    seen: list[tuple[int, int]] = []
    await replay_of(ledger, "crm").between(2, None, lambda done, total: seen.append((done, total)))
    assert seen == [(3, 6), (6, 6), (6, 6)]


async def test_where_there_is_no_call_nothing_is_owed(ledger: Ledger) -> None:
    assert await replay_of(ledger, "crm").between(8, None, silent) == Replayed(["crm"])


async def test_named_calls_are_owed_and_no_others(ledger: Ledger) -> None:
    done = await replay_of(ledger, "crm").named(["call-2", "call-4", "call-7", "nobody"])
    assert done == Replayed(["crm"], calls=2, left_out=1)
    assert await owed(ledger) == ["2", "4"]


async def test_a_call_that_went_into_another_is_left_out(ledger: Ledger) -> None:
    row = call_row("call-2", 2)
    merged = msgspec.structs.replace(row, record=msgspec.structs.replace(row.record, merged_into="call-1"))
    await ledger.write(lambda c: calls.write(c, [], [merged]))
    await replay_of(ledger, "crm").between(None, 4, silent)
    assert await owed(ledger) == ["1", "3"]
    assert (await replay_of(ledger, "crm").named(["call-2"])).left_out == 1


async def test_the_newest_version_is_owed_though_a_mark_knew_an_older_one(ledger: Ledger) -> None:
    await ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
    await ledger.write(lambda c: deliveries.enqueue(c, [("call-1", 1)], now=1))
    await ledger.write(lambda c: calls.write(c, [], [call_row("call-1", 5)]))
    await replay_of(ledger, "crm").named(["call-1"])
    (mark,) = await ledger.read(lambda c: deliveries.list_for_call(c, "call-1"))
    assert mark.version == 5


async def test_the_ledger_learns_of_a_destination_that_no_relay_has_served(ledger: Ledger) -> None:
    await replay_of(ledger, "crm").between(None, None, silent)
    assert [(row.name, row.client) for row in await ledger.read(destinations.list_all)] == [("crm", "local")]


async def test_it_takes_the_folds_lease_and_lets_go_of_it(ledger: Ledger) -> None:
    def take(connection: Any, owner: str) -> int | None:
        return leases.acquire(connection, "fold", owner, now=NOW, length=9_000_000)

    token = await ledger.write(lambda c: take(c, "elsewhere/1/1"))
    assert token is not None
    await replay_of(ledger, "crm").named(["call-1"])
    with pytest.raises(LeaseLost):
        await ledger.write(lambda c: leases.check(c, "fold", token, now=NOW, length=1))
    assert await ledger.write(lambda c: take(c, "elsewhere/1/1")) == token + 2
