"""A lease is held by one process at a time, and a token fences off the one before."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from relay.instants import SECOND, Duration
from relay.ledger import LeaseLost, Ledger, leases, process_identity
from tests.support.clock import Clock

LENGTH = 10 * SECOND


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until it is told to end."""
    command = [sys.executable, "-S", "-E", "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as running:  # noqa: S603 - this interpreter
        yield running
        running.kill()


def owner_of(process: subprocess.Popen[bytes]) -> str:
    host, _, _ = process_identity.owner_name().rsplit("/", 2)
    return f"{host}/{process.pid}/{process_identity._start_of(process.pid)}"


async def acquire(ledger: Ledger, owner: str, *, name: str = "fold") -> int | None:
    return await ledger.write(
        lambda c: leases.acquire(c, name, owner, now=ledger.now(), length=Duration(LENGTH))
    )


async def prove(ledger: Ledger, token: int) -> None:
    await ledger.write(lambda c: leases.check(c, "fold", token, now=ledger.now(), length=Duration(LENGTH)))


async def release(ledger: Ledger, token: int) -> None:
    await ledger.write(lambda c: leases.release(c, "fold", token))


async def test_a_free_lease_is_had_and_others_stand_by(ledger: Ledger) -> None:
    assert await acquire(ledger, "a") == 1
    assert await acquire(ledger, "b") is None


async def test_each_lease_stands_alone(ledger: Ledger) -> None:
    assert await acquire(ledger, "a") == 1
    assert await acquire(ledger, "b", name="delivery:crm") == 1


async def test_a_lease_runs_out_and_the_token_grows_with_the_takeover(ledger: Ledger, clock: Clock) -> None:
    await acquire(ledger, "a")
    clock.now += LENGTH - 1
    assert await acquire(ledger, "b") is None
    clock.now += 1
    assert await acquire(ledger, "b") == 2
    assert await acquire(ledger, "a") is None


async def test_the_holder_itself_may_take_it_anew_under_a_new_token(ledger: Ledger) -> None:
    assert await acquire(ledger, "a") == 1
    assert await acquire(ledger, "a") == 2
    with pytest.raises(LeaseLost):
        await prove(ledger, 1)


async def test_a_proof_holds_the_lease_on(ledger: Ledger, clock: Clock) -> None:
    token = await acquire(ledger, "a")
    assert token is not None
    for _ in range(5):
        clock.now += LENGTH - 1
        await prove(ledger, token)
    assert await acquire(ledger, "b") is None


async def test_a_proof_with_the_token_of_the_last_holder_says_that_it_is_lost(
    ledger: Ledger, clock: Clock
) -> None:
    stale = await acquire(ledger, "a")
    assert stale is not None
    clock.now += LENGTH
    await acquire(ledger, "b")
    with pytest.raises(LeaseLost, match="the lease fold has passed to another process"):
        await prove(ledger, stale)
    clock.now += LENGTH - 1
    assert await acquire(ledger, "a") is None  # and the failed proof took nothing from the holder


async def test_a_proof_of_a_lease_that_ran_out_untaken_has_it_back(ledger: Ledger, clock: Clock) -> None:
    token = await acquire(ledger, "a")
    assert token is not None
    clock.now += 3 * LENGTH
    await prove(ledger, token)
    assert await acquire(ledger, "b") is None


async def test_what_is_written_with_a_lost_lease_is_undone(ledger: Ledger) -> None:
    await acquire(ledger, "a")

    def work(connection: Connection) -> None:
        leases.acquire(connection, "other", "a", now=ledger.now(), length=Duration(LENGTH))
        leases.check(connection, "fold", 99, now=ledger.now(), length=Duration(LENGTH))

    with pytest.raises(LeaseLost):
        await ledger.write(work)
    assert await acquire(ledger, "b", name="other") == 1


async def test_a_released_lease_is_free_at_once_and_keeps_its_token(ledger: Ledger) -> None:
    token = await acquire(ledger, "a")
    assert token is not None
    await release(ledger, token)
    assert await acquire(ledger, "b") == token + 1


async def test_only_its_holder_releases_a_lease(ledger: Ledger, clock: Clock) -> None:
    stale = await acquire(ledger, "a")
    assert stale is not None
    clock.now += LENGTH
    await acquire(ledger, "b")
    await release(ledger, stale)
    assert await acquire(ledger, "a") is None


async def test_a_lease_that_runs_longer_than_its_length_is_over(ledger: Ledger, clock: Clock) -> None:
    await acquire(ledger, "a")
    clock.now -= 1  # the clock is set back: nobody could have taken a lease until then
    assert await acquire(ledger, "b") == 2


async def test_a_lease_of_a_process_that_is_gone_is_freed(
    ledger: Ledger, process: subprocess.Popen[bytes]
) -> None:
    await acquire(ledger, owner_of(process))
    assert await ledger.write(leases.free_orphans) == []
    assert await acquire(ledger, "here/1/1") is None
    process.kill()
    process.wait()
    assert await ledger.write(leases.free_orphans) == ["fold"]
    assert await acquire(ledger, "here/1/1") == 2


async def test_leases_of_the_living_and_of_other_hosts_are_not_freed(ledger: Ledger) -> None:
    await acquire(ledger, process_identity.owner_name())
    await acquire(ledger, "another-host/1/1", name="delivery:crm")
    assert await ledger.write(leases.free_orphans) == []
    assert await acquire(ledger, "b") is None
    assert await acquire(ledger, "b", name="delivery:crm") is None


async def test_a_released_lease_of_a_process_that_is_gone_is_no_orphan(
    ledger: Ledger, process: subprocess.Popen[bytes]
) -> None:
    token = await acquire(ledger, owner_of(process))
    assert token is not None
    await release(ledger, token)
    process.kill()
    process.wait()
    assert await ledger.write(leases.free_orphans) == []
