"""A CRM that is down for days, lived through in seconds: the real ledger, courier and client, on a clock
that jumps. Run as a process of its own, so that its memory is nobody else's.

`python -m tests.chaos.outage FOLDER CRM_URL CONTROL_URL` prints what it saw as JSON.
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
from sqlalchemy import Connection, func, select

from crm_clients.supabase import SupabaseClient, SupabaseSettings
from relay.call import Call
from relay.delivery import DeliveryWorker, LedgerClientState, RetryPolicy
from relay.ledger import Ledger, calls, deliveries, destinations
from relay.ledger.calls import CallRow
from relay.ledger.tables import deliveries as marks
from tests.fakes.faults import Fault, Faults
from tests.support.clients import make_context
from tests.support.clock import Clock
from tests.support.samples import make_call_row

HOURS: Final = 87
CALLS: Final = 100_000
_STEPS: Final = 4
"""Of an hour in which the courier has its turn, a quarter of an hour apart."""

_PORTION: Final = 1_000
_DELIVERED_FIRST: Final = 500
"""Calls that the CRM has from before."""


class Seen(msgspec.Struct):
    """`dead` and `attempts_most` at the end of the outage, before the CRM was back; `memory_mb`: the most
    that the process ever had.
    """

    hours: int
    pending: int
    dead: int
    delivered: int
    attempts_most: int
    memory_mb: float
    probes: int


class Outage:
    """The parts, the clock, and the CRM's faults."""

    def __init__(self, folder: Path, crm_url: str, control: httpx.Client) -> None:
        self._clock = Clock()
        self._ledger = Ledger(f"sqlite:///{folder / 'relay.db'}", clock=self._clock)
        self._control = control
        self._random = Random(87)
        settings = SupabaseSettings(
            client="supabase", url=crm_url, key="sb_secret_of_the_tests", batch=200, timeout_seconds=10
        )
        client = SupabaseClient("crm", settings, make_context(LedgerClientState(self._ledger, "crm")))
        self._courier = DeliveryWorker("crm", client, settings, self._ledger, RetryPolicy(5, 3600, 72))
        self._client = client
        self._made = 0

    async def live_through(self) -> Seen:
        await self._ledger.open()
        await self._ledger.write(lambda c: destinations.register(c, {"crm": "supabase"}))
        serving = asyncio.create_task(self._courier.run())
        try:
            return await self._days()
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
            await self._client.aclose()
            await self._ledger.close()

    async def _days(self) -> Seen:
        await self._ring(_DELIVERED_FIRST)
        await self._until_delivered()
        for hour in range(HOURS):
            self._have(self._fault_of(hour))
            await self._ring((CALLS - self._made) // (HOURS - hour))
            for _ in range(_STEPS):
                await self._pass(3600 / _STEPS)
        seen = Seen(
            HOURS,
            pending=await self._count("pending"),
            dead=await self._count("dead"),
            delivered=await self._count("delivered"),
            attempts_most=await self._ledger.read(
                lambda c: c.execute(select(func.max(marks.c.attempts))).scalar_one()
            ),
            memory_mb=0.0,
            probes=json.loads(self._control.get("/tally").content)["requests"],
        )
        self._have(Faults())
        await self._until_delivered()
        seen.memory_mb = _peak_mb()
        return seen

    def _fault_of(self, hour: int) -> Faults:
        """Refused connections first; they cost more than an answer, since each is tried three times."""
        if hour == 0:
            return Faults(down=True)
        return Faults(always=self._random.choice([Fault.ERROR, Fault.GATEWAY, Fault.RESET]))

    def _have(self, faults: Faults) -> None:
        self._control.put("/faults", content=msgspec.json.encode(faults)).raise_for_status()

    async def _ring(self, number: int) -> None:
        """So many calls come to be owed."""
        for begin in range(self._made, self._made + number, _PORTION):
            names = range(begin, min(begin + _PORTION, self._made + number))
            rows = [_call(name, self._clock()) for name in names]
            await self._ledger.write(partial(self._owe, rows))
        self._made += number
        self._courier.wake()

    def _owe(self, rows: Sequence[CallRow], connection: Connection) -> None:
        calls.write(connection, rows, [])
        deliveries.enqueue(connection, [(row.id, row.version) for row in rows], now=self._clock())

    async def _pass(self, seconds: float) -> None:
        """Time passes, and the courier does all that is due then: one probe while it waits, else pushes."""
        before = await self._paused_until()
        self._clock.advance(seconds)
        self._courier.wake()
        async with asyncio.timeout(30):
            while not await self._did_its_work(before):
                await asyncio.sleep(0.001)

    async def _did_its_work(self, before: int | None) -> bool:
        until = await self._paused_until()
        if until is not None or self._courier._pushes:
            return until != before and not self._courier._pushes
        return not await self._count("pending", due_by=self._clock())

    async def _paused_until(self) -> int | None:
        stand = await self._ledger.read(lambda c: destinations.get(c, "crm"))
        until: int | None = stand.paused_until
        return until

    async def _until_delivered(self) -> None:
        async with asyncio.timeout(60):
            while await self._count("delivered") < self._made:
                await self._pass(60)

    async def _count(self, state: str, *, due_by: int = 2**62) -> int:
        counted = (
            select(func.count()).select_from(marks).where(marks.c.state == state, marks.c.due_at <= due_by)
        )
        return await self._ledger.read(lambda c: c.execute(counted).scalar_one())


def _call(number: int, now: int) -> CallRow:
    """A call as large as they are."""
    row = make_call_row(f"cloudtalk-{number:06}", number=f"+346{number:08}", contact_name="Ana Álvarez Peña")
    facts = {name: getattr(row.record, name) for name in Call.__struct_fields__}
    record = Call(**facts | {"notes": "Llama por su pedido. " * 10, "cloudtalk_data": {"id": str(number)}})
    return msgspec.structs.replace(row, began_at=now, record=record)


def _peak_mb() -> float:
    """The most that this process ever held. `getrusage` would count in what its parent held at the fork."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) / 1024


async def _main(folder: Path, crm_url: str, control_url: str) -> None:
    with httpx.Client(base_url=control_url, trust_env=False, timeout=60) as control:
        seen = await Outage(folder, crm_url, control).live_through()
    print(msgspec.json.encode(seen).decode())  # noqa: T201 - to the test


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), *sys.argv[2:]))
