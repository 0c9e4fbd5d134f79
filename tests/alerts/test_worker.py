"""What the worker sees in a ledger, and that a running relay sends it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crm_clients.local import LocalSettings
from crm_clients.webhook import WebhookSettings
from relay.alerts import AlertWorker
from relay.instants import SECOND, Instant
from relay.ledger import LedgerUnavailable, calls, destinations, history_searches, journal
from relay.ledger.connection import Connection
from relay.ledger.history_searches import HistorySearch
from relay.settings import Settings
from tests.support.alert_receiver import AlertReceiver
from tests.support.clock import Clock
from tests.support.in_process import in_process_relay, settings_in
from tests.support.ledgers import open_ledger
from tests.support.operations import NOW, write_call
from tests.support.patience import PATIENCE
from tests.support.receiver import SECRET
from tests.support.samples import make_call_row, make_event_row
from tests.support.servers import free_port

MINUTE = 60 * SECOND
WEEK = 7 * 24 * 60 * MINUTE


async def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def settings_with(folder: Path, receiver: AlertReceiver, **sections: Any) -> Settings:
    return settings_in(folder, alerts={"webhook_url": receiver.url}, **sections)


async def test_a_silence_at_hours_with_calls_is_a_bad_condition(
    tmp_path: Path, receiver: AlertReceiver
) -> None:
    clock = Clock(NOW + 90 * MINUTE)
    async with open_ledger(f"sqlite:///{tmp_path / 'relay.db'}", clock=clock) as ledger:

        def write(connection: Connection) -> None:
            journal.append(connection, [make_event_row(at=0)])
            for week in (1, 2, 3):
                for number in range(8):
                    began_at = Instant(NOW - week * WEEK + number * 10 * MINUTE)
                    row = make_call_row(f"cloudtalk-{week}-{number}")
                    calls.write(connection, [msgspec.structs.replace(row, began_at=began_at)], [])

        await ledger.write(write)
        worker = AlertWorker(settings_with(tmp_path, receiver), ledger)
        (silent,) = [each for each in await worker.look_at_content() if each.kind == "no_events"]
        assert silent.is_bad
        assert "since 2027-01-15 09:00:00+01:00" in silent.text.en
        clock.now = NOW + 50 * MINUTE  # five calls are usual until then
        (silent,) = [each for each in await worker.look_at_content() if each.kind == "no_events"]
        assert not silent.is_bad


async def test_searches_of_the_history_that_fail_are_a_bad_condition_while_the_reconciler_is_on(
    tmp_path: Path, receiver: AlertReceiver
) -> None:
    api = {"key_id": "id", "key_secret": "x"}
    off = settings_with(tmp_path, receiver)
    on = settings_with(tmp_path, receiver, cloudtalk={"api": api}, reconcile={"every_minutes": 15})
    async with open_ledger(f"sqlite:///{tmp_path / 'relay.db'}") as ledger:
        now = ledger.now()
        worker = AlertWorker(off, ledger)
        await ledger.write(lambda c: history_searches.record_failed(c, "unauthorised", "401", now=now))
        assert [each for each in await worker.look_at_content() if each.kind == "history"] == []
        worker.set_settings(on)
        (history,) = [each for each in await worker.look_at_content() if each.kind == "history"]
        assert history.is_bad
        await ledger.write(
            lambda c: history_searches.record_finished(c, HistorySearch(now, now, 0, 0, 0, now))
        )
        (history,) = [each for each in await worker.look_at_content() if each.kind == "history"]
        assert not history.is_bad


async def test_the_ledger_and_its_disk_are_watched(
    tmp_path: Path, receiver: AlertReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_ledger(f"sqlite:///{tmp_path / 'relay.db'}") as ledger:
        worker = AlertWorker(settings_with(tmp_path, receiver), ledger)
        found = await worker.look_at_machine("host-1")
        assert [(each.kind, each.is_bad) for each in found] == [("ledger", False), ("disk", False)]

        async def fail(_: Any) -> None:
            raise LedgerUnavailable("the disk is full")

        monkeypatch.setattr(ledger, "write", fail)
        (found_down,) = await worker.look_at_machine("host-1")
        assert (found_down.kind, found_down.subject, found_down.is_bad) == ("ledger", "host-1", True)


async def test_of_two_relays_one_sends(tmp_path: Path, receiver: AlertReceiver) -> None:
    url = f"sqlite:///{tmp_path / 'relay.db'}"
    settings = settings_with(
        tmp_path, receiver, destinations={"crm": LocalSettings(client="local", path="x.db")}
    )

    def write(connection: Connection) -> None:
        destinations.register(connection, {"crm": "local"})
        write_call(connection, "cloudtalk-1")
        destinations.pause(connection, "crm", now=Instant(1))

    async with open_ledger(url, owner="a/1/1") as first, open_ledger(url, owner="b/2/2") as second:
        await first.write(write)
        workers = [AlertWorker(settings, ledger, watch_seconds=0.01) for ledger in (first, second)]
        tasks = [asyncio.create_task(worker.watch_content()) for worker in workers]
        await until(lambda: bool(receiver.requests))
        await asyncio.sleep(0.3)
        tasks[0].cancel()
        await asyncio.sleep(1.5)  # the other one takes over
        await first.write(lambda connection: destinations.resume(connection, "crm"))
        await until(lambda: len(receiver.requests) == 2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert receiver.alerts() == [
        ("destination_paused", "crm", "firing"),
        ("destination_paused", "crm", "resolved"),
    ]


async def test_a_running_relay_sends_and_begins_after_a_reload(
    tmp_path: Path, receiver: AlertReceiver
) -> None:
    crm = WebhookSettings.model_validate(
        {"client": "webhook", "url": f"http://127.0.0.1:{free_port()}", "secret": SECRET}
    )
    without = settings_in(tmp_path, destinations={"crm": crm})
    async with in_process_relay(without) as (relay, client):
        started = {"event": "call.started", "data": {"id": "1", "direction": "inbound"}}
        assert (await client.post("/cloudtalk/webhook", json=started)).status_code == 200
        await asyncio.sleep(0.1)
        await relay.reload_secrets(settings_with(tmp_path, receiver, destinations={"crm": crm}))
        await until(lambda: bool(receiver.requests), 15)
    (alert,) = receiver.requests
    data = alert.json["data"]
    assert (data["kind"], data["subject"], data["state"]) == ("destination_paused", "crm", "firing")
    assert "crm is not set up for the relay" in data["message"]


async def test_without_a_url_the_ledger_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_ledger(f"sqlite:///{tmp_path / 'relay.db'}") as ledger:
        reads: list[None] = []

        async def count(_: Any) -> None:
            reads.append(None)

        monkeypatch.setattr(ledger, "read", count)
        monkeypatch.setattr(ledger, "write", count)
        worker = AlertWorker(settings_in(tmp_path), ledger, watch_seconds=0.01, machine_seconds=0.01)
        tasks = [asyncio.create_task(loop()) for loop in (worker.watch_content, worker.watch_machine)]
        await asyncio.sleep(0.1)
        assert reads == []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
