"""The steps of an erasure, in an order in which each may be repeated after an interruption."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Final, NamedTuple

from relay.fold.call_backs import update_call_backs
from relay.fold.options import fold_options
from relay.instants import Instant, iso
from relay.ledger import Ledger, actions, calls, deliveries, erasure, relays
from relay.ledger.actions import ActionRow
from relay.ledger.connection import Connection
from relay.ledger.deliveries import Erasure
from relay.ledger.erasure import Amount, Erased
from relay.ledger.lease_holder import Lease
from relay.logs import get_logger
from relay.operations.forget.crm import crm_receipts, erase_in_crms, fields_by_destination, read_pauses
from relay.operations.forget.files import RecordingFiles, list_cache_keys, list_call_ids
from relay.operations.forget.leftovers import delete_quarantined, delete_unfolded
from relay.operations.forget.receipt import CrmState, Preview, Receipt, SourceReceipt
from relay.operations.forget.source import delete_at_source
from relay.operations.forget.subject import Subject
from relay.settings import Settings

log = get_logger("relay.operations")

_PORTION: Final = 200
_ACTION: Final = "privacy.forget"

OnProgress = Callable[[int, int], None]
"""Called with the number of finished items and of all: recordings at CloudTalk, then records in CRMs."""


async def preview(ledger: Ledger, subject: Subject) -> Preview:
    """Return what would be erased. Writes nothing."""
    amount = await ledger.read(lambda c: erasure.measure(c, subject.ids))
    number = sum(record.merged_into is None for record in subject.records.values())
    return Preview(_kind(subject), number, amount.events, len(amount.recordings), amount.destinations)


class _Found(NamedTuple):
    """What is read before the ledger has no trace of it any more."""

    call_ids: list[str]
    cache_keys: set[str]
    amount: Amount


async def forget(
    ledger: Ledger,
    settings: Settings,
    subject: Subject,
    on_progress: OnProgress,
    *,
    at_source: bool,
    who: str,
    seconds: float,
) -> Receipt:
    """Erase the subject everywhere. `seconds`: how long to wait for the CRMs. `who`: see `ActionRow`."""
    found = await ledger.read(lambda c: _find(c, subject))
    source = None
    if at_source:
        source = await delete_at_source(ledger, settings, found.call_ids, on_progress)
    # Before the ledger, which names them: an erasure that is interrupted here can be repeated.
    files = RecordingFiles(settings, found.cache_keys, found.amount.recordings)
    recordings = await files.remove()
    erased, unfolded = await _erase_in_ledger(ledger, settings, subject)
    quarantined = await delete_quarantined(ledger, subject, found.call_ids)
    left = await erase_in_crms(ledger, settings, erased.pending, on_progress, seconds=seconds)
    await files.remove()  # one that was being fetched meanwhile
    pauses = await ledger.write(lambda c: _finish(c, ledger, subject, who))
    crms = crm_receipts(settings, erased.pending, erased.unserved, left, pauses)
    others = [*files.left, *await _list_other_places(ledger, settings)]
    is_source_done = source is None or not source.failed
    receipt = Receipt(
        subject=_kind(subject),
        forgotten_at=iso(ledger.now()) or "",
        calls=sum(record.merged_into is None for record in subject.records.values()),
        events=erased.events + unfolded,
        quarantined=quarantined,
        recordings=recordings,
        destinations=crms,
        at_source=source,
        mentions=subject.mentions,
        left=others,
        complete=is_source_done and not others and all(each.state is CrmState.ERASED for each in crms),
    )
    _log(receipt, source, who)
    return receipt


def _kind(subject: Subject) -> str:
    return "number" if subject.number is not None else "call"


def _find(connection: Connection, subject: Subject) -> _Found:
    call_ids = list_call_ids(connection, subject.ids)
    keys = list_cache_keys(connection, subject.records, call_ids)
    return _Found(call_ids, keys, erasure.measure(connection, subject.ids))


async def _erase_in_ledger(ledger: Ledger, settings: Settings, subject: Subject) -> tuple[Erased, int]:
    """Erase the calls, and the events that are in no call. The fold waits meanwhile."""
    lease = Lease(ledger, "fold", seconds=15)
    await lease.preempt()
    try:
        ids = await ledger.write(lambda c: _begin(c, lease, subject))
        erased = Erased(0, 0, [], [])
        for at in range(0, len(ids), _PORTION):
            erase = partial(
                _erase, lease=lease, settings=settings, subject=subject, ids=ids[at : at + _PORTION]
            )
            erased = _sum(erased, await ledger.write(erase))
        return erased, await delete_unfolded(ledger, lease)
    finally:
        await lease.release()


def _begin(connection: Connection, lease: Lease, subject: Subject) -> list[str]:
    """Forget the number before its calls. Return the calls, with those that arrived since they were found."""
    lease.check(connection)
    ids = set(subject.ids)
    if subject.number is not None:
        erasure.forget_number(connection, subject.number, now=lease.now())
        ids |= erasure.with_merged(connection, erasure.list_by_number(connection, subject.number))
    return sorted(ids)


def _erase(
    connection: Connection, *, lease: Lease, settings: Settings, subject: Subject, ids: Collection[str]
) -> Erased:
    lease.check(connection)
    fields = fields_by_destination(settings)
    by_number = subject.number is not None
    called_back = set(erasure.list_called_back_by(connection, ids)) - set(ids)
    erased = erasure.erase_calls(connection, ids, fields, now=lease.now(), by_number=by_number)
    if called_back:
        _end_call_backs(connection, called_back, settings, now=lease.now())
    return erased


def _end_call_backs(
    connection: Connection, ids: Collection[str], settings: Settings, *, now: Instant
) -> None:
    """Let these missed calls name another conversation, or none: the one that they name is forgotten."""
    rows = calls.get_many(connection, ids).values()
    window = fold_options(settings).call_back_window
    changed = update_call_backs(connection, rows, window=window, recomputed=True)
    deliveries.enqueue(connection, [(row.id, row.version) for row in changed], now=now)


def _sum(one: Erased, other: Erased) -> Erased:
    pending: list[Erasure] = [*one.pending, *other.pending]
    return Erased(
        one.calls + other.calls, one.events + other.events, pending, [*one.unserved, *other.unserved]
    )


def _finish(connection: Connection, ledger: Ledger, subject: Subject, who: str) -> dict[str, str]:
    """Delete what clients kept while a push was under way, and write who did it. Return the pauses."""
    if subject.number is not None:
        erasure.delete_number(connection, subject.number)
    actions.add(connection, [ActionRow(ledger.now(), who, _ACTION, None, None)])
    return read_pauses(connection)


async def _list_other_places(ledger: Ledger, settings: Settings) -> list[str]:
    """Return the places where copies may be that this command cannot reach."""
    places = []
    if not await ledger.empty_wal():
        places.append("the WAL of the ledger: another program reads it; run `relay ledger vacuum` later")
    own = ledger.owner.partition("/")[0].partition("@")[0]
    running = await ledger.read(lambda c: relays.list_running(c, now=ledger.now()))
    hosts = sorted({relay.host for relay in running} - {own})
    if hosts and settings.recordings.proxy:
        places.append(
            f"the caches of recordings on {', '.join(hosts)}: recordings stay there for at most"
            f" privacy.recordings_days ({settings.privacy.recordings_days:g})"
        )
    return places


def _log(receipt: Receipt, source: SourceReceipt | None, who: str) -> None:
    log.warning(
        "privacy.forgotten",
        who=who,
        subject=receipt.subject,
        calls=receipt.calls,
        events=receipt.events,
        quarantined=receipt.quarantined,
        recordings=receipt.recordings,
        at_source=0 if source is None else source.deleted,
        complete=receipt.complete,
    )
