"""The queue of questions about calls for CloudTalk's analytics and AI, and how each one ended.

A settled row stays as long as events are kept, so that a later change of its call does not ask again.
"""

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, func, literal, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert

from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.states import EnrichmentState, has_state, sql_state
from relay.ledger.tables import enrichments as table


class Question(StrEnum):
    """What CloudTalk is asked about a call."""

    ANALYTICS = "analytics"
    """Why nobody answered, and which call_uuid belongs to the call_id."""
    CALL_BACK = "call_back"
    """Whether somebody has called back, in a call that the ledger does not have."""
    SUMMARY = "summary"
    TRANSCRIPT = "transcript"
    SMART_NOTES = "smart_notes"


class NewQuestion(NamedTuple):
    """A question to ask at `due_at`. `announced`: CloudTalk said that the answer is there."""

    call: str
    question: Question
    due_at: Instant
    announced: bool = False


class DueQuestion(NamedTuple):
    """A question that is due. `attempts`: how often it was asked in vain."""

    call: str
    question: Question
    enqueued_at: Instant
    attempts: int


_always = literal_column("1") == literal_column("1")
_rows = rows_of(table.c.call, table.c.question, table.c.due_at, table.c.announced)
_new = insert(table).from_select(
    ["call", "question", "state", "enqueued_at", "due_at", "attempts", "announced"],
    select(
        _rows.c.call,
        _rows.c.question,
        sql_state(EnrichmentState.PENDING),
        bindparam("now"),
        _rows.c.due_at,
        literal(0),
        _rows.c.announced,
    ).where(_always),
)
_enqueue = _new.on_conflict_do_update(
    index_elements=["call", "question"],
    set_={
        "state": _new.excluded.state,
        "enqueued_at": _new.excluded.enqueued_at,
        "due_at": _new.excluded.due_at,
        "attempts": _new.excluded.attempts,
        "announced": _new.excluded.announced,
        "reason": None,
    },
    # The answer was not there, and is now.
    where=and_(
        _new.excluded.announced, ~table.c.announced, ~has_state(table.c.state, EnrichmentState.SETTLED)
    ),
)


def enqueue(connection: Connection, questions: Iterable[NewQuestion], *, now: Instant) -> None:
    """Ask these questions when they are due. Known ones stay as they are, unless an answer that was not there
    is announced.
    """
    rows = sorted(set(questions))
    if rows:
        connection.execute(_enqueue, bound(rows) | {"now": now})


_due = (
    select(table.c.call, table.c.question, table.c.enqueued_at, table.c.attempts)
    .where(
        has_state(table.c.state, EnrichmentState.PENDING),
        table.c.due_at <= bindparam("now"),
    )
    .order_by(table.c.due_at)
    .limit(bindparam("limit"))
)
_kinds = rows_of(table.c.question)
_due_of = _due.where(table.c.question.in_(select(_kinds.c.question)))


def list_due(
    connection: Connection, questions: Collection[Question], *, now: Instant, limit: int
) -> list[DueQuestion]:
    """Return the questions of these kinds that are due, the one that waits longest first."""
    parameters = bound((question,) for question in sorted(questions)) | {"now": now, "limit": limit}
    return [
        DueQuestion(call, Question(question), Instant(enqueued_at), attempts)
        for call, question, enqueued_at, attempts in connection.execute(_due_of, parameters)
    ]


_of_pending = and_(
    table.c.call == bindparam("of_call"),
    table.c.question == bindparam("of_question"),
    has_state(table.c.state, EnrichmentState.PENDING),
)
_settle = (
    update(table).where(_of_pending).values(state=bindparam("new_state"), reason=bindparam("new_reason"))
)
_postpone = (
    update(table)
    .where(_of_pending)
    .values(due_at=bindparam("new_due_at"), attempts=bindparam("new_attempts"))
)


def settle(
    connection: Connection, due: DueQuestion, state: EnrichmentState, reason: str | None = None
) -> bool:
    """State how a question ended, and return whether it was still to be asked: its call may be forgotten."""
    parameters = {
        "of_call": due.call,
        "of_question": due.question,
        "new_state": state,
        "new_reason": reason,
    }
    return connection.execute(_settle, parameters).rowcount > 0


def postpone(connection: Connection, due: DueQuestion, *, until: Instant, attempts: int) -> None:
    """Ask a question again later. `attempts`: how often it was asked in vain, with this time."""
    parameters = {
        "of_call": due.call,
        "of_question": due.question,
        "new_due_at": until,
        "new_attempts": attempts,
    }
    connection.execute(_postpone, parameters)


_pending = select(func.count()).where(has_state(table.c.state, EnrichmentState.PENDING))


def count_pending(connection: Connection) -> int:
    """Return how many questions are to be asked."""
    return int(connection.execute(_pending).scalar_one())


_old = (
    select(table.c.call, table.c.question)
    .where(table.c.enqueued_at < bindparam("before"))
    .limit(bindparam("limit"))
)
_old_rows = rows_of(table.c.call, table.c.question)
_delete = delete(table).where(
    table.c.call == bindparam("of_call"), table.c.question == bindparam("of_question")
)


def delete_old(connection: Connection, *, before: Instant, limit: int) -> int:
    """Delete questions that were enqueued before an instant, answered or not; return how many."""
    found = connection.execute(_old, {"before": before, "limit": limit}).all()
    for call, question in found:
        connection.execute(_delete, {"of_call": call, "of_question": question})
    return len(found)
