"""A test call is removed from each CRM that may have it, then from the ledger."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crm_clients.base import Push
from crm_clients.local import LocalClient
from crm_clients.local.settings import LocalSettings
from crm_clients.webhook.settings import WebhookSettings
from relay.call import DELIVERED_FIELDS
from relay.instants import Instant, duration
from relay.ledger import Ledger, calls, delivered_counts, deliveries, destinations, leases
from relay.ledger.connection import Connection
from relay.ledger.deliveries import DeliveryUpdate
from relay.operations.test_call.removal import Remover
from relay.operations.test_call.steps import State, Step
from relay.settings import Settings
from tests.support.clients import make_context
from tests.support.in_process import settings_in
from tests.support.operations import DELIVERED, NOW, RETRYING, write_call
from tests.support.receiver import SECRET
from tests.support.samples import make_call

ID = "cloudtalk-relay-test-1"
OTHER = "cloudtalk-1"


def destination(folder: Path, name: str = "crm", **more: Any) -> dict[str, LocalSettings]:
    return {name: LocalSettings(client="local", path=folder / f"{name}.db", **more)}


def crm_ids(folder: Path, name: str = "crm") -> list[str]:
    with closing(sqlite3.connect(folder / f"{name}.db")) as connection:
        return sorted(id_ for (id_,) in connection.execute("SELECT id FROM calls"))


async def write_to_crm(folder: Path, *ids: str) -> None:
    client = LocalClient("crm", destination(folder)["crm"], make_context())
    await client.upsert([Push(make_call(id=id_), frozenset(DELIVERED_FIELDS)) for id_ in ids])
    await client.aclose()


async def write_calls(ledger: Ledger, *updates: DeliveryUpdate, served: bool = False) -> None:
    """Write the test call and another one, with these results of the test call to the destination `crm`."""

    def write(connection: Connection) -> None:
        destinations.register(connection, {"crm": "local"})
        write_call(connection, ID)
        write_call(connection, OTHER)
        deliveries.settle(
            connection, "crm", [msgspec.structs.replace(each, call=ID) for each in updates], now=NOW
        )
        if served:
            name = leases.delivery_lease("crm")
            leases.acquire(connection, name, ledger.owner, now=NOW, length=duration(60))

    await ledger.write(write)


async def known_calls(ledger: Ledger) -> set[str]:
    return set(await ledger.read(lambda c: calls.get_many(c, [ID, OTHER])))


def remover(ledger: Ledger, settings: Settings) -> tuple[Remover, list[Step]]:
    steps: list[Step] = []
    return Remover(settings, ledger, steps.append), steps


async def test_the_record_and_the_call_are_removed_and_no_other(ledger: Ledger, tmp_path: Path) -> None:
    await write_to_crm(tmp_path, ID, OTHER)
    await write_calls(ledger, DELIVERED)
    removing, steps = remover(ledger, settings_in(tmp_path, destinations=destination(tmp_path)))
    assert await removing.remove(ID)
    assert crm_ids(tmp_path) == [OTHER]
    assert await known_calls(ledger) == {OTHER}
    assert [(step.destination, step.state) for step in steps] == [
        ("crm", State.RUNNING),
        ("crm", State.GOOD),
        (None, State.GOOD),
    ]


async def test_the_test_call_is_not_one_of_the_calls_that_the_crm_got_today(
    ledger: Ledger, tmp_path: Path
) -> None:
    await write_to_crm(tmp_path, ID)
    await write_calls(ledger, DELIVERED)

    def count(connection: Connection) -> dict[str, int]:
        return delivered_counts.count_since(connection, Instant(NOW - NOW % delivered_counts.QUARTER))

    await ledger.write(lambda connection: delivered_counts.add(connection, "crm", 1, now=NOW))
    removing, _ = remover(ledger, settings_in(tmp_path, destinations=destination(tmp_path)))
    assert await removing.remove(ID)
    assert await ledger.read(count) == {"crm": 0}


async def test_a_crm_that_never_received_the_call_is_not_asked(ledger: Ledger, tmp_path: Path) -> None:
    await write_calls(ledger)
    removing, steps = remover(
        ledger, settings_in(tmp_path, destinations=destination(tmp_path, enabled=False))
    )
    assert await removing.remove(ID)
    assert [step.destination for step in steps] == [None]
    assert not (tmp_path / "crm.db").exists()
    assert await known_calls(ledger) == {OTHER}


async def test_if_a_crm_does_not_remove_the_record_the_ledger_keeps_the_call(
    ledger: Ledger, tmp_path: Path
) -> None:
    await write_calls(ledger, DELIVERED)
    (tmp_path / "crm.db").mkdir()
    removing, steps = remover(ledger, settings_in(tmp_path, destinations=destination(tmp_path)))
    assert not await removing.remove(ID)
    assert (steps[-1].state, steps[-1].code) == (State.FAILED, "test_not_removed")
    assert await known_calls(ledger) == {ID, OTHER}
    assert await removing.remove_left() == (1, 1)
    (tmp_path / "crm.db").rmdir()
    await write_to_crm(tmp_path, ID)
    assert await removing.remove_left() == (1, 0)
    assert crm_ids(tmp_path) == []
    assert await known_calls(ledger) == {OTHER}
    assert await removing.remove_left() == (0, 0)


async def test_what_the_client_answers_is_said_in_both_languages(ledger: Ledger, tmp_path: Path) -> None:
    await write_calls(ledger, DELIVERED)
    url = "http://127.0.0.1:9/hook"
    hook = WebhookSettings.model_validate(
        {"client": "webhook", "url": url, "secret": SECRET, "allow_private": True}
    )
    removing, steps = remover(ledger, settings_in(tmp_path, destinations={"crm": hook}))
    assert not await removing.remove(ID)
    assert "No connection to http://127.0.0.1:9: " in steps[-1].text.en
    assert "No hay conexión con http://127.0.0.1:9: " in steps[-1].text.es


async def test_a_destination_that_left_the_settings_is_named(ledger: Ledger, tmp_path: Path) -> None:
    await write_calls(ledger, DELIVERED)
    removing, steps = remover(ledger, settings_in(tmp_path))
    assert not await removing.remove(ID)
    assert "the settings no longer have this destination" in steps[-1].text.en


@pytest.mark.parametrize("result", [DELIVERED, msgspec.structs.replace(RETRYING, due_at=NOW)])
async def test_a_push_under_way_is_waited_for_so_that_its_record_does_not_stay(
    ledger: Ledger, tmp_path: Path, result: DeliveryUpdate
) -> None:
    await write_calls(ledger, served=True)
    await write_to_crm(tmp_path)
    settings = settings_in(tmp_path, destinations=destination(tmp_path, timeout_seconds=0.5))
    removing, _ = remover(ledger, settings)
    removal = asyncio.create_task(removing.remove(ID))
    await asyncio.sleep(0.3)
    await write_to_crm(tmp_path, ID)
    update = msgspec.structs.replace(result, call=ID)
    await ledger.write(lambda c: deliveries.settle(c, "crm", [update], now=NOW))
    assert await removal
    assert crm_ids(tmp_path) == []
    assert await known_calls(ledger) == {OTHER}


async def test_a_push_that_never_ends_is_waited_for_as_long_as_it_may_take(
    ledger: Ledger, tmp_path: Path
) -> None:
    await write_calls(ledger, served=True)
    await write_to_crm(tmp_path, ID)
    settings = settings_in(tmp_path, destinations=destination(tmp_path, timeout_seconds=0.3))
    removing, _ = remover(ledger, settings)
    began_at = time.monotonic()
    assert await removing.remove(ID)
    assert 2.2 < time.monotonic() - began_at < 6
    assert crm_ids(tmp_path) == []
