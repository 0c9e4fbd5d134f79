"""Sending: each message once, also after a restart, and retries of one that the receiver did not take."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from relay.alerts.conditions import Condition, Kind
from relay.alerts.sender import AlertSender
from relay.ledger import Ledger, LedgerUnavailable
from relay.operations.languages import Text
from tests.support.alert_receiver import AlertReceiver
from tests.support.clock import Clock
from tests.support.in_process import settings_in
from tests.support.ledgers import open_ledger
from tests.support.operations import NOW

BAD = Condition(Kind.DESTINATION_PAUSED, "crm", True, Text("crm is down", "crm no responde"))
GOOD = Condition(Kind.DESTINATION_PAUSED, "crm", False, Text("crm works", "crm funciona"))


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
async def ledger(ledger_url: str, clock: Clock) -> AsyncIterator[Ledger]:
    async with open_ledger(ledger_url, clock=clock) as ledger:
        yield ledger


def sender_of(ledger: Ledger, receiver: AlertReceiver, **values: Any) -> AlertSender:
    sender = AlertSender(ledger)
    sender.set_settings(settings_in(Path("/unused"), alerts={"webhook_url": receiver.url, **values}))
    return sender


async def test_another_process_knows_what_was_sent(
    ledger: Ledger, receiver: AlertReceiver, clock: Clock
) -> None:
    await sender_of(ledger, receiver).handle([BAD])
    await sender_of(ledger, receiver).handle([BAD])
    clock.advance(10)
    await sender_of(ledger, receiver).handle([GOOD])
    await sender_of(ledger, receiver).handle([GOOD])
    assert receiver.alerts() == [
        ("destination_paused", "crm", "firing"),
        ("destination_paused", "crm", "resolved"),
    ]


async def test_a_message_is_sent_again_until_the_receiver_takes_it(
    ledger: Ledger, receiver: AlertReceiver, clock: Clock
) -> None:
    sender = sender_of(ledger, receiver)
    receiver.status = 500
    with capture_logs() as lines:
        for seconds in (0, 29, 2, 30, 31, 2000):
            clock.advance(seconds)
            await sender.handle([BAD])
        receiver.status = 200
        clock.advance(900)
        await sender.handle([BAD])
        await sender.handle([BAD])
    sent_at = [request.json["timestamp"][11:19] for request in receiver.requests]
    assert sent_at == ["08:00:00", "08:00:31", "08:01:32", "08:34:52", "08:49:52"]
    failed = [line["seconds"] for line in lines if line["event"] == "alert.failed"]
    assert failed == [30, 60, 120, 240]
    assert [line["about"] for line in lines if line["event"] == "alert.sent"] == ["destination_paused:crm"]


async def test_each_try_has_the_same_id_and_the_next_message_another(
    ledger: Ledger, receiver: AlertReceiver, clock: Clock
) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    sender = sender_of(ledger, receiver, secret=secret)
    receiver.status = 503
    await sender.handle([BAD])
    receiver.status = 200
    clock.advance(60)
    await sender.handle([BAD])
    await sender.handle([GOOD])
    first, again, resolved = (request.headers["webhook-id"] for request in receiver.requests)
    assert first == again != resolved


async def test_what_is_over_before_the_receiver_took_it_is_not_sent(
    ledger: Ledger, receiver: AlertReceiver, clock: Clock
) -> None:
    sender = sender_of(ledger, receiver)
    receiver.status = 500
    await sender.handle([BAD])
    receiver.status = 200
    clock.advance(60)
    await sender.handle([GOOD])
    assert len(receiver.requests) == 1


async def test_a_ledger_that_is_down_stops_no_message(
    ledger: Ledger, receiver: AlertReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: Any) -> None:
        raise LedgerUnavailable("the disk is full")

    sender = sender_of(ledger, receiver, language="es")
    with monkeypatch.context() as broken:
        broken.setattr(ledger, "read", fail)
        broken.setattr(ledger, "write", fail)
        await sender.handle([BAD])
        await sender.handle([BAD])
    await sender.handle([GOOD])
    assert [request.json["data"]["message"] for request in receiver.requests] == [
        "crm no responde",
        "crm funciona",
    ]
