"""The tables of the ledger. Instants are microseconds since 1970 UTC; JSON is stored as text."""

from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    TypeDecorator,
    false,
    text,
)
from sqlalchemy import Text as AnyText
from sqlalchemy.dialects import postgresql

from relay.ledger.states import DeliveryState, EnrichmentState, EventState, RecordingState

metadata = MetaData()


class Text(TypeDecorator[str]):
    """Text from any sender. U+0000 is stored as U+FFFD: PostgreSQL cannot hold it.

    It is ordered by its bytes: the order of a language may change with the operating system below a
    database, which would corrupt the indexes.
    """

    impl = AnyText().with_variant(postgresql.TEXT(collation="C"), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: str | None, _: Any) -> str | None:
        return value and value.replace("\0", "\ufffd")


Sequence = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only if the key is an INTEGER."""


def _partial_index(name: str, *columns: str, state: StrEnum) -> Index:
    condition = text(f"state = '{state}'")
    return Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


_not_merged: Final[dict[str, Any]] = {
    "sqlite_where": text("merged_into IS NULL"),
    "postgresql_where": text("merged_into IS NULL"),
}

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
    # Bytes of the parsed form: how much memory the fold needs for it.
    Column("size", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("call", Text),
    Column("folded_at", BigInteger),
    Column("problem", Text),
    # Of a waiting event: its alias, and the end of its grace period.
    Column("waits_for", Text),
    Column("waits_until", BigInteger),
    # Of an Ended that does not state whether anybody talked: the variable that its body lacks.
    Column("missing", Text),
    Index(
        "events_missing",
        "received_at",
        sqlite_where=text("missing IS NOT NULL"),
        postgresql_where=text("missing IS NOT NULL"),
    ),
    _partial_index("events_waiting", "waits_for", state=EventState.WAITING),
    _partial_index("events_due", "waits_until", state=EventState.WAITING),
    _partial_index("events_new", "seq", state=EventState.NEW),
    _partial_index("events_aside", "seq", state=EventState.ASIDE),
    Index("events_call", "call", "seq"),
    sqlite_autoincrement=True,
)
"""The journal: each accepted event. `state`: see `EventState`."""

bodies = Table(
    "bodies",
    metadata,
    Column("seq", Sequence, primary_key=True, autoincrement=False),
    # A cache of the parsed form: `relay rebuild` parses the raw body again.
    Column("parsed", LargeBinary, nullable=False),
    Column("raw", LargeBinary, nullable=False),
)
"""The body of each event as it was received, secrets removed, and its parsed form, both compressed.

