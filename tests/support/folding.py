"""A relay that is opened and does nothing by itself: a test appends bodies and folds them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from relay.app import Relay
from relay.cloudtalk.parser import Parser
from relay.cloudtalk.request import RawRequest
from relay.ledger import Ledger, calls, deliveries, destinations, journal
from relay.ledger.calls import CallRow
from relay.ledger.deliveries import DeliveryRow
from relay.ledger.journal import NewEvent
from tests.support.in_process import delivery_of, ingest_of, settings_in
from tests.support.relay import WEBHOOK_PATH


def parser_in(zone: str = "Europe/Madrid") -> Parser:
    """A parser that reads times without an offset in this zone."""
    return Parser(ZoneInfo(zone), "ES")


class FoldingRelay:
    """A relay with one destination, `crm`."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    @property
    def ledger(self) -> Ledger:
        return self._relay.ledger

    async def receive(self, *bodies: bytes, path: str = WEBHOOK_PATH) -> None:
        """Append the events of these bodies, as ingest does, and fold them."""
        rows = []
        for body in bodies:
            events = parser_in().parse(RawRequest(body, "application/json", path))
            assert isinstance(events, list)
            rows += [
                NewEvent(
                    ingest_of(self._relay).group_commit.next_received_at(),
                    "application/json",
                    path,
                    "",
                    _raw_of(body, index),
                    event,
                )
                for index, event in enumerate(events)
            ]
        await self.ledger.write(lambda c: journal.append(c, rows))
        await self.fold()

    async def fold(self) -> None:
        await delivery_of(self._relay).fold.lease.preempt()
        while await delivery_of(self._relay).fold.fold_batch():
            pass

    async def row(self, call: str) -> CallRow:
        """The row of this call; fails if there is none."""
        return (await self.ledger.read(lambda c: calls.get_many(c, [call])))[call]

    async def delivery(self, call: str) -> DeliveryRow:
        """The delivery of this call; fails if there is none."""
        (delivery,) = await self.ledger.read(lambda c: deliveries.list_for_call(c, call))
        return delivery


def _raw_of(body: bytes, index: int) -> bytes:
    """The event's own part of an array, the whole body otherwise."""
    value = msgspec.json.decode(body)
    return msgspec.json.encode(value[index]) if isinstance(value, list) else body


@asynccontextmanager
async def folding_relay(folder: Path, ledger_url: str) -> AsyncIterator[FoldingRelay]:
    """Open a relay without starting its tasks."""
    relay = Relay(settings_in(folder, ledger={"url": ledger_url}))
    await relay.lifecycle.open()
    await relay.ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
    try:
        yield FoldingRelay(relay)
    finally:
        await relay.ledger.close()
