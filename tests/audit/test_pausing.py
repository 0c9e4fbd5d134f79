"""The wait of an audit while a destination is paused."""

import pytest

from relay.audit.pausing import wait_for_pause
from relay.instants import SECOND, Instant
from relay.ledger import Ledger, destinations
from relay.ledger.destinations import Pause
from tests.support.clock import Clock


class Sleeper:
    """Moves the clock instead of sleeping. `pauses`: how often the CRM pauses again meanwhile."""

    def __init__(self, ledger: Ledger, clock: Clock, *, pauses: int = 0, ends: bool = False) -> None:
        self.slept: list[float] = []
        self._ledger, self._clock, self._pauses, self._ends = ledger, clock, pauses, ends

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._clock.advance(seconds)
        if self._pauses:
            self._pauses -= 1
            await pause(self._ledger, "failing", 60)
        elif self._ends:
            await self._ledger.write(lambda c: destinations.end_pause(c, "crm"))


async def pause(ledger: Ledger, reason: str, seconds: float) -> None:
    now = ledger.now()
    until = Instant(now + int(seconds * SECOND))
    change = Pause(reason, seconds, None, None)
    await ledger.write(lambda c: destinations.pause_until(c, "crm", change, until=until, now=now))


async def test_a_brief_pause_is_waited_for(ledger: Ledger, clock: Clock) -> None:
    await pause(ledger, "throttled", 10)
    sleeper = Sleeper(ledger, clock, ends=True)
    assert await wait_for_pause(ledger, "crm", sleep=sleeper) is None
    assert sleeper.slept == [10]
    # A relay that does not run ends no pause: when it is over, the CRM may be asked.
    await pause(ledger, "throttled", 10)
    sleeper = Sleeper(ledger, clock)
    assert await wait_for_pause(ledger, "crm", sleep=sleeper) is None
    assert sleeper.slept == [10]


async def test_a_crm_that_fails_for_long_is_not_read(ledger: Ledger, clock: Clock) -> None:
    await pause(ledger, "failing", 60)
    sleeper = Sleeper(ledger, clock, pauses=99)
    assert await wait_for_pause(ledger, "crm", sleep=sleeper) == "failing"
    assert sleeper.slept == [60] * 10


@pytest.mark.parametrize(
    ("reason", "seconds"), [("throttled", 3_600), ("unauthorised", 60), ("misconfigured", 60)]
)
async def test_other_pauses_are_not_waited_for(
    ledger: Ledger, clock: Clock, reason: str, seconds: float
) -> None:
    await pause(ledger, reason, seconds)
    sleeper = Sleeper(ledger, clock)
    assert await wait_for_pause(ledger, "crm", sleep=sleeper) == reason
    assert sleeper.slept == []


async def test_without_a_pause_it_does_not_wait(ledger: Ledger, clock: Clock) -> None:
    sleeper = Sleeper(ledger, clock)
    assert await wait_for_pause(ledger, "crm", sleep=sleeper) is None
    assert await wait_for_pause(ledger, "unknown", sleep=sleeper) is None
    assert sleeper.slept == []
