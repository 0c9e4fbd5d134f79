"""Which missed calls were called back: queries over the calls of one customer's number."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import BigInteger, BindParameter, bindparam, or_, select, true, union

from relay.call import Call, Status
from relay.instants import Duration, Instant
from relay.ledger.calls import decode_record
from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.states import has_state
from relay.ledger.tables import calls


class Begin(NamedTuple):
    """A call of a customer: its id, the customer's number, and when it began."""

    id: str
    number: str
    began_at: Instant


_begins = rows_of(calls.c.id, calls.c.number, calls.c.began_at)
_window: BindParameter[int] = bindparam("window", type_=BigInteger)
_later = calls.alias("later")
_conversation = (
    select(_later.c.id)
    .where(
        _later.c.number == _begins.c.number,
        _later.c.began_at > _begins.c.began_at,
        _later.c.began_at <= _begins.c.began_at + _window,
        _later.c.talked == true(),
        _later.c.merged_into.is_(None),
    )
    .order_by(_later.c.began_at, _later.c.id)
    .limit(1)
    .scalar_subquery()
)
_conversations = select(_begins.c.id, _conversation)
_ids = rows_of(calls.c.id)
_records = select(calls.c.id, calls.c.began_at, calls.c.record).join(_ids, _ids.c.id == calls.c.id)
_talked = rows_of(calls.c.id, calls.c.number, calls.c.began_at, calls.c.talked)
# As expressions: SQLite would choose the index of the status, and read every missed call.
_status, _direction = calls.c.status.concat(""), calls.c.direction.concat("")
_missed_before = (
    select(calls.c.id)
    .join(_talked, _talked.c.number == calls.c.number)
    .where(
        _talked.c.talked == true(),
        calls.c.began_at < _talked.c.began_at,
        calls.c.began_at >= _talked.c.began_at - _window,
        has_state(_status, Status.MISSED, Status.VOICEMAIL),
        _direction == "inbound",
        calls.c.merged_into.is_(None),
        or_(calls.c.called_back_at.is_(None), calls.c.called_back_at > _talked.c.began_at),
    )
)
_called_back_by = select(calls.c.id).join(_talked, _talked.c.id == calls.c.called_back_call)
_affected = union(_missed_before, _called_back_by)


def find_conversations(
    connection: Connection, missed: Iterable[Begin], *, window: Duration
) -> dict[str, tuple[Instant, Call]]:
    """Return for each missed call the first conversation with its customer after it: when it began, and its
    record. A call without one is absent. `window`: how long after a missed call a conversation counts.
    """
    parameters = bound(sorted(missed)) | {"window": window}
    later = {id_: other for id_, other in connection.execute(_conversations, parameters) if other}
    if not later:
        return {}
    found = connection.execute(_records, bound((id_,) for id_ in sorted(set(later.values()))))
    records = {id_: (began_at, decode_record(record)) for id_, began_at, record in found}
    return {id_: records[other] for id_, other in later.items()}


def list_affected(
    connection: Connection, talked: Iterable[Begin], others: Iterable[Begin], *, window: Duration
) -> set[str]:
    """Return the missed calls before these conversations that were not called back earlier, and those after
    which one of the calls, the conversations or the others, was the first conversation so far.
    """
    rows = {(*begin, False) for begin in others} | {(*begin, True) for begin in talked}
    return set(connection.execute(_affected, bound(sorted(rows)) | {"window": window}).scalars())
