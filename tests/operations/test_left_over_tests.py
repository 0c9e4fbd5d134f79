"""A test call that a killed command left is removed at the start of a relay."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from relay.instants import duration
from relay.ledger import Ledger, calls, leases
from relay.operations.left_over_tests import remove_left_over_tests
from relay.operations.test_call.requests import ID_PREFIX
from relay.settings import Settings
from tests.operations.test_call.test_removal import ID, OTHER, crm_ids, destination, write_calls, write_to_crm
from tests.support.in_process import in_process_relay, settings_in
from tests.support.ledgers import open_ledger
from tests.support.operations import DELIVERED
from tests.support.patience import PATIENCE


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path, destinations=destination(tmp_path))


async def prepare(folder: Path) -> None:
    """A test call and another one, both in the CRM."""
    await write_to_crm(folder, ID, OTHER)
    async with open_ledger(f"sqlite:///{folder / 'relay.db'}") as ledger:
        await write_calls(ledger, DELIVERED)


async def ids(ledger: Ledger) -> list[str]:
    return await ledger.read(lambda c: sorted(calls.get_many(c, [ID, OTHER])))


def test_the_ids_of_test_calls_begin_like_their_records() -> None:
    assert ID_PREFIX == "relay-test-"


async def test_a_start_removes_the_test_call_everywhere(tmp_path: Path, settings: Settings) -> None:
    await prepare(tmp_path)
    async with in_process_relay(settings) as (relay, _):
        async with asyncio.timeout(PATIENCE):
            while await ids(relay.ledger) != [OTHER]:
                await asyncio.sleep(0.01)
    assert crm_ids(tmp_path) == [OTHER]


async def test_a_test_call_under_way_stays(tmp_path: Path, settings: Settings) -> None:
    await prepare(tmp_path)
    async with open_ledger(f"sqlite:///{tmp_path / 'relay.db'}") as ledger:
        now, minute = ledger.now(), duration(60)
        await ledger.write(lambda c: leases.acquire(c, "test_call", "another/1/1", now=now, length=minute))
        await remove_left_over_tests(settings, ledger)
        assert await ids(ledger) == [OTHER, ID]


async def test_a_test_call_that_the_crm_does_not_remove_is_reported(tmp_path: Path) -> None:
    await prepare(tmp_path)
    settings = settings_in(tmp_path, destinations={})
    async with open_ledger(f"sqlite:///{tmp_path / 'relay.db'}") as ledger:
        with capture_logs() as lines:
            await remove_left_over_tests(settings, ledger)
        assert ID in await ids(ledger)
    (line,) = [line for line in lines if line["event"] == "test_call.removed"]
    assert (line["calls"], line["left"]) == (0, 1)
