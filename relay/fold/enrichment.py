"""What CloudTalk is to be asked about a call: its analytics, and the texts of its AI. Pure.

The fold enqueues the questions in the transaction that writes the call, so none is lost. Each question needs
the call_id: a call without it is looked at again once an event links the id.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from relay.call import Kind, Status, has_conversation, is_missed
from relay.instants import SECOND, Duration, Instant
from relay.ledger.calls import CallRow
from relay.ledger.enrichments import NewQuestion, Question

LONGEST_AGO: Final = Duration(3 * 86_400 * SECOND)
"""How long ago a call may have begun: each question costs a request, and a history has many calls."""

_FIRST: Final = {
    Question.ANALYTICS: Duration(10 * SECOND),
    Question.SUMMARY: Duration(30 * SECOND),
    Question.TRANSCRIPT: Duration(30 * SECOND),
    Question.SMART_NOTES: Duration(30 * SECOND),
}
"""How long after an event a question is asked for the first time: CloudTalk needs time for its answer."""

_NOT_OVER: Final = frozenset({Status.IN_PROGRESS, Status.ANSWERED})
_ANNOUNCED_BY: Final = {
    Question.TRANSCRIPT: Kind.TRANSCRIPT,
    Question.SUMMARY: Kind.SUMMARY,
    Question.SMART_NOTES: Kind.SUMMARY,
}
_FIELDS: Final = {
    Question.TRANSCRIPT: "transcript",
    Question.SUMMARY: "summary",
    Question.SMART_NOTES: "smart_notes",
}


def list_questions(
    rows: Iterable[CallRow], questions: Collection[Question], *, now: Instant
) -> Iterator[NewQuestion]:
    """Yield those of the questions that are to be asked about these calls."""
    for row in rows:
        if row.began_at >= now - LONGEST_AGO:
            for question in questions:
                if is_wanted(row, question):
                    yield NewQuestion(
                        row.id, question, Instant(now + _FIRST[question]), _is_announced(row, question)
                    )


def is_wanted(row: CallRow, question: Question) -> bool:
    """Whether the call lacks what the answer would state, and CloudTalk can be asked for it."""
    record = row.record
    if record.merged_into is not None or record.call_id is None or not _is_number(record.call_id):
        return False
    is_over = record.status not in _NOT_OVER
    match question:
        case Question.ANALYTICS:
            needs_reason = is_missed(record) and record.missed_reason is None
            return is_over and (needs_reason or record.call_uuid is None)
        case Question.CALL_BACK:
            return record.follow_up
    has_talked = is_over and has_conversation(row.state)
    return getattr(record, _FIELDS[question]) is None and (has_talked or _is_announced(row, question))


def _is_announced(row: CallRow, question: Question) -> bool:
    """Whether an event said that the text is there. The texts that the relay fetched are such events, too."""
    kind = _ANNOUNCED_BY.get(question)
    return kind is not None and kind in row.state.seen


def _is_number(call_id: str) -> bool:
    return call_id.isascii() and call_id.isdigit()
