"""What `relay forget` erased, as keyed hashes: what arrives later about it is not folded.

A hash is an HMAC-SHA256 with a random key of this ledger. There are four kinds:

- of each id of a forgotten call: events with it are of that call, whenever they arrive;
- of such an id and the number of its call: with another number, a call_id was typed as a constant;
- of a forgotten number: its calls are forgotten that began before the erasure, and later ones are not;
- of a number, a time and a namespace of ids: one forgotten call that had no id in this namespace, for an
  event that has one. An id in a namespace in which the call had another one is of another call.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import insert, literal_column, select
from sqlalchemy.dialects.postgresql import insert as upsert

from relay.instants import SECOND, Instant
from relay.ledger.connection import Connection
from relay.ledger.json_rows import bound, rows_of
from relay.ledger.leases import advisory_lock
from relay.ledger.tables import forgotten as table
from relay.ledger.tables import forgotten_key

_KEY_BYTES: Final = 32
NUMBER: Final = "number"
"""Among the namespaces of an id: its call had a number in E.164."""

_WINDOW: Final = 120 * SECOND
"""The start of one call may differ by as much between two events."""


class ForgottenHash(NamedTuple):
    """A row of the table. `namespaces`: of the ids that the call had, if this is the hash of an id; and
    `NUMBER` if there is a hash of this id with the number of its call.
    """

    forgotten_at: Instant
    namespaces: frozenset[str]

    @property
    def has_number(self) -> bool:
        """Whether the number of the call is known."""
        return NUMBER in self.namespaces


class Forgotten(msgspec.Struct, frozen=True):
    """The hashes that concern a batch of events. `key`: that of this ledger."""

    key: bytes
    hashes: Mapping[str, ForgottenHash]

    def find_id(self, alias: str) -> ForgottenHash | None:
        """Return the hash of this alias; None if no call with it was forgotten."""
        return self.hashes.get(hash_of_id(self.key, alias))

    def has_id_with_number(self, alias: str, number: str) -> bool:
        """Whether a forgotten call had this alias and this number in E.164."""
        return hash_of_id_with_number(self.key, alias, number) in self.hashes

    def find_number(self, number: str) -> ForgottenHash | None:
        """Return the hash of this number in E.164; None if it was not forgotten."""
        return self.hashes.get(hash_of_number(self.key, number))

    def has_call(self, number: str, started_at: Instant, namespaces: Iterable[str]) -> bool:
        """Whether one call with this number was forgotten that began at this time, and that had no id in
        these namespaces.
        """
        return all(hash_of_start(self.key, number, started_at, each) in self.hashes for each in namespaces)

    def with_ids(self, aliases: Collection[str], number: str | None, at: Instant) -> "Forgotten":
        """Return it with the hashes of these ids of one call, as `add_ids` writes them."""
        row = ForgottenHash(at, _namespaces(aliases, number))
        hashes = dict.fromkeys(_hashes_of_ids(self.key, aliases, number), row)
        return Forgotten(self.key, hashes | {**self.hashes})


def hash_of_id(key: bytes, alias: str) -> str:
    return _hash(key, "id", alias)


def hash_of_id_with_number(key: bytes, alias: str, number: str) -> str:
    return _hash(key, "id_number", f"{alias} {number}")


def hash_of_number(key: bytes, number: str) -> str:
    return _hash(key, "number", number)


def hash_of_start(key: bytes, number: str, started_at: Instant, namespace: str) -> str:
    return _hash(key, "start", f"{number} {started_at // _WINDOW} {namespace}")


def _hashes_of_ids(key: bytes, aliases: Collection[str], number: str | None) -> list[str]:
    of_ids = [hash_of_id(key, alias) for alias in aliases]
    with_number = [] if number is None else [hash_of_id_with_number(key, alias, number) for alias in aliases]
    return [*of_ids, *with_number]


def _namespaces(aliases: Collection[str], number: str | None) -> frozenset[str]:
    return frozenset(alias.partition(":")[0] for alias in aliases) | ({NUMBER} if number else set())


def _hash(key: bytes, kind: str, value: str) -> str:
    return hmac.new(key, f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()


# --- reading ------------------------------------------------------------------------------------

KEY: Final = select(forgotten_key.c.key).scalar_subquery()
"""The key as a part of a statement that the fold runs anyway; NULL before the first erasure."""

_hashes = rows_of(table.c.hash)
_find = select(table.c.hash, table.c.forgotten_at, table.c.namespaces).join(
    _hashes, _hashes.c.hash == table.c.hash
)


def find(
    connection: Connection,
    key: str,
    *,
    aliases: Iterable[tuple[str, str | None]],
    numbers: Iterable[str],
    starts: Iterable[tuple[str, Instant, str]],
) -> Forgotten | None:
    """Return the hashes of these ids (each with a number, or None), numbers and starts (number, time,
    namespace); None if none is forgotten.
    """
    secret = bytes.fromhex(key)
    wanted = {
        hash_of_id(secret, alias) if number is None else hash_of_id_with_number(secret, alias, number)
        for alias, number in aliases
    }
    wanted |= {hash_of_number(secret, number) for number in numbers}
    wanted |= {hash_of_start(secret, *start) for start in starts}
    rows = connection.execute(_find, bound((each,) for each in sorted(wanted))).all()
    if not rows:
        return None
    hashes = {
        hash_: ForgottenHash(Instant(at), frozenset(filter(None, names.split(","))))
        for hash_, at, names in rows
    }
    return Forgotten(secret, hashes)


# --- writing ------------------------------------------------------------------------------------

_always = literal_column("1") == literal_column("1")
_rows = rows_of(table.c.hash, table.c.forgotten_at, table.c.namespaces)
_new = upsert(table).from_select(
    ["hash", "forgotten_at", "namespaces"],
    select(_rows.c.hash, _rows.c.forgotten_at, _rows.c.namespaces).where(_always),
)
_add = _new.on_conflict_do_nothing()
_replace = _new.on_conflict_do_update(
    index_elements=["hash"], set_={"forgotten_at": _new.excluded.forgotten_at}
)
_key = select(forgotten_key.c.key)


def require_key(connection: Connection) -> bytes:
    """Return the key of this ledger; make it before the first erasure."""
    advisory_lock(connection, "forgotten_key")
    key: str | None = connection.execute(_key).scalar()
    if key is None:
        key = secrets.token_hex(_KEY_BYTES)
        connection.execute(insert(forgotten_key).values(number=1, key=key))
    return bytes.fromhex(key)


def add_ids(
    connection: Connection, key: bytes, aliases: Collection[str], number: str | None, *, now: Instant
) -> None:
    """Write the hashes of the ids of one call and of its number, None if it is unknown. Known ones stay: they
    were written with more ids.
    """
    namespaces = ",".join(sorted(_namespaces(aliases, number)))
    rows = [(hash_, now, namespaces) for hash_ in _hashes_of_ids(key, aliases, number)]
    connection.execute(_add, bound(sorted(rows)))


def add_number(connection: Connection, key: bytes, number: str, *, now: Instant) -> None:
    """Write the hash of a number in E.164. If it is known, its calls until now are forgotten too."""
    connection.execute(_replace, bound([(hash_of_number(key, number), now, "")]))


def add_start(
    connection: Connection, key: bytes, number: str, at: Instant, namespaces: Iterable[str], *, now: Instant
) -> None:
    """Write the hashes of one call that began at this time, or up to two minutes before or after, for events
    with ids in these namespaces.
    """
    times = (Instant(at - _WINDOW), at, Instant(at + _WINDOW))
    hashes = {hash_of_start(key, number, each, name) for each in times for name in namespaces}
    connection.execute(_add, bound((hash_, now, "") for hash_ in sorted(hashes)))
