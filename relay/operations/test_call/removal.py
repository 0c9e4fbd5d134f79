"""Removes a test call from every CRM that may have it, then from the ledger.

The ledger keeps the call until the CRMs have removed it, so nothing is lost if this is interrupted.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from crm_clients.base import CrmClient, Delivered, Retraction
from relay.call import Call
from relay.delivery import LedgerClientState
from relay.delivery.choose_action import may_have_record
from relay.delivery.clients import build_clients
from relay.ledger import Ledger, calls, delivered_counts, deliveries, destinations, removal
from relay.ledger.connection import Connection
from relay.ledger.deliveries import DeliveryRow
from relay.ledger.states import DeliveryState
from relay.logs import remove_secrets
from relay.operations.languages import Text
from relay.operations.left_over_tests import RECORD_PREFIX
from relay.operations.test_call import texts
from relay.operations.test_call.follow import list_served
from relay.operations.test_call.steps import Kind, OnStep, State, Step
from relay.operations.translation import translate
from relay.settings import Settings

_POLL_SECONDS: Final = 0.2
_SPARE_SECONDS: Final = 2.0
"""How long a push may take to be written after its time limit."""


class Remover:
    """Removes test calls. `on_step` learns what happens at each destination."""

    def __init__(self, settings: Settings, ledger: Ledger, on_step: OnStep) -> None:
        self._settings = settings
        self._ledger = ledger
        self._on_step = on_step

    async def remove_left(self) -> tuple[int, int]:
        """Remove the test calls that earlier runs left. Return how many there were, and how many stay."""
        ids = await self._ledger.read(lambda connection: removal.list_ids(connection, RECORD_PREFIX))
        removed = [await self.remove(id_) for id_ in ids]
        return len(ids), removed.count(False)

    async def remove(self, id_: str) -> bool:
        """Remove a test call everywhere, if there is one. Return whether no CRM has it any more."""
        record = await self._ledger.read(lambda c: _find_record(c, id_))
        if record is None:
            return True
        rows, in_doubt = await self._stop(id_)
        to_clean = [row for row in rows if may_have_record(row) or row.destination in in_doubt]
        results = [await self._remove_from(record, row) for row in to_clean]
        if not all(results):
            return False
        await self._ledger.write(lambda connection: _remove_from_ledger(connection, id_, rows))
        self._report(None, State.GOOD, "test_removed", texts.REMOVED_FROM_LEDGER)
        return True

    async def _stop(self, id_: str) -> tuple[list[DeliveryRow], set[str]]:
        """Let no push of the call begin, and wait until those under way are over. Return the deliveries, and
        the destinations to which a push may have been under way.

        A worker writes the result of a push at the latest after the destination's time limit. The result may
        make the delivery pending again.
        """
        in_doubt, ends_at = set[str](), dict[str, float]()
        while True:
            before, may_be_pushed = await self._ledger.write(lambda c: self._drop_pending(c, id_))
            for row in before:
                if row.state is not DeliveryState.DROPPED:  # a result was written since the drop before
                    ends_at.pop(row.destination, None)
            for name in may_be_pushed:
                limit = self._settings.destinations[name].timeout_seconds
                ends_at[name] = time.monotonic() + limit + _SPARE_SECONDS
            in_doubt.update(ends_at)
            if all(time.monotonic() >= end for end in ends_at.values()):
                return before, in_doubt
            await asyncio.sleep(_POLL_SECONDS)

    def _drop_pending(self, connection: Connection, id_: str) -> tuple[list[DeliveryRow], list[str]]:
        """Drop the pending deliveries. Return all as they were, and where a push may be under way."""
        rows = deliveries.list_for_call(connection, id_)
        removal.drop_pending(connection, id_)
        paused = {row.name for row in destinations.list_all(connection) if row.paused_reason}
        now = self._ledger.now()
        due = {row.destination for row in rows if row.state is DeliveryState.PENDING and row.due_at <= now}
        served = list_served(connection, now) & self._settings.destinations.keys()
        return rows, sorted(due & served - paused)

    async def _remove_from(self, record: Call, row: DeliveryRow) -> bool:
        name = row.destination
        self._report(name, State.RUNNING, "test_removing", texts.REMOVING)
        if name not in self._settings.destinations:
            return self._fail(record.id, name, texts.GONE_DESTINATION)
        clients = build_clients(
            self._settings, lambda each: LedgerClientState(self._ledger, each), only=[name]
        )
        reason = await _forget(
            clients[name],
            Retraction(record, row.remote_id),
            timeout_seconds=self._settings.destinations[name].timeout_seconds,
        )
        if reason is not None:
            return self._fail(record.id, name, translate(reason))
        self._report(name, State.GOOD, "test_removed", texts.REMOVED)
        return True

    def _fail(self, id_: str, destination: str, reason: Text) -> bool:
        problem = texts.NOT_REMOVED
        text = problem.text.fill(id=id_, reason=reason)
        self._report(destination, State.FAILED, problem.code, text, problem.hint)
        return False

    def _report(
        self, destination: str | None, state: State, code: str, text: Text, hint: Text | None = None
    ) -> None:
        self._on_step(Step(Kind.REMOVE, state, code, text, hint, destination))


def _remove_from_ledger(connection: Connection, id_: str, rows: Sequence[DeliveryRow]) -> None:
    """Remove the call, also from the numbers of calls that each CRM got: people did not make it."""
    for row in rows:
        if row.delivered_version and row.attempted_at is not None:
            delivered_counts.add(connection, row.destination, -1, now=row.attempted_at)
    removal.remove_call(connection, id_)


def _find_record(connection: Connection, id_: str) -> Call | None:
    row = calls.get_many(connection, [id_]).get(id_)
    return None if row is None else row.record


async def _forget(client: CrmClient[Any], retraction: Retraction, *, timeout_seconds: float) -> str | None:
    """Remove the record from a CRM. Return why that failed; None if the CRM has no such record any more."""
    try:
        async with asyncio.timeout(timeout_seconds):
            (outcome,) = await client.forget([retraction])
    except TimeoutError:
        return f"no answer within {timeout_seconds:g} s"
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
        return remove_secrets(f"{type(error).__name__}: {error}")
    finally:
        await client.aclose()
    if isinstance(outcome, Delivered):
        return None
    return remove_secrets(outcome.message or outcome.code or outcome.name)
