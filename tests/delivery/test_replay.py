"""A replay makes calls pending again, page by page, beside a relay that serves."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import msgspec
import pytest

from crm_clients.settings import DeliveryFilter, DestinationSettings
from relay.call import Status
from relay.delivery.choose_action import Action, choose_action
from relay.delivery.replay import Replay, ReplayCounts, ReplayResult, Scope
from relay.instants import Duration, Instant
from relay.ledger import LeaseLost, Ledger, calls, deliveries, destinations, leases, replays
from relay.ledger.states import DeliveryState
from tests.support.clock import Clock
from tests.support.deliveries import delivered_update, settle, take_due
from tests.support.ledgers import open_ledger
from tests.support.samples import make_call_row

NOW = 1_000


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    """Seven calls that began a microsecond apart; the last one is internal."""
    rows = [msgspec.structs.replace(make_call_row(f"call-{at}", 1), began_at=at) for at in range(1, 7)]
    internal = msgspec.structs.replace(make_call_row("call-7", 1, direction="internal"), began_at=7)
    async with open_ledger(f"sqlite:///{tmp_path / 'relay.db'}", clock=Clock(NOW)) as ledger:
        await ledger.write(lambda c: calls.write(c, [*rows, internal], []))
        yield ledger


def replay_of(
    ledger: Ledger,
    *names: str,
    forward_internal: bool = False,
    filters: Mapping[str, DeliveryFilter] = MappingProxyType({}),
    scope: Scope = Scope.DIFFERENT,
    update: Literal["always", "complete", "never"] = "always",
) -> Replay:
    targets = {
        name: DestinationSettings(client="local", when=filters.get(name, DeliveryFilter()), update=update)
        for name in names
    }
    return Replay(ledger, targets, forward_internal=forward_internal, scope=scope, calls_per_transaction=3)


async def pending(ledger: Ledger, name: str = "crm") -> list[str]:
    def list_pending(connection: Any) -> list[str]:
        ids = [f"call-{at}" for at in range(1, 8)]
        rows = [row for id_ in ids for row in deliveries.list_for_call(connection, id_)]
        return [row.call[5:] for row in rows if row.destination == name and row.state == "pending"]

    return await ledger.read(list_pending)


def ignore(_done: int, _total: int) -> None:
    """Show no progress."""


async def test_every_external_call_is_pending_for_every_destination(ledger: Ledger) -> None:
    done = await replay_of(ledger, "crm", "other").replay_between(None, None, ignore)
    counts = [ReplayCounts("crm", pending=6), ReplayCounts("other", pending=6)]
    assert done == ReplayResult(["crm", "other"], calls=6, left_out=1, counts=counts)
    assert await pending(ledger) == await pending(ledger, "other") == list("123456")


async def test_internal_calls_are_pending_if_they_are_forwarded(ledger: Ledger) -> None:
    done = await replay_of(ledger, "crm", forward_internal=True).replay_between(None, None, ignore)
    assert (done.calls, done.left_out) == (7, 0)
    assert await pending(ledger) == list("1234567")


async def test_only_calls_that_began_in_the_period_are_pending(ledger: Ledger) -> None:
    done = await replay_of(ledger, "crm").replay_between(Instant(2), Instant(6), ignore)
    assert done.calls == 4
    assert await pending(ledger) == list("2345")


async def test_progress_is_reported_after_each_page(ledger: Ledger) -> None:
    seen: list[tuple[int, int]] = []
    await replay_of(ledger, "crm").replay_between(
        Instant(2), None, lambda done, total: seen.append((done, total))
    )
    assert seen == [(3, 6), (6, 6), (6, 6)]


async def test_a_period_without_calls_makes_nothing_pending(ledger: Ledger) -> None:
    done = await replay_of(ledger, "crm").replay_between(Instant(8), None, ignore)
    assert done == ReplayResult(["crm"], calls=0, left_out=0, counts=[ReplayCounts("crm")])


async def test_only_the_calls_with_these_ids_are_pending(ledger: Ledger) -> None:
    done = await replay_of(ledger, "crm").replay_calls(["call-2", "call-4", "call-7", "unknown"])
    counts = [ReplayCounts("crm", pending=2)]
    assert done == ReplayResult(["crm"], calls=2, left_out=1, counts=counts)
    assert await pending(ledger) == ["2", "4"]


async def test_a_merged_call_is_left_out(ledger: Ledger) -> None:
    row = make_call_row("call-2", 2)
    merged = msgspec.structs.replace(row, record=msgspec.structs.replace(row.record, merged_into="call-1"))
    await ledger.write(lambda c: calls.write(c, [], [merged]))
    await replay_of(ledger, "crm").replay_between(None, Instant(4), ignore)
    assert await pending(ledger) == ["1", "3"]
    assert (await replay_of(ledger, "crm").replay_calls(["call-2"])).left_out == 1


async def test_a_pending_delivery_is_raised_to_the_newest_version(ledger: Ledger) -> None:
    await ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
    await ledger.write(lambda c: deliveries.enqueue(c, [("call-1", 1)], now=Instant(1)))
    await ledger.write(lambda c: calls.write(c, [], [make_call_row("call-1", 5)]))
    await replay_of(ledger, "crm").replay_calls(["call-1"])
    (delivery,) = await ledger.read(lambda c: deliveries.list_for_call(c, "call-1"))
    assert delivery.version == 5


async def test_a_destination_that_the_ledger_does_not_know_is_registered(ledger: Ledger) -> None:
    await replay_of(ledger, "crm").replay_between(None, None, ignore)
    assert [(row.name, row.client) for row in await ledger.read(destinations.list_all)] == [("crm", "local")]


async def test_it_preempts_the_lease_of_the_fold_and_releases_it(ledger: Ledger) -> None:
    def acquire(connection: Any, owner: str) -> int | None:
        return leases.acquire(connection, "fold", owner, now=Instant(NOW), length=Duration(9_000_000))

    token = await ledger.write(lambda c: acquire(c, "elsewhere/1/1"))
    assert token is not None
    await replay_of(ledger, "crm").replay_calls(["call-1"])
    with pytest.raises(LeaseLost):
        await ledger.write(lambda c: leases.check(c, "fold", token, now=Instant(NOW), length=Duration(1)))
    assert await ledger.write(lambda c: acquire(c, "elsewhere/1/1")) == token + 2


# --- filters --------------------------------------------------------------------------------------

INBOUND = DeliveryFilter(directions=("inbound",))


async def write_call(ledger: Ledger, id_: str, version: int = 1, **facts: Any) -> None:
    row = msgspec.structs.replace(make_call_row(id_, version, **facts), began_at=Instant(10))
    await ledger.write(lambda c: calls.write(c, [row], []))


async def settled(ledger: Ledger, id_: str, **result: Any) -> None:
    """Let the destination `crm` have a delivery with this result."""
    await ledger.write(lambda c: destinations.register(c, {"crm": "local"}))
    await ledger.write(lambda c: deliveries.enqueue(c, [(id_, 1)], now=Instant(1)))
    await settle(ledger, delivered_update(id_, **result))


async def test_a_call_that_the_filter_excludes_is_neither_pending_nor_counted(ledger: Ledger) -> None:
    await write_call(ledger, "in", direction="inbound")
    await write_call(ledger, "out", direction="outbound")
    replay = replay_of(ledger, "crm", "other", filters={"crm": INBOUND})
    done = await replay.replay_calls(["in", "out"])
    counts = [ReplayCounts("crm", pending=1, filtered=1), ReplayCounts("other", pending=2)]
    assert done == ReplayResult(["crm", "other"], calls=2, left_out=0, counts=counts)
    assert [due.call.id for due in await take_due(ledger, "crm")] == ["in"]


async def test_a_call_that_every_filter_excludes_is_not_counted(ledger: Ledger) -> None:
    await write_call(ledger, "out", direction="outbound")
    filters = {"crm": INBOUND, "other": DeliveryFilter(statuses=(Status.MISSED,))}
    done = await replay_of(ledger, "crm", "other", filters=filters).replay_calls(["out"])
    assert (done.calls, done.left_out) == (0, 0)
    assert [counts.filtered for counts in done.counts] == [1, 1]


async def test_calls_of_which_the_crm_has_the_newest_version_are_counted_apart(ledger: Ledger) -> None:
    for id_ in ("new", "old", "never"):
        await write_call(ledger, id_, version=2, direction="inbound")
    await settled(ledger, "new", version=2, delivered_version=2)
    await settled(ledger, "old", version=1, delivered_version=1)
    done = await replay_of(ledger, "crm").replay_calls(["new", "old", "never"])
    assert done.counts == [ReplayCounts("crm", pending=3, up_to_date=1)]


@pytest.mark.parametrize("scope", [Scope.DIFFERENT, Scope.ALL])
async def test_records_that_are_never_updated_are_only_compared(ledger: Ledger, scope: Scope) -> None:
    for id_ in ("old", "never"):
        await write_call(ledger, id_, version=2)
    await settled(ledger, "old", version=1, delivered_version=1)
    replay = replay_of(ledger, "crm", scope=scope, update="never")
    assert (await replay.replay_calls(["old", "never"])).counts == [
        ReplayCounts("crm", pending=2, up_to_date=1)
    ]
    due = {each.call.id: each for each in await take_due(ledger, "crm")}
    settings = DestinationSettings(client="local", update="never")
    actions = {id_: choose_action(each, settings, forward_internal=False) for id_, each in due.items()}
    assert actions == {"old": Action.RESTORE, "never": Action.UPSERT}


async def test_changed_settings_write_no_record_again_that_is_never_updated(ledger: Ledger) -> None:
    await write_call(ledger, "old")
    await settled(ledger, "old", rendering="earlier")
    counts = {
        update: (
            await replay_of(ledger, "crm", scope=Scope.CHANGED_SETTINGS, update=update).replay_calls(["old"])
        ).calls
        for update in ("never", "always")
    }
    assert counts == {"never": 0, "always": 1}


@pytest.mark.parametrize("direction", ["inbound", "outbound", "internal"])
@pytest.mark.parametrize(
    "result",
    [
        None,
        {},
        {"state": DeliveryState.PENDING, "delivered_version": 0, "outcome": "unknown"},
        {"state": DeliveryState.DEAD, "delivered_version": 0, "outcome": "rejected"},
        {"state": DeliveryState.DROPPED, "delivered_version": 0, "outcome": "rejected"},
        {"state": DeliveryState.FILTERED, "delivered_version": 0, "outcome": None},
        {"state": DeliveryState.RETRACTED, "delivered_version": 0, "outcome": None},
    ],
)
async def test_the_delivery_worker_sends_what_a_replay_counts_and_nothing_else(
    ledger: Ledger, direction: str, result: dict[str, Any] | None
) -> None:
    await write_call(ledger, "x", direction=direction)
    if result is not None:
        await settled(ledger, "x", **result)
    done = await replay_of(ledger, "crm", filters={"crm": INBOUND}).replay_calls(["x"])
    await ledger.write(lambda c: replays.enqueue(c, "crm", [("x", 1)], now=Instant(1)))
    (due,) = await take_due(ledger, "crm")
    action = choose_action(due, DestinationSettings(client="local", when=INBOUND), forward_internal=False)
    assert done.calls == (action in {Action.UPSERT, Action.VERIFY})
