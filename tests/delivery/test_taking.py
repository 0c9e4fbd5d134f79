"""Take due deliveries, and choose what to do with each."""

from collections.abc import AsyncIterator

import pytest

from crm_clients.settings import DestinationSettings
from relay.delivery.choose_action import Action
from relay.delivery.taking import Taken, plan_deliveries, take_batch, take_for_probe
from relay.instants import Instant
from relay.ledger import Ledger, destinations
from relay.ledger.deliveries import Pick
from tests.support.deliveries import due_delivery, enqueue
from tests.support.ledgers import open_ledger

NOW = Instant(20)


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Ledger]:
    async with open_ledger(ledger_url) as opened:
        await opened.write(lambda c: destinations.register(c, {"crm": "local"}))
        yield opened


def settings_of(**changes: object) -> DestinationSettings:
    return DestinationSettings.model_validate({"client": "fake", **changes})


async def test_a_batch_has_no_busy_call_and_the_next_time_counts_none_of_both(ledger: Ledger) -> None:
    await enqueue(ledger, ("a", 1), ("b", 1), ("c", 1))
    settings = settings_of(batch=5)
    taken, next_due_at = await ledger.read(
        lambda c: take_batch(c, "crm", settings, Pick.FRESH, busy={"a"}, now=NOW)
    )
    assert [due.call.id for due in taken.due] == ["b", "c"]
    assert next_due_at is None


async def test_after_a_full_batch_another_one_is_due_now(ledger: Ledger) -> None:
    await enqueue(ledger, ("a", 1), ("b", 1))
    settings = settings_of(batch=2)
    taken, next_due_at = await ledger.read(
        lambda c: take_batch(c, "crm", settings, Pick.FRESH, busy=(), now=NOW)
    )
    assert (len(taken.due), next_due_at) == (2, NOW)


async def test_a_probe_is_one_of_a_batch(ledger: Ledger) -> None:
    await enqueue(ledger, ("a", 1), ("b", 1), ("c", 1))
    taken = await ledger.read(lambda c: take_for_probe(c, "crm", settings_of(batch=2), now=NOW))
    assert len(taken.due) == 2


def test_each_delivery_gets_the_action_of_its_call() -> None:
    settings = settings_of(when={"directions": ["outbound"]})
    wanted, delivered = due_delivery("new"), due_delivery("known", delivered_version=1, outcome="delivered")
    planned = plan_deliveries(
        Taken([wanted, delivered], None), settings, epoch=0, forward_internal=False, now=NOW
    )
    assert [(each.due.call.id, each.action) for each in planned] == [
        ("new", Action.FILTER),
        ("known", Action.VERIFY),
    ]
    assert [each.partial for each in planned] == [True, False]
