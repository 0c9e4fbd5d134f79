"""The sessions of the console that were ended."""

from relay.instants import Instant
from relay.ledger import Ledger, signed_out


async def add(ledger: Ledger, session: str, *, until: int, now: int) -> None:
    await ledger.write(lambda c: signed_out.add(c, session, until=Instant(until), now=Instant(now)))


async def contained(ledger: Ledger) -> list[bool]:
    return await ledger.read(lambda c: [signed_out.contains(c, session) for session in "abc"])


async def test_an_ended_session_is_remembered_until_it_would_have_expired(ledger: Ledger) -> None:
    await add(ledger, "a", until=10, now=1)
    await add(ledger, "a", until=10, now=2)
    await add(ledger, "b", until=20, now=3)
    assert await contained(ledger) == [True, True, False]
    await add(ledger, "c", until=30, now=11)
    assert await contained(ledger) == [False, True, True]
