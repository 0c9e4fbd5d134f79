"""Budgets: an even pace, and none of it while the vendor says so."""

import asyncio
import time

from crm_clients.rate_limit import Budget


async def test_requests_keep_to_the_rate_also_side_by_side() -> None:
    budget = Budget(50)
    begin = time.monotonic()
    await asyncio.gather(*(budget.turn() for _ in range(6)))
    assert 0.1 <= time.monotonic() - begin < 1


async def test_it_does_not_save_up_turns_while_idle() -> None:
    budget = Budget(20)
    await budget.turn()
    await asyncio.sleep(0.2)
    begin = time.monotonic()
    for _ in range(3):
        await budget.turn()
    assert time.monotonic() - begin >= 0.099


async def test_without_a_rate_nothing_waits() -> None:
    budget = Budget(None)
    begin = time.monotonic()
    for _ in range(1_000):
        await budget.turn()
    assert time.monotonic() - begin < 0.5


async def test_one_that_is_spent_says_for_how_long() -> None:
    budget = Budget(None)
    assert budget.spent_for == 0
    budget.spend(0.2)
    budget.spend(0.05)  # a shorter word does not take back a longer one
    assert 0.1 < budget.spent_for <= 0.2
    await asyncio.sleep(0.21)
    assert budget.spent_for == 0