They have a table of their own, so that an event can change its state without its body being written again.
"""

aliases = Table(
    "aliases",
    metadata,
    Column("alias", Text, primary_key=True),
    Column("call", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("aliases_call", "call"),
    sqlite_with_rowid=False,
)
"""The call that each id of CloudTalk belongs to, and why: see `AliasReason`."""

calls = Table(
    "calls",
    metadata,
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("began_at", BigInteger, nullable=False),
    # The customer's number, by which an event without a known id is matched last.
    Column("number", Text),
    # The surviving call, if this one was merged into it.
    Column("merged_into", Text),
    # Of the record, for searches. `direction`: empty if it is unknown.
    Column("status", Text, nullable=False),
    Column("direction", Text, nullable=False),
    # Whether somebody talked to the customer.
    Column("talked", Boolean, nullable=False),
    # Whether CloudTalk's history has stated the call; empty if not.
    Column("from_history", Boolean),
    # Of a missed call: the first call after it in which somebody did, and when that began.
    Column("called_back_at", BigInteger),
    Column("called_back_call", Text),
    # When retention removed its first event: after that the call cannot be recomputed.
    Column("pruned_at", BigInteger),
    # The arrival of the last event that the state has a value of: retention counts from here.
    Column("changed_at", BigInteger, nullable=False),
    # The large columns are the last: SQLite reads a row from its beginning.
    Column("state", Text, nullable=False),
    Column("record", Text, nullable=False),
    # {field: the version in which it changed last}: a CRM receives only what changed since its version.
    Column("field_versions", Text, nullable=False),
    Index("calls_began", "began_at", "id", **_not_merged),
    Index("calls_status", "status", "direction", "began_at", "id", **_not_merged),
    Index("calls_changed", "changed_at"),
    Index("calls_number", "number", "began_at"),
    # A webhook looks for such calls with its number, and a number may call all day.
    Index(
        "calls_history",
        "number",
        "began_at",
        sqlite_where=text("from_history = 1"),
        postgresql_where=text("from_history"),
    ),
    # Few of the calls of a number that calls all day are conversations.
    Index(
        "calls_talked",
        "number",
        "began_at",
        sqlite_where=text("talked = 1"),
        postgresql_where=text("talked"),
    ),
    Index(
        "calls_called_back",
        "called_back_call",
        sqlite_where=text("called_back_call IS NOT NULL"),
        postgresql_where=text("called_back_call IS NOT NULL"),
    ),
    Index(
        "calls_merged",
        "merged_into",
        sqlite_where=text("merged_into IS NOT NULL"),
        postgresql_where=text("merged_into IS NOT NULL"),
    ),
)
"""The joined record of each call, and the join state behind it."""

call_terms = Table(
    "call_terms",
    metadata,
    Column("term", Text, primary_key=True),
    Column("began_at", BigInteger, primary_key=True, autoincrement=False),
    Column("call", Text, primary_key=True),
    sqlite_with_rowid=False,
)
"""The search terms of each call, in the order of a search: the newest calls with a term are neighbours.

`began_at`: that of the call.
"""

call_keys = Table(
    "call_keys",
    metadata,
    Column("began_at", BigInteger, primary_key=True, autoincrement=False),
    Column("call", Text, primary_key=True),
    # All search terms of the call: see `search_terms.to_text`.
    Column("terms", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""All calls in the order of a search. Rows are narrow: a search looks at thousands, and a call is large."""

destinations = Table(
    "destinations",
    metadata,
    Column("name", Text, primary_key=True),
    Column("client", Text, nullable=False),
    Column("delivered_at", BigInteger),
    Column("paused_reason", Text),
    # Empty during a pause by an operator.
    Column("paused_until", BigInteger),
    # The begin of the pause, however often it was prolonged.
    Column("paused_since", BigInteger),
    Column("paused_code", Text),
    Column("paused_message", Text),
)
"""The CRMs that calls are enqueued for, and why one is paused."""

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
    # The CRM asked for no attempt before this time; at most `due_at`.
    Column("not_before", BigInteger),
    # Made since it became pending.
    Column("attempts", Integer, nullable=False),
    Column("attempted_at", BigInteger),
    # Microseconds in which it failed while the destination took other calls.
    Column("failing_for", BigInteger, nullable=False),
    # A replay asked for the whole record, also if the CRM has this version.
    Column("rewrite", Boolean, nullable=False, server_default=false()),
    # The labels, fields and constants that the record in the CRM has: see `DestinationSettings.rendering`.
    Column("rendering", Text),
    # The CRM may know more than the ledger: the first delivery found a record, or retention deleted the call.
    Column("partial", Boolean, nullable=False, server_default=false()),
    Column("remote_id", Text),
    Column("outcome", Text),
    Column("code", Text),
    Column("message", Text),
    # Of a call that was forgotten and that the CRM may have: all that its client needs to erase it there.
    Column("erase", Text),
    # An audit had the record written again that the CRM had lost, and no replay has asked for it since.
    Column("restored", Boolean, nullable=False, server_default=false()),
    _partial_index("deliveries_due", "destination", "due_at", state=DeliveryState.PENDING),
    # The outcome and the code are for the groups of dead letters, of which there may be many.
    _partial_index(
        "deliveries_dead", "destination", "attempted_at", "outcome", "code", state=DeliveryState.DEAD
    ),
    _partial_index("deliveries_dropped", "destination", state=DeliveryState.DROPPED),
    _partial_index("deliveries_filtered", "destination", state=DeliveryState.FILTERED),
    _partial_index("deliveries_retracted", "destination", state=DeliveryState.RETRACTED),
    Index("deliveries_call", "call"),
)
"""One row for each destination and call: `version` is to be delivered, `delivered_version` the CRM has.

`state`: see `DeliveryState`. If the CRM has a version, the row stays as long as the tombstone of its call.
The row of a forgotten call has `erase` and no call; it is deleted once the CRM has erased the record.
"""

