"""The table of relays that run."""

import os

import pytest

from relay.instants import SECOND, Instant
from relay.ledger import HEAD, Ledger, relays
from relay.ledger.relays import RelayRow
from tests.support.clock import Clock


async def list_running(ledger: Ledger) -> list[RelayRow]:
    return await ledger.read(lambda c: relays.list_running(c, now=ledger.now()))


def other_host(clock: Clock, name: str = "elsewhere/7/1", *, age: float = 0) -> RelayRow:
    at = Instant(clock.now - int(age * SECOND))
    return RelayRow(name, name.split("/", maxsplit=1)[0], 7, at, at, HEAD)


@pytest.mark.parametrize(("age", "count"), [(35, 1), (35.1, 0)])
async def test_a_relay_of_another_host_is_listed_until_it_is_silent(
    ledger: Ledger, clock: Clock, age: float, count: int
) -> None:
    await ledger.write(lambda c: relays.renew(c, other_host(clock, age=age)))
    assert len(await list_running(ledger)) == count


async def test_a_killed_relay_of_this_host_is_not_listed(ledger: Ledger, clock: Clock) -> None:
    host = ledger.owner.split("/")[0]
    await ledger.write(lambda c: relays.renew(c, other_host(clock, f"{host}/{os.getpid()}/1")))
    assert await list_running(ledger) == []


async def test_the_rows_of_ended_relays_are_deleted_by_others(ledger: Ledger, clock: Clock) -> None:
    await ledger.write(lambda c: relays.renew(c, other_host(clock, "a/7/1")))
    clock.advance(30)
    await ledger.write(lambda c: relays.renew(c, other_host(clock, "b/7/1")))
    assert [row.host for row in await list_running(ledger)] == ["a", "b"]
    clock.advance(10)
    await ledger.write(lambda c: relays.renew(c, other_host(clock, "b/7/1")))
    clock.advance(-10)
    (row,) = await list_running(ledger)
    assert (row.host, row.last_seen_at - row.started_at) == ("b", 10 * SECOND)
