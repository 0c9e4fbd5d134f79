"""A CRM outage of several days in some seconds: real ledger, delivery worker and client, on a fake clock.

`python -m tests.chaos.outage FOLDER CRM_URL CONTROL_URL` prints an `OutageResult` as JSON. It is a process of
its own because it measures its memory.
"""

import asyncio
import json
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import httpx
import msgspec
from sqlalchemy import func, select

from crm_clients.supabase import SupabaseClient, SupabaseSettings
from relay.call import Call
from relay.delivery import DeliveryWorker, LedgerClientState, RetryPolicy
from relay.instants import Instant
from relay.ledger import Ledger, calls, deliveries, destinations
from relay.ledger.calls import CallRow
from relay.ledger.connection import Connection
from relay.ledger.tables import deliveries as deliveries_table
from tests.fakes.faults import Fault, Faults
from tests.support.clients import make_context
from tests.support.clock import Clock
from tests.support.samples import make_call_row

HOURS: Final = 87
CALLS: Final = 100_000
_STEPS: Final = 4
"""The number of times per hour that the clock jumps and the worker runs."""

_ROWS_AT_ONCE: Final = 1_000
_DELIVERED_FIRST: Final = 500
"""Calls that the CRM receives before the outage."""


class OutageResult(msgspec.Struct):
    """The deliveries in each state at the end of the outage, before the CRM works again.

    `most_attempts`: the most attempts of any delivery. `memory_mb`: the peak of this process, including the
    deliveries after the outage. `probes`: the requests to the CRM before and during the outage.
    """

    hours: int
    pending: int
    dead: int
    delivered: int
    most_attempts: int
    memory_mb: float
    probes: int


class Outage:
    """A ledger, a worker, a client, and the clock and the CRM's faults to control them."""

    def __init__(self, folder: Path, crm_url: str, control: httpx.Client) -> None:
        self._clock = Clock()
        self._ledger = Ledger(f"sqlite:///{folder / 'relay.db'}", clock=self._clock)
        self._control = control
        self._random = Random(87)
        settings = SupabaseSettings(
            client="supabase", url=crm_url, key="sb_secret_of_the_tests", batch=200, timeout_seconds=10
        )
        client = SupabaseClient("crm", settings, make_context(LedgerClientState(self._ledger, "crm")))
        self._worker = DeliveryWorker("crm", client, settings, self._ledger, RetryPolicy(5, 3600, 72))
        self._client = client
        self._calls_added = 0

    async def run(self) -> OutageResult:
        await self._ledger.open()
        await self._ledger.write(lambda c: destinations.register(c, {"crm": "supabase"}))
        running = asyncio.create_task(self._worker.run())
        try:
            return await self._simulate()
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            await self._client.aclose()
            await self._ledger.close()

    async def _simulate(self) -> OutageResult:
        await self._add_calls(_DELIVERED_FIRST)
        await self._wait_until_delivered()
        for hour in range(HOURS):
            self._set_faults(self._choose_faults(hour))
            await self._add_calls((CALLS - self._calls_added) // (HOURS - hour))
            for _ in range(_STEPS):
                await self._advance(3600 / _STEPS)
        result = OutageResult(
            HOURS,
            pending=await self._count("pending"),
            dead=await self._count("dead"),
            delivered=await self._count("delivered"),
            most_attempts=await self._ledger.read(
                lambda c: c.execute(select(func.max(deliveries_table.c.attempts))).scalar_one()
            ),
            memory_mb=0.0,
            probes=json.loads(self._control.get("/tally").content)["requests"],
        )
        self._set_faults(Faults())
        await self._wait_until_delivered()
        result.memory_mb = _peak_mb()
        return result

    def _choose_faults(self, hour: int) -> Faults:
        """Refuse connections in the first hour only: each is tried three times, which takes longer."""
        if hour == 0:
            return Faults(down=True)
        return Faults(always=self._random.choice([Fault.ERROR, Fault.GATEWAY, Fault.RESET]))

    def _set_faults(self, faults: Faults) -> None:
        self._control.put("/faults", content=msgspec.json.encode(faults)).raise_for_status()

    async def _add_calls(self, count: int) -> None:
        """Write this number of new calls and enqueue their deliveries."""
        for begin in range(self._calls_added, self._calls_added + count, _ROWS_AT_ONCE):
            numbers = range(begin, min(begin + _ROWS_AT_ONCE, self._calls_added + count))
            rows = [_call_row(number, self._clock()) for number in numbers]
            await self._ledger.write(partial(self._write_calls, rows))
        self._calls_added += count
        self._worker.wake()

    def _write_calls(self, rows: Sequence[CallRow], connection: Connection) -> None:
        calls.write(connection, rows, [])
        deliveries.enqueue(connection, [(row.id, row.version) for row in rows], now=self._clock())

    async def _advance(self, seconds: float) -> None:
        """Move the clock and wait for the work that is due then: one probe in a pause, else all pushes."""
        before = await self._paused_until()
        self._clock.advance(seconds)
        self._worker.wake()
        while not await self._has_done_due_work(before):
            await asyncio.sleep(0.001)

    async def _has_done_due_work(self, before: int | None) -> bool:
        until = await self._paused_until()
        if until is not None or self._worker._pushes:
            return until != before and not self._worker._pushes
        return not await self._count("pending", due_by=self._clock())

    async def _paused_until(self) -> int | None:
        return (await self._ledger.read(lambda c: destinations.get(c, "crm"))).paused_until

    async def _wait_until_delivered(self) -> None:
        while await self._count("delivered") < self._calls_added:
            await self._advance(60)

    async def _count(self, state: str, *, due_by: int = 2**62) -> int:
        columns = deliveries_table.c
        query = select(func.count()).where(columns.state == state, columns.due_at <= due_by)
        return await self._ledger.read(lambda c: c.execute(query).scalar_one())


def _call_row(number: int, now: Instant) -> CallRow:
    """A call of realistic size."""
    row = make_call_row(f"cloudtalk-{number:06}", number=f"+346{number:08}", contact_name="Ana Álvarez Peña")
    facts = {name: getattr(row.record, name) for name in Call.__struct_fields__}
    record = Call(**facts | {"notes": "Llama por su pedido. " * 10, "cloudtalk_data": {"id": str(number)}})
    return msgspec.structs.replace(row, began_at=now, record=record)


def _peak_mb() -> float:
    """The peak memory of this process. `getrusage` would include that of its parent at the fork."""
    peak = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert peak
    return int(peak[1]) / 1024


async def _main(folder: Path, crm_url: str, control_url: str) -> None:
    with httpx.Client(base_url=control_url, trust_env=False, timeout=60) as control:
        result = await Outage(folder, crm_url, control).run()
    print(msgspec.json.encode(result).decode())  # noqa: T201 - the test reads it


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), *sys.argv[2:]))
