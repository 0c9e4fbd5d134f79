"""The last refused requests are stored for `relay check` and the overview."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.cloudtalk.authentication import AuthProblem
from relay.cloudtalk.request import RequestHead
from relay.ingest.refused_senders import RefusedSenders
from relay.instants import Instant
from relay.ledger import Ledger, LedgerUnavailable, warnings
from relay.ledger.warnings import REFUSED, WarningRow
from tests.support.clock import Clock, MonotonicClock
from tests.support.in_process import in_process_relay, settings_in
from tests.support.ledgers import open_ledger

WRONG, NONE = AuthProblem.WRONG_TOKEN, AuthProblem.NO_TOKEN


@pytest.fixture
def ledger_clock() -> Clock:
    return Clock()


@pytest.fixture
async def ledger(tmp_path: Path, ledger_clock: Clock) -> AsyncIterator[Ledger]:
    async with open_ledger(f"sqlite:///{tmp_path / 'relay.db'}", clock=ledger_clock) as ledger:
        yield ledger


@pytest.fixture
def clock() -> MonotonicClock:
    return MonotonicClock()


@pytest.fixture
def senders(ledger: Ledger, clock: MonotonicClock) -> RefusedSenders:
    return RefusedSenders(ledger, clock)


def head(method: str = "POST", client: str | None = "203.0.113.7") -> RequestHead:
    return RequestHead(method=method, path="/cloudtalk/webhook", query="", headers={}, client=client)


async def stored(ledger: Ledger, since: int = 0) -> list[WarningRow]:
    return await ledger.read(lambda c: warnings.list_beginning(c, REFUSED, since=Instant(since)))


async def test_the_last_request_of_each_kind_is_stored_the_newest_first(
    senders: RefusedSenders, ledger: Ledger, ledger_clock: Clock
) -> None:
    began = ledger_clock()
    senders.add(head(), WRONG)
    ledger_clock.advance(1)
    senders.add(head(client="203.0.113.8"), WRONG)
    ledger_clock.advance(1)
    senders.add(head(client=None), NONE)
    await senders.store()
    assert await stored(ledger) == [
        WarningRow("no_token", Instant(began + 2_000_000), "-"),
        WarningRow("wrong_token", Instant(began + 1_000_000), "203.0.113.8"),
    ]
    assert [row.name for row in await stored(ledger, since=began + 2_000_000)] == ["no_token"]


async def test_many_refusals_are_one_write_a_minute(
    senders: RefusedSenders, ledger: Ledger, clock: MonotonicClock
) -> None:
    before = ledger.writes
    for seconds in (0, 1, 59, 60, 61):
        clock.time = 1000.0 + seconds
        senders.add(head(), WRONG)
        await senders.store()
    assert ledger.writes - before == 2
    clock.time = 2000.0
    await senders.store()  # what came since the last write
    await senders.store()
    assert ledger.writes - before == 3


@pytest.mark.parametrize(
    ("method", "problem"),
    [("GET", NONE), ("HEAD", WRONG), ("POST", AuthProblem.CROSS_SITE), ("POST", AuthProblem.STALE_SIGNATURE)],
)
async def test_what_a_wrong_set_up_does_not_explain_is_not_stored(
    senders: RefusedSenders, ledger: Ledger, method: str, problem: AuthProblem
) -> None:
    before = ledger.writes
    senders.add(head(method), problem)
    await senders.store()
    assert ledger.writes == before


async def test_what_could_not_be_stored_is_stored_later(
    senders: RefusedSenders, ledger: Ledger, clock: MonotonicClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> None:
        raise LedgerUnavailable("the disk is full")

    senders.add(head(), WRONG)
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "write", fail)
        await senders.store()
    senders.add(head(), NONE)
    clock.time += 60
    await senders.store()
    assert {row.name for row in await stored(ledger)} == {"no_token", "wrong_token"}


async def test_a_refused_webhook_is_remembered(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, cloudtalk={"tokens": ["one-token-of-tests"]})
    async with in_process_relay(settings) as (relay, client):
        headers = {"authorization": "Bearer another-token-of-tests"}
        assert (await client.post("/cloudtalk/webhook", json={}, headers=headers)).status_code == 401
        assert relay.ingest is not None
        await relay.ingest.endpoint.refused_senders.store()
        (row,) = await stored(relay.ledger)
    assert (row.name, row.message) == ("wrong_token", "127.0.0.1")
