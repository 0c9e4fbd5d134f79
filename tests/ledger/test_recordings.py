"""The queue of recordings to archive."""

from typing import Any

from sqlalchemy import select

from crm_clients.conformance.sample_calls import call
from relay.instants import Instant
from relay.ledger import Ledger, calls, recordings
from relay.ledger.recordings import ArchivedRecording, DueRecording
from relay.ledger.tables import recordings as table
from tests.support.samples import make_call_row


async def enqueue(ledger: Ledger, *sources: tuple[str, str | None], now: int = 10, **fields: Any) -> None:
    records = [call(id_, recording_url=url, **fields) for id_, url in sources]
    await ledger.write(lambda c: recordings.enqueue(c, records, now=Instant(now)))


async def due(
    ledger: Ledger, now: int = 10, busy: tuple[str, ...] = (), limit: int = 9
) -> list[DueRecording]:
    return await ledger.read(lambda c: recordings.list_due(c, busy=busy, now=Instant(now), limit=limit))


async def archive(ledger: Ledger, found: DueRecording, at: int = 20) -> ArchivedRecording:
    stored = ArchivedRecording(found.call, f"{found.call}.enc", 5, "audio/wav", Instant(at))
    await ledger.write(lambda c: recordings.set_archived(c, found, stored))
    return stored


async def test_a_recording_is_due_until_it_is_archived(ledger: Ledger) -> None:
    await enqueue(ledger, ("a", "u1"), ("b", None))
    (found,) = await due(ledger)
    assert found == DueRecording("a", "u1", Instant(10), 0, None)
    stored = await archive(ledger, found)
    assert await due(ledger, 1_000) == []
    assert await ledger.read(lambda c: recordings.get_archived(c, "a")) == stored
    assert await ledger.read(lambda c: recordings.get_archived(c, "b")) is None
    assert await ledger.read(recordings.count_pending) == (0, None)


async def test_a_merged_call_is_not_enqueued(ledger: Ledger) -> None:
    await enqueue(ledger, ("a", "u1"), merged_into="b")
    assert await due(ledger) == []


async def test_the_same_recording_is_enqueued_once_and_another_one_again(ledger: Ledger) -> None:
    await enqueue(ledger, ("a", "u1"))
    (found,) = await due(ledger)
    stored = await archive(ledger, found)
    await enqueue(ledger, ("a", "u1"), now=30)
    assert await due(ledger, 40) == []
    await enqueue(ledger, ("a", "u2"), now=30)
    assert await due(ledger, 40) == [DueRecording("a", "u2", Instant(30), 0, "a.enc")]
    assert await ledger.read(lambda c: recordings.get_archived(c, "a")) == stored
    await archive(ledger, found)  # of the earlier one: too late
    assert len(await due(ledger, 40)) == 1


async def test_the_oldest_is_first_and_busy_ones_are_left_out(ledger: Ledger) -> None:
    for number, id_ in enumerate("cab"):
        await enqueue(ledger, (id_, "u"), now=number)
    assert [each.call for each in await due(ledger)] == ["c", "a", "b"]
    assert [each.call for each in await due(ledger, busy=("c",), limit=1)] == ["a"]
    assert [each.call for each in await due(ledger, now=0)] == ["c"]


async def test_a_failure_is_retried_later_or_given_up(ledger: Ledger) -> None:
    await enqueue(ledger, ("a", "u1"))
    (found,) = await due(ledger)
    await ledger.write(lambda c: recordings.set_failed(c, found, "not_found", Instant(50)))
    assert await due(ledger, 49) == []
    (again,) = await due(ledger, 50)
    assert again.attempts == 1
    assert await ledger.read(recordings.count_pending) == (1, 10)
    await ledger.write(lambda c: recordings.set_failed(c, again, "gone", None))
    assert await due(ledger, 1_000) == []
    await enqueue(ledger, ("a", "u1"))
    assert await due(ledger, 1_000) == []


async def test_an_archived_recording_was_not_refused_any_more(ledger: Ledger) -> None:
    await enqueue(ledger, ("a", "u1"))
    (found,) = await due(ledger)
    await ledger.write(lambda c: recordings.set_failed(c, found, "merged", Instant(50)))
    await archive(ledger, found)
    await enqueue(ledger, ("a", "u1"), now=60)
    assert await due(ledger, 1_000) == []


