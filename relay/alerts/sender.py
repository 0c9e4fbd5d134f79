"""Sends messages about conditions, and stores what was sent, so that a restart sends nothing again."""

from collections.abc import Iterable
from typing import Final
from uuid import uuid4

import msgspec

from relay.alerts.conditions import Condition
from relay.alerts.decisions import Signal, State, decide
from relay.alerts.messages import build_message, encode
from relay.instants import Instant, duration
from relay.ledger import Ledger, LedgerError, client_state
from relay.logs import get_logger, mask_text
from relay.operations.languages import Language
from relay.settings import Settings

log = get_logger("relay.alerts")

_FIRST_RETRY_SECONDS: Final = 30.0
_LONGEST_RETRY_SECONDS: Final = 900.0
_OWNER: Final = "@alerts"
"""Of the states in the ledger. No destination has such a name."""


class _Unsent(msgspec.Struct):
    """A message that the receiver has not taken. `id`: the same in each try."""

    id: str
    retry_at: Instant
    retry_seconds: float = _FIRST_RETRY_SECONDS


class AlertSender:
    """Decides about conditions and sends. Call `set_settings` first.

    A message that the receiver does not take is sent again after 30 seconds, then after longer and longer
    waits, at most 15 minutes, while its condition lasts.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._states: dict[str, State] = {}
        self._unsent: dict[str, _Unsent] = {}

    def set_settings(self, settings: Settings) -> None:
        """Use these settings from now on."""
        self._alerts = settings.alerts
        self._console_url = f"{settings.server.public_url}/console"

    def forget(self) -> None:
        """Read the states from the ledger again."""
        self._states.clear()

    async def handle(self, found: Iterable[Condition]) -> None:
        """Send what has to be said about these conditions."""
        now = self._ledger.now()
        for condition in found:
            key = f"{condition.kind}:{condition.subject}"
            before = await self._state_of(key)
            state, signal = decide(condition, before, now)
            if signal is None:
                self._unsent.pop(key, None)
            elif not await self._send(key, condition, signal, now):
                continue
            self._states[key] = state
            if signal is not None or state.count != before.count:
                await self._save(key, state)

    async def _send(self, key: str, condition: Condition, signal: Signal, now: Instant) -> bool:
        """Return whether the receiver took the message."""
        unsent = self._unsent.setdefault(key, _Unsent(f"alert_{uuid4().hex}", now))
        if now < unsent.retry_at <= now + duration(_LONGEST_RETRY_SECONDS):
            return False
        language = Language(self._alerts.language)
        message = build_message(unsent.id, condition, signal, language, at=now, url=self._console_url)
        from relay.operations.alert_receiver import AlertReceiver  # noqa: PLC0415 - loads an HTTP client

        body = encode(message, self._alerts.format)
        problem = await AlertReceiver(self._alerts).send(body, id_=unsent.id, at=now)
        if problem is not None:
            log.warning("alert.failed", about=key, error=mask_text(problem), seconds=unsent.retry_seconds)
            unsent.retry_at = Instant(now + duration(unsent.retry_seconds))
            unsent.retry_seconds = min(unsent.retry_seconds * 2, _LONGEST_RETRY_SECONDS)
            return False
        log.info("alert.sent", about=key, state=signal)
        del self._unsent[key]
        return True

    async def _state_of(self, key: str) -> State:
        """Return what was sent before. While the ledger is down, only what this process sent is known."""
        if key not in self._states:
            try:
                stored = await self._ledger.read(lambda c: client_state.get_many(c, _OWNER, [key]))
            except LedgerError:
                return State()
            self._states[key] = msgspec.json.decode(stored[key], type=State) if key in stored else State()
        return self._states[key]

    async def _save(self, key: str, state: State) -> None:
        value = msgspec.json.encode(state).decode()
        now = self._ledger.now()
        try:
            await self._ledger.write(lambda c: client_state.set_many(c, _OWNER, {key: value}, now=now))
        except LedgerError as error:
            log.warning("alert.not_stored", about=key, error=str(error))