attempts = Table(
    "attempts",
    metadata,
    Column("seq", Sequence, primary_key=True, autoincrement=True),
    Column("destination", Text, nullable=False),
    Column("call", Text, nullable=False),
    # When its result was written.
    Column("at", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("code", Text),
    Column("message", Text),
    # Of the whole push, which may have had other calls.
    Column("duration_ms", Integer, nullable=False),
    Index("attempts_call", "call", "seq"),
)
"""Each push of a call: what was sent, and what the CRM answered. Rows are appended in the order of `at`."""

delivered_counts = Table(
    "delivered_counts",
    metadata,
    Column("destination", Text, primary_key=True),
    # A quarter of an hour, as its number since 1970: each day of every zone begins with one.
    Column("quarter", BigInteger, primary_key=True, autoincrement=False),
    Column("calls", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""How many calls each destination got for the first time, in each quarter of an hour with any."""

actions = Table(
    "actions",
    metadata,
    Column("seq", Sequence, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("destination", Text),
    # None: it concerns every call of the destination.
    Column("call", Text),
    # Of the quarantine.
    Column("entry", Text),
    Index("actions_call", "call"),
    Index(
        "actions_destination",
        "destination",
        "at",
        sqlite_where=text("call IS NULL"),
        postgresql_where=text("call IS NULL"),
    ),
    Index(
        "actions_entry",
        "seq",
        sqlite_where=text("entry IS NOT NULL"),
        postgresql_where=text("entry IS NOT NULL"),
    ),
)
"""What people did to destinations, deliveries and the quarantine. `who`: see `ActionRow`."""

relays = Table(
    "relays",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),
    Column("schema_version", Text, nullable=False),
)
"""The relays that run: a row for each, whatever the number of its processes; written every few seconds."""

schema_compatibility = Table(
    "schema_compatibility",
    metadata,
    Column("compatible_from", Text, primary_key=True),
    sqlite_with_rowid=False,
)
"""The oldest schema whose relays work with this one: one row, see `compatibility`."""

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
"""Which process does what only one may do. The fencing token grows with each new holder."""

epochs = Table(
    "epochs",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("began_at", BigInteger, nullable=False),
)
"""One row for each restore of the ledger; none before the first."""

tombstones = Table(
    "tombstones",
    metadata,
    Column("call", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("pruned_at", BigInteger, nullable=False),
    Index("tombstones_pruned", "pruned_at"),
    sqlite_with_rowid=False,
)
"""The last version of each call that retention deleted. Its aliases stay as long as its tombstone, so a late
event continues the call: with its id, and with a version that the CRMs do not have yet.
"""

forgotten = Table(
    "forgotten",
    metadata,
    # Of an id, of a number, or of a number and a time, see `relay.ledger.forgotten`.
    Column("hash", Text, primary_key=True),
    Column("forgotten_at", BigInteger, nullable=False),
    # Of an id: the namespaces of the ids that its call had.
    Column("namespaces", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""Keyed hashes of what `relay forget` erased: what arrives later about it is deleted instead of folded."""

forgotten_key = Table(
    "forgotten_key",
    metadata,
    # 1: there is one key, or none before the first erasure.
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("key", Text, nullable=False),
)
"""The random key of the hashes in `forgotten`."""

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
    # Bytes of `raw`, which is compressed.
    Column("size", Integer, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    # A problem that many events have is stored once.
    Column("unique_key", Text, unique=True),
    # The quota is computed from the index alone.
    Index("quarantine_size", "size"),
    sqlite_autoincrement=True,
)
"""Bodies that could not be parsed or not folded whole, with the reason."""

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Numbers that only grow and that no other table has."""

client_state = Table(
    "client_state",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Values that the client of a destination keeps, such as the contact of a phone number."""

warnings = Table(
    "warnings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("recorded_at", BigInteger, nullable=False),
    Column("message", Text, nullable=False),
)
"""Problems that a running relay saw and `relay check` shows, one for each name."""

signed_out = Table(
    "signed_out",
    metadata,
    Column("session", Text, primary_key=True),
    Column("until", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""The sessions of the console that were ended, each until it would have expired."""

recordings = Table(
    "recordings",
    metadata,
    Column("call", Text, primary_key=True),
    # CloudTalk's link: another one is another recording, which replaces the archived one.
    Column("source", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("enqueued_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("reason", Text),
    # Of an archived recording, also while another one is to replace it.
    Column("object", Text),
    Column("size", BigInteger),
    Column("content_type", Text),
    Column("archived_at", BigInteger),
    _partial_index("recordings_due", "due_at", state=RecordingState.PENDING),
    Index("recordings_archived", "archived_at"),
)
"""The recordings to archive, and where the archived ones are: see `RecordingState`."""

enrichments = Table(
    "enrichments",
    metadata,
    Column("call", Text, primary_key=True),
    # What CloudTalk is asked: see `Question`.
    Column("question", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("enqueued_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    # Answers that said "not yet", or that could not be used.
    Column("attempts", Integer, nullable=False),
    # Whether CloudTalk announced that the answer is there.
    Column("announced", Boolean, nullable=False),
    # Why it was given up.
    Column("reason", Text),
    _partial_index("enrichments_due", "due_at", state=EnrichmentState.PENDING),
    Index("enrichments_enqueued", "enqueued_at"),
    sqlite_with_rowid=False,
)
"""What CloudTalk's analytics and AI are to be asked about calls. `state`: see `EnrichmentState`."""

request_limits = Table(
    "request_limits",
    metadata,
    Column("name", Text, primary_key=True),
    # The times of the requests of the last minute, as a JSON array.
    Column("sent", Text, nullable=False),
    Column("blocked_until", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""The requests to CloudTalk's API that all processes sent, and until when it accepts none: one row."""

history_cursors = Table(
    "history_cursors",
    metadata,
    # The range of an import of history: calls that started at or after `since` and before `until`.
    Column("since", BigInteger, primary_key=True, autoincrement=False),
    Column("until", BigInteger, primary_key=True, autoincrement=False),
    # Whether `until` was the moment of the command, because it named none.
    Column("is_open", Boolean, nullable=False),
    Column("progress", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""The imports of history that are not finished, each with the pages that are left: see `HistoryCursor`."""

audits = Table(
    "audits",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("began_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger, nullable=False),
    # A person, as in `actions`, or the relay itself.
    Column("who", Text, nullable=False),
    # The counts of each side as JSON: they name nobody.
    Column("result", Text, nullable=False),
)
"""The finished comparisons of CloudTalk's history, the ledger and the CRMs."""

audit_findings = Table(
    "audit_findings",
    metadata,
    Column("audit", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    # Empty if it is about CloudTalk and the ledger.
    Column("destination", Text, nullable=False),
    Column("call", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("repaired", Boolean, nullable=False),
    # Names of fields or ids of records, as a JSON array.
    Column("details", Text, nullable=False),
    Index("audit_findings_call", "call"),
    sqlite_with_rowid=False,
)
"""The calls that an audit found to be different: see `FindingKind`."""

dedup_keys = Table(
    "dedup_keys",
    metadata,
    Column("key", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Index("dedup_keys_seq", "seq"),
    sqlite_with_rowid=False,
)
"""The deduplication keys of folded events, with the sequence number of the first event that had the key."""
