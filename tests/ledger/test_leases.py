"""One owner holds a lease at a time, and the fencing token stops the owner before."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from relay.instants import Instant, duration
from relay.ledger import LeaseLost, Ledger, leases, process_identity
from relay.ledger.connection import Connection
from relay.ledger.tables import leases as lease_table
from tests.support.clock import Clock

LENGTH = duration(10)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs until the test ends it."""
    command = [sys.executable, "-S", "-E", "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as running:  # noqa: S603 - this interpreter
        yield running
        running.kill()


def owner_of(process: subprocess.Popen[bytes]) -> str:
    host, _, _ = process_identity.owner_name().rsplit("/", 2)
    return f"{host}/{process.pid}/{process_identity._start_of(process.pid)}"


async def acquire(ledger: Ledger, owner: str, *, name: str = "fold") -> int | None:
    return await ledger.write(lambda c: leases.acquire(c, name, owner, now=ledger.now(), length=LENGTH))


async def check(ledger: Ledger, token: int) -> Instant:
    return await ledger.write(lambda c: leases.check(c, "fold", token, now=ledger.now(), length=LENGTH))


async def expiry(ledger: Ledger) -> int:
    """When the lease `fold` ends."""
    return await ledger.read(lambda c: c.execute(select(lease_table.c.expires_at)).scalar_one())


async def release(ledger: Ledger, token: int) -> None:
    await ledger.write(lambda c: leases.release(c, "fold", token))


async def test_a_free_lease_is_acquired_and_then_refused_to_others(ledger: Ledger) -> None:
    assert await acquire(ledger, "a") == 1
    assert await acquire(ledger, "b") is None


async def test_a_lease_can_be_taken_from_its_holder_by_force(ledger: Ledger) -> None:
    held = await acquire(ledger, "a")
    assert held is not None
    forced = await ledger.write(
        lambda c: leases.acquire(c, "fold", "b", now=ledger.now(), length=LENGTH, force=True)
    )
    assert forced == 2
    with pytest.raises(LeaseLost):
        await check(ledger, held)
    assert await acquire(ledger, "a") is None


async def test_the_holders_and_the_names_of_leases_that_have_not_expired_are_listed(
    ledger: Ledger, clock: Clock, process: subprocess.Popen[bytes]
) -> None:
    assert leases.delivery_lease("crm") == "delivery:crm"
    gone = owner_of(process)
    process.kill()
    process.wait()
    for name, owner in (("fold", "host/2/2"), ("delivery:crm", "host/1/1"), ("a", "host/2/2"), ("b", gone)):
        await acquire(ledger, owner, name=name)
        clock.now += 1

    async def held_after(passed: int) -> tuple[list[str], set[str]]:
        now = Instant(clock.now - 4 + passed)
        return await ledger.read(lambda c: (leases.list_held(c, now=now), leases.list_names(c, now=now)))

    owners = sorted({"host/1/1", "host/2/2", gone})
    assert await held_after(0) == (owners, {"fold", "delivery:crm", "a"})
    assert await held_after(LENGTH) == (owners, {"delivery:crm", "a"})
    assert await held_after(LENGTH + 1) == (sorted({"host/2/2", gone}), {"a"})
    assert await held_after(LENGTH + 3) == ([], set())
    await ledger.write(leases.free_all)
    assert await ledger.read(lambda c: c.execute(select(lease_table.c.expires_at).distinct()).scalars()) == [
        0
    ]


async def test_leases_of_different_names_are_independent(ledger: Ledger) -> None:
    assert await acquire(ledger, "a") == 1
    assert await acquire(ledger, "b", name="delivery:crm") == 1


async def test_a_lease_expires_and_the_next_owner_has_a_higher_token(ledger: Ledger, clock: Clock) -> None:
    await acquire(ledger, "a")
    clock.now += LENGTH - 1
    assert await acquire(ledger, "b") is None
    clock.now += 1
    assert await acquire(ledger, "b") == 2
    assert await acquire(ledger, "a") is None


async def test_the_holder_may_acquire_its_lease_again_with_a_new_token(ledger: Ledger) -> None:
    assert await acquire(ledger, "a") == 1
    assert await acquire(ledger, "a") == 2
    with pytest.raises(LeaseLost):
        await check(ledger, 1)


async def test_a_check_renews_the_lease(ledger: Ledger, clock: Clock) -> None:
    token = await acquire(ledger, "a")
    assert token is not None
    for _ in range(5):
        clock.now += LENGTH - 1
        await check(ledger, token)
    assert await acquire(ledger, "b") is None


async def test_a_check_writes_the_lease_only_after_a_third_of_its_length(
    ledger: Ledger, clock: Clock
) -> None:
    token = await acquire(ledger, "a")
    assert token is not None
    acquired_at = clock.now
    clock.now += LENGTH // 3
    assert await check(ledger, token) == await expiry(ledger) == acquired_at + LENGTH
    clock.now += 1
    assert await check(ledger, token) == await expiry(ledger) == clock.now + LENGTH


async def test_a_check_shortens_a_lease_that_began_before_the_clock_was_set_back(
    ledger: Ledger, clock: Clock
) -> None:
    token = await acquire(ledger, "a")
    assert token is not None
    clock.now -= LENGTH // 3 + 1
    assert await check(ledger, token) == await expiry(ledger) == clock.now + LENGTH


async def test_a_check_with_the_token_of_the_last_holder_fails(ledger: Ledger, clock: Clock) -> None:
    stale = await acquire(ledger, "a")
    assert stale is not None
    clock.now += LENGTH
    await acquire(ledger, "b")
    with pytest.raises(LeaseLost, match="the lease fold has passed to another process"):
        await check(ledger, stale)
    clock.now += LENGTH - 1
    assert await acquire(ledger, "a") is None  # the failed check did not change the lease


async def test_the_same_token_of_another_lease_is_none_of_this_one(ledger: Ledger, clock: Clock) -> None:
    stale = await acquire(ledger, "a")
    assert stale == await acquire(ledger, "b", name="other") == 1
    clock.now += LENGTH - 1
    await acquire(ledger, "a")
    with pytest.raises(LeaseLost):
        await check(ledger, stale)
    await release(ledger, stale)
    assert await acquire(ledger, "c", name="other") is None


async def test_a_check_renews_an_expired_lease_that_nobody_took(ledger: Ledger, clock: Clock) -> None:
    token = await acquire(ledger, "a")
    assert token is not None
    clock.now += 3 * LENGTH
    await check(ledger, token)
    assert await acquire(ledger, "b") is None


async def test_a_transaction_with_a_lost_lease_is_rolled_back(ledger: Ledger) -> None:
    await acquire(ledger, "a")

    def work(connection: Connection) -> None:
        leases.acquire(connection, "other", "a", now=ledger.now(), length=LENGTH)
        leases.check(connection, "fold", 99, now=ledger.now(), length=LENGTH)

    with pytest.raises(LeaseLost):
        await ledger.write(work)
    assert await acquire(ledger, "b", name="other") == 1


async def test_a_released_lease_is_free_at_once_and_its_token_grows_on(ledger: Ledger) -> None:
    token = await acquire(ledger, "a")
    assert token is not None
    await release(ledger, token)
    assert await acquire(ledger, "b") == token + 1


async def test_only_the_holder_releases_a_lease(ledger: Ledger, clock: Clock) -> None:
    stale = await acquire(ledger, "a")
    assert stale is not None
    clock.now += LENGTH
    await acquire(ledger, "b")
    await release(ledger, stale)
    assert await acquire(ledger, "a") is None


async def test_a_lease_that_began_before_the_clock_was_set_back_is_over(ledger: Ledger, clock: Clock) -> None:
    await acquire(ledger, "a")
    clock.now -= LENGTH + 1
    assert await acquire(ledger, "b") == 2


async def test_a_transaction_that_read_the_clock_before_the_holder_is_refused(
    ledger: Ledger, clock: Clock
) -> None:
    await acquire(ledger, "a")
    clock.now -= LENGTH
    assert await acquire(ledger, "b") is None


async def test_the_lease_of_a_process_that_is_gone_is_freed(
    ledger: Ledger, process: subprocess.Popen[bytes]
) -> None:
    await acquire(ledger, owner_of(process))
    assert await ledger.write(leases.free_orphans) == []
    assert await acquire(ledger, "here/1/1") is None
    process.kill()
    process.wait()
    assert await ledger.write(leases.free_orphans) == ["fold"]
    assert await acquire(ledger, "here/1/1") == 2


async def test_leases_of_running_processes_and_of_other_hosts_are_not_freed(ledger: Ledger) -> None:
    await acquire(ledger, process_identity.owner_name())
    await acquire(ledger, "another-host/1/1", name="delivery:crm")
    assert await ledger.write(leases.free_orphans) == []
    assert await acquire(ledger, "b") is None
    assert await acquire(ledger, "b", name="delivery:crm") is None


async def test_a_released_lease_of_a_process_that_is_gone_is_not_freed_again(
    ledger: Ledger, process: subprocess.Popen[bytes]
) -> None:
    token = await acquire(ledger, owner_of(process))
    assert token is not None
    await release(ledger, token)
    process.kill()
    process.wait()
    assert await ledger.write(leases.free_orphans) == []
