"""The requests to CloudTalk's API of all processes that share a ledger: at most so many in each minute.

The relay's processes and the commands beside them send requests, and CloudTalk counts them together. So the
times of the requests of the last minute are one row of the ledger, which each request changes before it is
sent. A write costs less than a thousandth of a request.
"""

import time
from typing import Final

import msgspec
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from relay.instants import SECOND, Duration, Instant, duration
from relay.ledger.connection import Connection
from relay.ledger.leases import advisory_lock
from relay.ledger.ledger import Ledger
from relay.ledger.tables import request_limits as table

_NAME: Final = "cloudtalk"
_WINDOW: Final = Duration(61 * SECOND)
"""A minute, and a second by which one request may take longer to CloudTalk than another one."""

_LONGEST_BLOCK: Final = duration(600)

_decode = msgspec.json.Decoder(list[int]).decode
_get = select(table.c.sent, table.c.blocked_until).where(table.c.name == _NAME)
_new = insert(table).values(
    name=_NAME, sent=bindparam("sent_now"), blocked_until=bindparam("blocked_until_now")
)
_set = _new.on_conflict_do_update(
    index_elements=["name"], set_={"sent": _new.excluded.sent, "blocked_until": _new.excluded.blocked_until}
)


class SharedRequestLimit:
    """Counts the requests of this process with those of all others. `per_minute`: how many are allowed."""

    def __init__(self, ledger: Ledger, *, per_minute: int) -> None:
        self._ledger = ledger
        self._per_minute = per_minute

    async def acquire(self) -> float:
        """Count a request and return 0, or return the seconds until one may be sent.

        Raises `LedgerUnavailable`: a request that cannot be counted must not be sent.
        """
        return await self._ledger.write(
            lambda connection: acquire(connection, self._per_minute, now=self._ledger.now())
        )

    async def block(self, seconds: float) -> None:
        """Let no process send a request for so long: CloudTalk accepts none. Raises `LedgerUnavailable`."""
        await self._ledger.write(lambda connection: block(connection, seconds, now=self._ledger.now()))

    @staticmethod
    def unix_now() -> float:
        """The time with which CloudTalk's `ResetTime` is compared, in Unix seconds."""
        return time.time()


def acquire(connection: Connection, per_minute: int, *, now: Instant) -> float:
    """Count a request and return 0, or return the seconds until one may be sent."""
    sent, blocked_until = _read(connection, now)
    if now < blocked_until:
        return (blocked_until - now) / SECOND
    if sent and sent[-1] > now:  # the clock was set back: they count as sent now, at the latest
        sent = [min(at, now) for at in sent]
        _write(connection, sent, blocked_until)
    if len(sent) >= per_minute:
        return (sent[-per_minute] + _WINDOW - now) / SECOND
    _write(connection, [*sent, now], blocked_until)
    return 0.0


def block(connection: Connection, seconds: float, *, now: Instant) -> None:
    """Refuse all requests for so long. A longer block stays in force."""
    sent, blocked_until = _read(connection, now)
    _write(connection, sent, max(blocked_until, now + duration(seconds)))


def _read(connection: Connection, now: Instant) -> tuple[list[int], int]:
    """Return the times of the requests of the last minute, the oldest first, and the end of a block.

    A block that would last longer than it can was written before the clock was set back, and does not count.
    """
    advisory_lock(connection, "request-limit")
    row = connection.execute(_get).one_or_none()
    if row is None:
        return [], 0
    sent = sorted(at for at in _decode(row[0]) if at > now - _WINDOW)
    return sent, row[1] if row[1] <= now + _LONGEST_BLOCK else 0


def _write(connection: Connection, sent: list[int], blocked_until: int) -> None:
    values = {"sent_now": msgspec.json.encode(sent).decode(), "blocked_until_now": blocked_until}
    connection.execute(_set, values)
