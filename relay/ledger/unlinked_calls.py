"""Calls of which only a call_uuid is known, about the time of a call of which only a call_id is known."""

from typing import Final

import msgspec
from sqlalchemy import bindparam, select

from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.ledger.tables import calls

_MOST: Final = 200

_began = (
    select(calls.c.number, calls.c.record)
    .where(
        calls.c.merged_into.is_(None),
        calls.c.began_at >= bindparam("since"),
        calls.c.began_at <= bindparam("until"),
    )
    .order_by(calls.c.began_at.desc())
    .limit(bindparam("limit"))
)


class _Ids(msgspec.Struct):
    call_id: str | None = None
    call_uuid: str | None = None


_decode = msgspec.json.Decoder(_Ids).decode


def has_unlinked(connection: Connection, number: str | None, *, since: Instant, until: Instant) -> bool:
    """Whether a call that began in this time has a call_uuid and no call_id, and no other customer's number.

    Of a time with more calls than the relay looks at, the newest ones are compared.
    """
    found = connection.execute(_began, {"since": since, "until": until, "limit": _MOST})
    return any(
        _is_unlinked(_decode(record)) for other, record in found if None in {number, other} or number == other
    )


def _is_unlinked(ids: _Ids) -> bool:
    return ids.call_uuid is not None and ids.call_id is None
