"""Follows a test call in the ledger: from its events to the delivery at each destination."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import msgspec

from relay.call import Call, Status
from relay.instants import Instant, duration
from relay.ledger import Ledger, calls, deliveries, destinations, journal, leases
from relay.ledger.connection import Connection
from relay.ledger.deliveries import DeliveryRow
from relay.ledger.destinations import BY_OPERATOR, DestinationRow
from relay.ledger.states import DeliveryState
from relay.operations.explanation import explain_delivery, situation_of
from relay.operations.languages import Text
from relay.operations.test_call import texts
from relay.operations.test_call.steps import Kind, OnStep, State, Step
from relay.operations.translation import translate
from relay.settings import Settings

_POLL_SECONDS: Final = 0.2


class _Snapshot(msgspec.Struct, frozen=True):
    """What the ledger has of the call."""

    record: Call | None
    deliveries: dict[str, DeliveryRow]
    destinations: dict[str, DestinationRow]
    served: set[str]
    now: Instant


def list_served(connection: Connection, now: Instant) -> set[str]:
    """Return the destinations to which a relay delivers at present."""
    held = leases.list_names(connection, now=now)
    names = (row.name for row in destinations.list_all(connection))
    return {name for name in names if leases.delivery_lease(name) in held}


class Follower:
    """Reports the way of one call through the ledger. It waits for at most `seconds` in each part."""

    def __init__(
        self, settings: Settings, ledger: Ledger, record_id: str, on_step: OnStep, *, seconds: float
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._record_id = record_id
        self._on_step = on_step
        self._seconds = seconds
        self._began_at = time.monotonic()

    async def wait_for(self, statuses: frozenset[Status], *, seconds: float | None = None) -> bool:
        """Wait until the call has one of these statuses in the ledger; return whether it has one in time."""
        return await self._poll(
            lambda seen: seen.record is not None and seen.record.status in statuses,
            self._seconds if seconds is None else seconds,
        )

    async def count_unfolded(self) -> int:
        """Count the events that the relay has not folded yet."""
        return await self._ledger.read(journal.count_unfolded)

    async def watch_deliveries(self) -> None:
        """Report each destination until each has the record, or cannot get it, or the time is over."""
        reported: dict[str, Step] = {}

        def report(seen: _Snapshot, *, is_last: bool = False) -> bool:
            passed = round(time.monotonic() - self._began_at, 1)
            for name in self._settings.destinations:
                if name in reported and reported[name].is_final:
                    continue
                step = self._step_of(seen, name, passed, is_last=is_last)
                if reported.get(name) != step:
                    reported[name] = step
                    self._on_step(step)
            return all(step.is_final for step in reported.values())

        if not await self._poll(report, self._delivery_seconds):
            report(await self._ledger.read(self._look), is_last=True)

    @property
    def _delivery_seconds(self) -> float:
        """How long the deliveries may take, with the time until a call is complete."""
        waits = (
            each.complete_after_seconds
            for each in self._settings.destinations.values()
            if each.enabled and each.update != "always"
        )
        return self._seconds + max(waits, default=0)

    async def _poll(self, is_reached: Callable[[_Snapshot], bool], seconds: float) -> bool:
        ends_at = time.monotonic() + seconds
        while not is_reached(await self._ledger.read(self._look)):
            if time.monotonic() >= ends_at:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    def _look(self, connection: Connection) -> _Snapshot:
        row = calls.get_many(connection, [self._record_id]).get(self._record_id)
        return _Snapshot(
            None if row is None else row.record,
            {each.destination: each for each in deliveries.list_for_call(connection, self._record_id)},
            {each.name: each for each in destinations.list_all(connection)},
            list_served(connection, self._ledger.now()),
            self._ledger.now(),
        )

    def _step_of(self, seen: _Snapshot, name: str, passed: float, *, is_last: bool) -> Step:
        row = seen.deliveries.get(name)
        if seen.record is None or row is None:
            reason = texts.NOT_REGISTERED
            return self._not_in_time(name, reason) if is_last else self._waiting(name, texts.WAITING)
        if (settled := _settled_step(row, passed)) is not None:
            return settled
        situation = situation_of(self._settings, seen.now, for_people=True)
        explanation = explain_delivery(
            row, seen.record, seen.destinations[name], situation, is_served=name in seen.served
        )
        if not self._settings.destinations[name].enabled:
            return Step(Kind.DELIVER, State.WARNING, "disabled", explanation.text, destination=name)
        if self._stays_paused(seen, name):
            return Step(Kind.DELIVER, State.FAILED, "paused", explanation.text, destination=name)
        return self._not_in_time(name, explanation.text) if is_last else self._waiting(name, explanation.text)

    def _stays_paused(self, seen: _Snapshot, name: str) -> bool:
        destination = seen.destinations[name]
        if destination.paused_reason == BY_OPERATOR:
            return True
        until = destination.paused_until
        return until is not None and until > seen.now + duration(self._seconds)

    @staticmethod
    def _waiting(name: str, text: Text) -> Step:
        return Step(Kind.DELIVER, State.RUNNING, "test_waiting", text, destination=name)

    def _not_in_time(self, name: str, reason: Text) -> Step:
        problem = texts.NOT_IN_TIME
        text = problem.text.fill(seconds=f"{self._delivery_seconds:g}", reason=reason)
        return Step(Kind.DELIVER, State.FAILED, problem.code, text, problem.hint.fill(name=name), name)


def _settled_step(row: DeliveryRow, passed: float) -> Step | None:
    """Return the last step of a delivery that is over; None while it is pending."""
    name, words = row.destination, ": ".join(filter(None, (row.code, row.message)))
    answer = translate(words)
    match row.state:
        case DeliveryState.PENDING:
            return None
        case DeliveryState.DELIVERED if not words:
            text = texts.DELIVERED.fill(seconds=passed)
            return Step(Kind.DELIVER, State.GOOD, "test_delivered", text, destination=name)
        case DeliveryState.DELIVERED:
            text = texts.DELIVERED_PARTLY.fill(answer=answer)
            return Step(Kind.DELIVER, State.WARNING, "test_delivered_partly", text, destination=name)
        case DeliveryState.FILTERED:
            text = texts.FILTERED.fill(name=name)
            return Step(Kind.DELIVER, State.WARNING, "test_filtered", text, destination=name)
        case _:
            problem = texts.REJECTED
            text = problem.text.fill(answer=answer if words else row.outcome or row.state)
            return Step(Kind.DELIVER, State.FAILED, problem.code, text, problem.hint, name)
