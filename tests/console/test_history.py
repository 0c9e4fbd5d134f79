"""What the overview shows of CloudTalk's history."""

import re
from pathlib import Path

import msgspec
import pytest

from relay.history.counts import Counts
from relay.history.reading import Progress
from relay.history.windows import Range, divide
from relay.instants import SECOND, Instant
from relay.ledger import history_cursors, history_searches
from relay.ledger.connection import Connection
from relay.ledger.history_cursors import HistoryCursor
from relay.ledger.history_searches import HistorySearch
from relay.settings import Settings
from tests.support.browsing import browsing
from tests.support.in_process import settings_in

NOWHERE = "http://127.0.0.1:9/api"


def settings_with(folder: Path, *, every_minutes: float) -> Settings:
    api = {"key_id": "id", "key_secret": "s", "base_url": NOWHERE, "analytics_url": NOWHERE}
    return settings_in(folder, cloudtalk={"api": api}, reconcile={"every_minutes": every_minutes})


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("en", ("Last search", "Next search", "Request 2 of about", "30 calls, 20 of them new", "HTTP 401")),
        (
            "es",
            ("Última búsqueda", "Próxima búsqueda", "Petición 2 de unas", "30 llamadas, 20 de", "HTTP 401"),
        ),
    ],
)
async def test_the_overview_shows_the_last_search_its_failure_and_an_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, shown: tuple[str, ...]
) -> None:
    monkeypatch.setattr("relay.history.reconciler.Reconciler.run", _no_search)
    async with browsing(settings_with(tmp_path, every_minutes=15)) as (relay, browser):
        now = relay.ledger.now()

        def write(connection: Connection) -> None:
            search = HistorySearch(now, Instant(now - 900 * SECOND), 41, 17, 3, now)
            history_searches.record_finished(connection, search)
            history_searches.record_failed(connection, "unauthorised", "HTTP 401 <b>", now=now)
            wanted = Range(Instant(now - 90 * 86_400 * SECOND), now)
            progress = Progress(divide(wanted), Counts(calls=30, new=20, requests=2))
            encoded = msgspec.json.encode(progress).decode()
            history_cursors.save(
                connection, HistoryCursor(wanted.since, wanted.until, True, encoded), now=now
            )

        await relay.ledger.write(write)
        page = (await browser.open("/console", accept_language=language)).text
    for text in (*shown, ">17<", ">3<"):
        assert text in page
    assert "<b>" not in page
    assert re.search(r'<progress max="\d+" value="2"', page)


async def _no_search(_: object) -> None:
    """Find nothing."""


async def test_without_a_reconciler_the_overview_says_that_the_history_is_not_searched(
    tmp_path: Path,
) -> None:
    async with browsing(settings_with(tmp_path, every_minutes=0)) as (_, browser):
        assert (
            "history is not searched" not in (await browser.open("/console")).text
        )  # before the first event
        body = {"event": "call.started", "data": {"id": "1"}}
        assert (await browser.client.post("/cloudtalk/webhook", json=body)).is_success
        assert "The history is not searched" in (await browser.open("/console")).text
