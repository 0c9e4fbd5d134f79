"""The story of a call in order: what arrived, what it was joined to, what each CRM answered.

It is read from the ledger alone. The fields of the struct are the keys of `calls show --log --json`.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum

import msgspec

from crm_clients.base import Delivered, Rejected
from relay.delivery.choose_action import Found
from relay.delivery.pauses import PauseReason
from relay.instants import Instant, iso
from relay.ledger import actions, attempts, calls
from relay.ledger.actions import ActionRow
from relay.ledger.attempts import AttemptRow
from relay.ledger.calls import CallRow
from relay.ledger.connection import Connection
from relay.ledger.journal import StoredEvent
from relay.operations import story_texts as texts
from relay.operations.calls import DeliveryView, list_newest_events, view_deliveries
from relay.operations.explanation import Situation
from relay.operations.translation import translate

_PAUSES = frozenset(reason.value for reason in PauseReason)


class Step(StrEnum):
    """What happened. Shown as `event`."""

    LEFT_OUT = "left_out"
    """Events before those that are shown."""
    RECEIVED = "received"
    FOLDED = "folded"
    LINKED = "linked"
    """An event named a further id of the call."""
    MERGED = "merged"
    """Two records proved to be one call."""
    DELIVERED = "delivered"
    VERIFIED = "verified"
    RETRACTED = "retracted"
    REFUSED = "refused"
    FAILED = "failed"
    """It is retried."""
    PAUSED = "paused"
    """The whole destination paused, or this call waits for a rate limit."""
    PERSON = "person"
    """A person paused the destination, dropped the dead letter or did something else."""
    NOW = "now"
    """The state of a delivery at present."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the story: when, what, and a sentence. Fields that do not apply are None."""

    at: str
    event: Step
    text: str
    event_seq: int | None = None
    kind: str | None = None
    dialect: str | None = None
    said_at: str | None = None
    destination: str | None = None
    version: int | None = None
    outcome: str | None = None
    code: str | None = None
    message: str | None = None
    who: str | None = None
    duration_ms: int | None = None


class _Timed(msgspec.Struct, frozen=True):
    instant: Instant
    entry: Entry


def view_story(connection: Connection, call: CallRow, situation: Situation) -> list[Entry]:
    """Return the story of a call and of the records that were merged into it, and how it is delivered now."""
    events, left_out = list_newest_events(connection, call.id)
    losers = _list_merged(connection, call.id, events)
    ids = [call.id, *losers]
    views = view_deliveries(connection, call.record, situation)
    since = min((event.received_at for event in events), default=situation.now)
    names = [view.destination for view in views]
    timed = [
        *(_received(event, situation) for event in events),
        *_folded(events, call.id, losers, situation),
        *(_pushed(push, call.id, situation) for push in attempts.list_for_calls(connection, ids)),
        *(_done(row, situation) for row in actions.list_for_calls(connection, ids, names, since=since)),
    ]
    timed.sort(key=lambda each: each.instant)
    return [
        *([_left_out(events[0], left_out, situation)] if left_out else []),
        *(each.entry for each in timed),
        *(_now(view, situation) for view in views),
    ]


def _left_out(first: StoredEvent, number: int, situation: Situation) -> Entry:
    text = texts.LEFT_OUT.fill(number=number).read(situation.language)
    return Entry(at=situation.show_time(first.received_at), event=Step.LEFT_OUT, text=text)


def _list_merged(connection: Connection, call: str, events: Sequence[StoredEvent]) -> set[str]:
    """Return the ids of the records that were merged into the call: each has the name of one of its ids."""
    ids = {alias.partition(":")[2] for event in events for alias in event.parsed.aliases}
    rows = calls.get_many(connection, {f"cloudtalk-{id_}" for id_ in ids})
    return {id_ for id_, row in rows.items() if row.record.merged_into == call}