async def test_another_recording_has_no_failed_attempts(ledger: Ledger) -> None:
    await enqueue(ledger, ("a", "u1"), ("b", "u1"))
    first, other = await due(ledger)
    for found in (first, other):
        await ledger.write(lambda c, f=found: recordings.set_failed(c, f, "merged", Instant(50)))  # type: ignore[misc]
    await enqueue(ledger, ("a", "u2"), now=30)
    assert await due(ledger, 40) == [DueRecording("a", "u2", Instant(30), 0, None)]
    # The attempt at the earlier recording ends now, and the call has another one.
    await ledger.write(lambda c: recordings.set_failed(c, first, "not_found", None))
    (again,) = await due(ledger, 40)
    assert again.attempts == 0
    await archive(ledger, again)
    await enqueue(ledger, ("a", "u2"), now=60)
    assert [each.call for each in await due(ledger, 1_000)] == ["b"], "it is no merged call any more"


async def test_expired_recordings_are_listed_the_oldest_first(ledger: Ledger) -> None:
    await enqueue(ledger, ("a", "u"), ("b", "u"), ("c", "u"))
    for found, at in zip(await due(ledger), (22, 20, 21), strict=True):
        await archive(ledger, found, at=at)

    async def expired(before: int, limit: int = 9) -> list[str]:
        found = await ledger.read(lambda c: recordings.list_expired(c, before=Instant(before), limit=limit))
        return [each.call for each in found]

    assert await expired(23) == ["b", "c", "a"]
    assert await expired(23, limit=2) == ["b", "c"]
    assert await expired(22) == ["b", "c"]
    stale = ArchivedRecording("b", "earlier.enc", 5, "audio/wav", Instant(20))
    await ledger.write(lambda c: recordings.set_expired(c, stale))
    assert await expired(22) == ["b", "c"], "the call has another object by now"


async def test_rows_are_kept_while_their_call_or_their_object_exists(ledger: Ledger) -> None:
    rows = [make_call_row("call")]
    await ledger.write(lambda c: calls.write(c, rows, []))
    await enqueue(ledger, *((id_, "u") for id_ in ("archived", "call", "missing", "pending", "replaced")))
    by_call = {found.call: found for found in await due(ledger)}
    await archive(ledger, by_call["archived"])
    await archive(ledger, by_call["replaced"])
    await enqueue(ledger, ("replaced", "u2"))
    by_call |= {found.call: found for found in await due(ledger)}
    for id_ in ("call", "missing", "replaced"):
        await ledger.write(lambda c, i=id_: recordings.set_failed(c, by_call[i], "gone", None))  # type: ignore[misc]
    await ledger.write(recordings.delete_settled)
    left = await ledger.read(lambda c: sorted(c.execute(select(table.c.call)).scalars()))
    assert left == ["archived", "call", "pending", "replaced"]


async def test_an_expired_recording_is_not_archived_again_while_its_call_exists(ledger: Ledger) -> None:
    await enqueue(ledger, ("a", "u1"), ("b", "u2"))
    for number, found in enumerate(await due(ledger)):
        await archive(ledger, found, at=20 + number)
    expired = await ledger.read(lambda c: recordings.list_expired(c, before=Instant(21), limit=9))
    assert [each.object for each in expired] == ["a.enc"]
    await ledger.write(lambda c: recordings.set_expired(c, expired[0]))
    assert await ledger.read(lambda c: recordings.list_expired(c, before=Instant(21), limit=9)) == []
    await enqueue(ledger, ("a", "u1"))
    assert await due(ledger, 1_000) == []
    # There is no call "a" in this ledger: retention deleted it.
    await ledger.write(recordings.delete_settled)
    await enqueue(ledger, ("a", "u1"))
    assert [each.call for each in await due(ledger, 1_000)] == ["a"]
    assert await ledger.read(recordings.count_pending) == (1, 10)


async def test_a_call_that_was_merged_and_is_a_call_again_is_enqueued_again(ledger: Ledger) -> None:
    await enqueue(ledger, ("a", "u1"), ("b", "u1"))
    for found, reason in zip(await due(ledger), ("merged", "not_found"), strict=True):
        await ledger.write(lambda c, d=found, r=reason: recordings.set_failed(c, d, r, None))  # type: ignore[misc]
    await enqueue(ledger, ("a", "u1"), ("b", "u1"), now=30)
    assert await due(ledger, 40) == [DueRecording("a", "u1", Instant(30), 0, None)]
