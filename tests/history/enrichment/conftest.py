"""A fake CloudTalk, and a ledger whose clock a test sets, with a fold and an enricher that wait for it."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from relay.call import Call
from relay.cloudtalk.request import RawRequest
from relay.fold import FoldWorker, fold_options
from relay.history.enrichment.worker import Enricher
from relay.instants import Instant, duration
from relay.ledger import Ledger, calls, enrichments, journal, warnings
from relay.ledger.enrichments import Question
from relay.ledger.journal import NewEvent
from relay.settings import Settings
from tests.fakes.cloudtalk_history import FakeHistory, running_history
from tests.support.clock import Clock
from tests.support.folding import parser_in
from tests.support.in_process import settings_in
from tests.support.ledgers import open_ledger

EVERYTHING = {"analytics": True, "summary": True, "transcript": True, "smart_notes": True}


class Office:
    """A ledger in which calls arrive, and an enricher that asks the fake about them."""

    def __init__(self, ledger: Ledger, clock: Clock, cloudtalk: FakeHistory, settings: Settings) -> None:
        self.ledger, self.clock, self.cloudtalk = ledger, clock, cloudtalk
        self.settings = settings
        self.enricher = Enricher(settings, ledger)
        self.fold_worker = FoldWorker(
            ledger, options=fold_options(settings), has_backlog=lambda: False, on_enqueue=lambda: None
        )

    async def receive(self, *bodies: dict[str, Any]) -> None:
        """Append these webhooks one second apart, and fold them."""
        for body in bodies:
            self.clock.advance(1)
            raw = msgspec.json.encode(body)
            event = parser_in().parse_one(RawRequest(raw, "application/json", "/cloudtalk/webhook"))
            new = NewEvent(self.ledger.now(), "application/json", "/cloudtalk/webhook", "", raw, event)
            await self.ledger.write(partial(journal.append, new=[new]))
        await self.fold()

    async def fold(self) -> None:
        """Fold all events."""
        await self.fold_worker.lease.preempt()
        while await self.fold_worker.fold_batch():
            pass

    async def ask(self, *, after: float = 60) -> None:
        """Let so many seconds pass, ask what is due, and fold the answers."""
        self.clock.advance(after)
        await self.enricher.lease.preempt()
        await self.enricher.ask_due()
        await self.fold()

    async def call(self, id_: str) -> Call:
        """The record of this call."""
        return (await self.ledger.read(lambda c: calls.get_records(c, [id_])))[id_]

    async def pending(self) -> set[Question]:
        """What is to be asked, now or later."""
        later = Instant(self.ledger.now() + duration(30 * 86_400))
        due = await self.ledger.read(lambda c: enrichments.list_due(c, list(Question), now=later, limit=100))
        return {each.question for each in due}

    async def warning(self, name: str) -> str | None:
        """The warning of this name that `relay check` shows."""
        return await self.ledger.read(lambda c: warnings.get(c, name, since=Instant(0)))


def settings_for(folder: Path, cloudtalk: FakeHistory, **enrich: bool) -> Settings:
    api = {
        "key_id": "id",
        "key_secret": "key-of-the-api",
        "base_url": f"{cloudtalk.url}/api",
        "analytics_url": f"{cloudtalk.url}/analytics",
        "ai_url": f"{cloudtalk.url}/ai",
        "requests_per_minute": 60,
    }
    return settings_in(folder, cloudtalk={"api": api}, enrich=enrich)


@pytest.fixture
async def cloudtalk() -> AsyncIterator[FakeHistory]:
    async with running_history(FakeHistory()) as fake:
        yield fake


@pytest.fixture
async def office(tmp_path: Path, ledger_url: str, cloudtalk: FakeHistory) -> AsyncIterator[Office]:
    """Everything is switched on."""
    clock = Clock()
    async with open_ledger(ledger_url, clock=clock) as ledger:
        yield Office(ledger, clock, cloudtalk, settings_for(tmp_path, cloudtalk, **EVERYTHING))