def _received(event: StoredEvent, situation: Situation) -> _Timed:
    parsed = event.parsed
    at = situation.show_time(parsed.occurred_at)
    text = texts.RECEIVED.fill(
        kind=parsed.kind, dialect=parsed.dialect, stated=texts.STATED.fill(at=at) if at else ""
    )
    entry = Entry(
        at=situation.show_time(event.received_at),
        event=Step.RECEIVED,
        text=text.read(situation.language),
        event_seq=event.seq,
        kind=parsed.kind,
        dialect=parsed.dialect,
        said_at=iso(parsed.occurred_at),
    )
    return _Timed(event.received_at, entry)


def _folded(
    events: Sequence[StoredEvent], call: str, losers: set[str], situation: Situation
) -> Iterator[_Timed]:
    """Yield when each event was folded, and which ids it linked."""
    groups: list[set[str]] = []
    folded = [(event.folded_at, event) for event in events if event.folded_at is not None]
    for at, event in sorted(folded, key=lambda each: (each[0], each[1].seq)):
        shown = situation.show_time(at)
        text = texts.FOLDED.fill(seq=event.seq, call=call).read(situation.language)
        yield _Timed(at, Entry(at=shown, event=Step.FOLDED, text=text, event_seq=event.seq))
        named = set(event.parsed.aliases)
        joined = [group for group in groups if group & named]
        if joined and (len(joined) > 1 or named - joined[0]):
            yield _Timed(at, _linked(event, joined, losers, at, situation))
        groups = [group for group in groups if group not in joined]
        groups.append(named.union(*joined))


def _linked(
    event: StoredEvent, joined: Sequence[set[str]], losers: set[str], at: Instant, situation: Situation
) -> Entry:
    aliases = set(event.parsed.aliases).union(*joined)
    names = sorted(alias.partition(":")[2] for alias in aliases)
    merged = [id_ for name in names if (id_ := f"cloudtalk-{name}") in losers]
    if merged and len(joined) > 1:
        step, text = Step.MERGED, texts.MERGED.fill(merged=", ".join(merged), seq=event.seq)
    else:
        step, text = Step.LINKED, texts.LINKED.fill(names=", ".join(names), seq=event.seq)
    shown = text.read(situation.language)
    return Entry(at=situation.show_time(at), event=step, text=shown, event_seq=event.seq)


def _pushed(push: AttemptRow, call: str, situation: Situation) -> _Timed:
    words = ": ".join(filter(None, (push.code, push.message)))
    text = texts.PUSHED.fill(
        destination=push.destination,
        action=texts.word(push.action),
        version=push.version,
        whose="" if push.call == call else texts.OF_CALL.fill(call=push.call),
        outcome=texts.word(push.outcome),
        answer=texts.ANSWER.fill(words=translate(" ".join(words.split()))) if words else "",
    )
    entry = Entry(
        at=situation.show_time(push.at),
        event=_step_of(push),
        text=text.read(situation.language),
        destination=push.destination,
        version=push.version,
        outcome=push.outcome,
        code=push.code,
        message=push.message,
        duration_ms=push.duration_ms,
    )
    return _Timed(push.at, entry)


def _done(row: ActionRow, situation: Situation) -> _Timed:
    text = texts.DONE.fill(
        destination=row.destination, action=texts.word(row.action), who=texts.describe_who(row.who)
    )
    entry = Entry(
        at=situation.show_time(row.at),
        event=Step.PERSON,
        text=text.read(situation.language),
        destination=row.destination,
        who=row.who,
    )
    return _Timed(row.at, entry)


def _step_of(push: AttemptRow) -> Step:
    if push.outcome == Delivered.name:
        return Step.RETRACTED if push.action == "retract" else Step.DELIVERED
    if push.outcome == Found.name:
        return Step.VERIFIED
    if push.outcome == Rejected.name:
        return Step.REFUSED
    return Step.PAUSED if push.outcome in _PAUSES else Step.FAILED


def _now(view: DeliveryView, situation: Situation) -> Entry:
    return Entry(
        at=situation.show_time(situation.now),
        event=Step.NOW,
        text=view.explanation,
        destination=view.destination,
        version=view.version,
        outcome=view.outcome,
        code=view.code,
        message=view.message,
    )
