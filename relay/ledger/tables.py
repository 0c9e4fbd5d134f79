"""What the ledger holds. Instants are microseconds since 1970 UTC; JSON stands as text."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    TypeDecorator,
    text,
)
from sqlalchemy import Text as AnyText
from sqlalchemy.dialects import postgresql

metadata = MetaData()


class Text(TypeDecorator[str]):
    """Text of any origin. PostgreSQL's holds no U+0000: it becomes U+FFFD, on either engine.

    Ordered by its bytes everywhere: a language's order may change with the system below a database,
    and would break its indexes.
    """

    impl = AnyText().with_variant(postgresql.TEXT(collation="C"), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: str | None, _: Any) -> str | None:
        """What can be stored of this text."""
        return value and value.replace("\0", "\ufffd")


Sequence = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only where the key is an INTEGER."""

events = Table(
    "events",
    metadata,
    Column("seq", Sequence, primary_key=True, autoincrement=True),
    Column("received_at", BigInteger, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    # A cache: a corrected mapping or timezone can read the raw body again.
    Column("parsed", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("call", Text),
    Column("problem", Text),
    # An event that waits for a link: the id that it bears alone, and until when.
    Column("waits_for", Text),
    Column("waits_until", BigInteger),
    Index(
        "events_waiting",
        "waits_for",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(
        "events_due",
        "waits_until",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index("events_new", "seq", sqlite_where=text("state = 'new'"), postgresql_where=text("state = 'new'")),
    Index("events_call", "call", "seq"),
    sqlite_autoincrement=True,
)
"""The raw journal: what came, as it came, secrets cut out. `state`: new, waiting, folded or
aside."""

aliases = Table(
    "aliases",
    metadata,
    Column("alias", Text, primary_key=True),
    Column("call", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("aliases_call", "call"),
    sqlite_with_rowid=False,
)
"""Which call an id of CloudTalk's belongs to, and how that came to be known."""

calls = Table(
    "calls",
    metadata,
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("began_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("record", Text, nullable=False),
    # {field: the version in which it changed last}, so that a CRM gets only what it lacks.
    Column("field_versions", Text, nullable=False),
    # The customer's number, for the last resort of finding an event's call.
    Column("number", Text),
    # The call that this one turned out to be: it is a record no more.
    Column("merged_into", Text),
    # When the first of its events was dropped: what it came to cannot be computed anew.
    Column("pruned_at", BigInteger),
    Index("calls_began", "began_at"),
    Index("calls_number", "number", "began_at"),
)
"""The joined record of each call, and the join state behind it."""

destinations = Table(
    "destinations",
    metadata,
    Column("name", Text, primary_key=True),
    Column("client", Text, nullable=False),
    Column("delivered_at", BigInteger),
    Column("paused_reason", Text),
    Column("paused_until", BigInteger),
    Column("paused_code", Text),
    Column("paused_message", Text),
)
"""The CRMs that calls are owed to, and why one waits. `paused_until` is empty while a person says so."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("call", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("delivered_version", BigInteger, nullable=False),
    Column("first_delivered_at", BigInteger),
    Column("pending_since", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("attempted_at", BigInteger),
    Column("failing_for", BigInteger, nullable=False),
    Column("remote_id", Text),
    Column("outcome", Text),
    Column("code", Text),
    Column("message", Text),
    Index(
        "deliveries_due",
        "destination",
        "due_at",
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
    Index(
        "deliveries_dead",
        "destination",
        "attempted_at",
        sqlite_where=text("state = 'dead'"),
        postgresql_where=text("state = 'dead'"),
    ),
    Index("deliveries_call", "call"),
)
"""The marks: what each destination is owed of each call. `state`: owed, delivered, dead, dropped (a dead
letter that a person gave up), filtered (not wanted so far) or retracted; `attempts` were made at what is
owed."""

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
"""Who does what only one may do. The token grows with each change of hands and fences off the last holder."""

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Sequence, primary_key=True, autoincrement=True),
    Column("received_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("pointer", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    # What would be said a hundred times is kept once.
    Column("unique_key", Text, unique=True),
    sqlite_autoincrement=True,
)
"""Bodies that could not be read, with the reason."""

client_state = Table(
    "client_state",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""What the client of a destination wants to know again: whose contact a number is, who an agent is."""

warnings = Table(
    "warnings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("recorded_at", BigInteger, nullable=False),
    Column("message", Text, nullable=False),
)
"""What a running relay saw and a person should be told, one of a name."""

dedup_keys = Table(
    "dedup_keys",
    metadata,
    Column("key", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Index("dedup_keys_seq", "seq"),
    sqlite_with_rowid=False,
)
"""The messages that were folded, by their own ids: a redelivery is no news."""
