"""What is reported of the deliveries of a test call."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from crm_clients.local.settings import LocalSettings
from relay.call import Status
from relay.instants import SECOND, Instant
from relay.ledger import Ledger, deliveries, destinations
from relay.ledger.connection import Connection
from relay.ledger.deliveries import DeliveryUpdate
from relay.ledger.destinations import Pause
from relay.ledger.states import DeliveryState
from relay.operations.test_call.follow import Follower
from relay.operations.test_call.steps import State, Step
from tests.support.in_process import settings_in
from tests.support.operations import DEAD, DELIVERED, NOW, RETRYING, write_call

ID = "cloudtalk-relay-test-1"


def for_test(update: DeliveryUpdate, **changes: Any) -> DeliveryUpdate:
    return msgspec.structs.replace(update, call=ID, **changes)


async def follow(
    ledger: Ledger, folder: Path, *updates: DeliveryUpdate, pause: Pause | None = None, **destination: Any
) -> list[Step]:
    """Follow a test call with these results to the destination `crm`; return what was reported."""
    crm = LocalSettings(client="local", path=folder / "crm.db", **destination)

    def write(connection: Connection) -> None:
        destinations.register(connection, {"crm": "local"})
        write_call(connection, ID)
        deliveries.settle(connection, "crm", updates, now=NOW)
        if pause is not None:
            until = Instant(NOW + int(pause.seconds) * SECOND)
            destinations.pause_until(connection, "crm", pause, until=until, now=Instant(1))

    await ledger.write(write)
    steps: list[Step] = []
    settings = settings_in(folder, destinations={"crm": crm})
    await Follower(settings, ledger, ID, steps.append, seconds=0.3).watch_deliveries()
    return steps


@pytest.mark.parametrize(
    ("update", "state", "code", "text"),
    [
        (for_test(DELIVERED), State.GOOD, "test_delivered", "delivered after 0.0 s"),
        (
            for_test(DELIVERED, code="no_contact", message="no contact"),
            State.WARNING,
            "test_delivered_partly",
            "delivered, but the CRM refused a part of it: no_contact: no contact",
        ),
        (for_test(DEAD), State.FAILED, "test_rejected", "the CRM refused the record: 22P05: it's down"),
        (
            for_test(DELIVERED, state=DeliveryState.FILTERED, delivered_version=0, outcome=None),
            State.WARNING,
            "test_filtered",
            (
                "not sent: destinations.crm.when excludes this call (inbound, completed, 75 s, without the"
                " customer's number)"
            ),
        ),
    ],
)
async def test_a_delivery_that_is_over_is_reported_once(
    ledger: Ledger, tmp_path: Path, update: DeliveryUpdate, state: State, code: str, text: str
) -> None:
    (step,) = await follow(ledger, tmp_path, update)
    assert (step.destination, step.state, step.code, step.text.en) == ("crm", state, code, text)


async def test_a_delivery_that_fails_is_reported_with_its_reason_when_the_time_is_over(
    ledger: Ledger, tmp_path: Path
) -> None:
    waiting, last = await follow(ledger, tmp_path, for_test(RETRYING))
    assert (waiting.state, waiting.code) == (State.RUNNING, "test_waiting")
    assert (last.state, last.code) == (State.FAILED, "test_not_delivered")
    assert last.text.en.startswith("not delivered within 0.3 s: ")
    assert "no relay is running" in last.text.en
    assert last.hint is not None
    assert "`relay status` shows what crm does" in last.hint.en


async def test_the_time_until_a_call_is_complete_is_added(ledger: Ledger, tmp_path: Path) -> None:
    last = (await follow(ledger, tmp_path, update="complete", complete_after_seconds=0.1))[-1]
    assert last.text.en.startswith("not delivered within 0.4 s: ")


async def test_a_disabled_destination_is_a_warning_at_once(ledger: Ledger, tmp_path: Path) -> None:
    (step,) = await follow(ledger, tmp_path, enabled=False)
    assert (step.state, step.code) == (State.WARNING, "disabled")
    assert "crm is disabled in the settings" in step.text.en


async def test_a_destination_that_stays_paused_fails_at_once(ledger: Ledger, tmp_path: Path) -> None:
    pause = Pause("unauthorised", 600, "401", "the key is wrong")
    (step,) = await follow(ledger, tmp_path, pause=pause)
    assert (step.state, step.code) == (State.FAILED, "paused")
    assert "the key is wrong" in step.text.en


async def test_a_destination_that_no_relay_knows_is_named(ledger: Ledger, tmp_path: Path) -> None:
    crm = LocalSettings(client="local", path=tmp_path / "crm.db")
    steps: list[Step] = []
    settings = settings_in(tmp_path, destinations={"new": crm})
    await ledger.write(lambda connection: write_call(connection, ID))
    await Follower(settings, ledger, ID, steps.append, seconds=0.3).watch_deliveries()
    assert [step.state for step in steps] == [State.RUNNING, State.FAILED]
    assert "no relay serves this destination" in steps[-1].text.en


async def test_the_fold_is_waited_for(ledger: Ledger, tmp_path: Path) -> None:
    follower = Follower(settings_in(tmp_path), ledger, ID, lambda _: None, seconds=0.3)
    assert not await follower.wait_for(frozenset({Status.IN_PROGRESS}))
    await ledger.write(lambda connection: write_call(connection, ID))
    assert await follower.wait_for(frozenset({Status.IN_PROGRESS}))
    assert not await follower.wait_for(frozenset({Status.COMPLETED}), seconds=0)
