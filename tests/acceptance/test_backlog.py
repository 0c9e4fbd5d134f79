"""A backlog of 10 000 calls is delivered in large batches, and within the rate limit of the CRM."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crm_clients.base import CrmClient
from crm_clients.supabase import SupabaseClient, SupabaseSettings
from relay.delivery import DeliveryWorker, RetryPolicy
from relay.ledger import Ledger, calls, deliveries, destinations
from relay.ledger.calls import CallRow
from tests.fakes.hubspot import HubSpot, running_hubspot
from tests.fakes.hubspot_limits import Limits, Window
from tests.support.clients import make_context
from tests.support.hubspot import build_client
from tests.support.ledgers import open_ledger
from tests.support.patience import PATIENCE
from tests.support.samples import make_call_row
from tests.support.supabase import Supabase, running_supabase

CALLS = 10_000
POLICY = RetryPolicy(first_retry_seconds=5, longest_retry_seconds=3_600, give_up_after_hours=72)
NUMBERS = 200

SAMPLE = make_call_row()


def call_row(number: int) -> CallRow:
    record = msgspec.structs.replace(
        SAMPLE.record,
        id=f"cloudtalk-{number:05}",
        direction="inbound",
        external_number=f"+3460{number % NUMBERS:07}",
        started_at="2026-11-24T09:00:00Z",
    )
    return CallRow(record.id, 1, SAMPLE.began_at, SAMPLE.state, record, {})


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    """A ledger in which every call is pending for `crm`."""
    rows = [call_row(number) for number in range(CALLS)]
    async with open_ledger(f"sqlite:///{tmp_path}/relay.db") as ledger:
        await ledger.write(lambda c: destinations.register(c, {"crm": "fake"}))
        await ledger.write(lambda c: calls.write(c, rows, []))
        await ledger.write(lambda c: deliveries.enqueue(c, [(row.id, 1) for row in rows], now=ledger.now()))
        yield ledger


@asynccontextmanager
async def delivering_all(ledger: Ledger, client: CrmClient[Any]) -> AsyncIterator[None]:
    """Run a delivery worker; the block begins when every call is delivered."""
    worker = DeliveryWorker("crm", client, client.settings, ledger, POLICY)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(60):
        while (await ledger.read(deliveries.counts_by_destination))["crm"].delivered < CALLS:
            await asyncio.sleep(0.05)
    yield
    running.cancel()
    await asyncio.wait([running], timeout=PATIENCE)
    await client.aclose()


@pytest.fixture(scope="module")
def supabase() -> Iterator[Supabase]:
    with running_supabase() as running:
        yield running


async def test_a_backlog_reaches_postgrest_in_large_batches(ledger: Ledger, supabase: Supabase) -> None:
    settings = SupabaseSettings(client="supabase", url=supabase.url, key=supabase.key)
    async with delivering_all(ledger, SupabaseClient("crm", settings, make_context())):
        pass
    posts = [seen for seen in supabase.log if seen.method == "POST"]
    assert len(supabase.rows()) == CALLS
    assert sum(post.rows for post in posts) / len(posts) >= 50


async def test_a_backlog_reaches_hubspot_in_large_batches_without_a_429(ledger: Ledger) -> None:
    hubspot = HubSpot()
    hubspot.create_relay_properties()
    hubspot.limits = Limits(burst=Window(190, 10))
    for number in range(NUMBERS):
        hubspot.contacts.add(phone=f"+3460{number:07}", firstname=str(number))
    with running_hubspot(hubspot) as running:
        client = build_client(running.url)
        async with delivering_all(ledger, client):
            pass
    assert hubspot.throttled == []
    assert len(hubspot.calls) == CALLS
    assert len(hubspot.log) / CALLS <= 0.05
