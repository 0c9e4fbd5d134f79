"""The first schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:  # noqa: PLR0915 - a statement per table and index
    op.create_table(
        "aliases",
        sa.Column("alias", TEXT, nullable=False),
        sa.Column("call", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("alias"),
        sqlite_with_rowid=False,
    )
    op.create_index("aliases_call", "aliases", ["call"], unique=False)
    op.create_table(
        "calls",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("number", TEXT, nullable=True),
        sa.Column("merged_into", TEXT, nullable=True),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("direction", TEXT, nullable=False),
        sa.Column("talked", sa.Boolean(), nullable=False),
        sa.Column("from_history", sa.Boolean(), nullable=True),
        sa.Column("called_back_at", sa.BigInteger(), nullable=True),
        sa.Column("called_back_call", TEXT, nullable=True),
        sa.Column("pruned_at", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("record", TEXT, nullable=False),
        sa.Column("field_versions", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "calls_began",
        "calls",
        ["began_at", "id"],
        unique=False,
        sqlite_where=sa.text("merged_into IS NULL"),
        postgresql_where=sa.text("merged_into IS NULL"),
    )
    op.create_index(
        "calls_status",
        "calls",
        ["status", "direction", "began_at", "id"],
        unique=False,
        sqlite_where=sa.text("merged_into IS NULL"),
        postgresql_where=sa.text("merged_into IS NULL"),
    )
    op.create_index("calls_changed", "calls", ["changed_at"], unique=False)
    op.create_index("calls_number", "calls", ["number", "began_at"], unique=False)
    op.create_index(
        "calls_history",
        "calls",
        ["number", "began_at"],
        unique=False,
        sqlite_where=sa.text("from_history = 1"),
        postgresql_where=sa.text("from_history"),
    )
    op.create_index(
        "calls_talked",
        "calls",
        ["number", "began_at"],
        unique=False,
        sqlite_where=sa.text("talked = 1"),
        postgresql_where=sa.text("talked"),
    )
    op.create_index(
        "calls_called_back",
        "calls",
        ["called_back_call"],
        unique=False,
        sqlite_where=sa.text("called_back_call IS NOT NULL"),
        postgresql_where=sa.text("called_back_call IS NOT NULL"),
    )
    op.create_table(
        "call_terms",
        sa.Column("term", TEXT, nullable=False),
        sa.Column("began_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("call", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("term", "began_at", "call"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "call_keys",
        sa.Column("began_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("call", TEXT, nullable=False),
        sa.Column("terms", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("began_at", "call"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "deliveries",
        sa.Column("destination", TEXT, nullable=False),
        sa.Column("call", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("delivered_version", sa.BigInteger(), nullable=False),
        sa.Column("first_delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("pending_since", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("attempted_at", sa.BigInteger(), nullable=True),
        sa.Column("failing_for", sa.BigInteger(), nullable=False),
        sa.Column("rewrite", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("rendering", TEXT, nullable=True),
        sa.Column("partial", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("remote_id", TEXT, nullable=True),
        sa.Column("outcome", TEXT, nullable=True),
        sa.Column("code", TEXT, nullable=True),
        sa.Column("message", TEXT, nullable=True),
        sa.Column("erase", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("destination", "call"),
    )
    op.create_index("deliveries_call", "deliveries", ["call"], unique=False)
    op.create_index(
        "deliveries_dead",
        "deliveries",
        ["destination", "attempted_at", "outcome", "code"],
        unique=False,
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_index(
        "deliveries_due",
        "deliveries",
        ["destination", "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "deliveries_dropped",
        "deliveries",
        ["destination"],
        unique=False,
        sqlite_where=sa.text("state = 'dropped'"),
        postgresql_where=sa.text("state = 'dropped'"),
    )
    op.create_index(
        "deliveries_filtered",
        "deliveries",
        ["destination"],
        unique=False,
        sqlite_where=sa.text("state = 'filtered'"),
        postgresql_where=sa.text("state = 'filtered'"),
    )
    op.create_index(
        "deliveries_retracted",
        "deliveries",
        ["destination"],
        unique=False,
        sqlite_where=sa.text("state = 'retracted'"),
        postgresql_where=sa.text("state = 'retracted'"),
    )
    op.create_table(
        "destinations",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("client", TEXT, nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("paused_reason", TEXT, nullable=True),
        sa.Column("paused_until", sa.BigInteger(), nullable=True),
        sa.Column("paused_since", sa.BigInteger(), nullable=True),
        sa.Column("paused_code", TEXT, nullable=True),
        sa.Column("paused_message", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "events",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("dialect", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("content_type", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("query", TEXT, nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("call", TEXT, nullable=True),
        sa.Column("folded_at", sa.BigInteger(), nullable=True),
        sa.Column("problem", TEXT, nullable=True),
        sa.Column("waits_for", TEXT, nullable=True),
        sa.Column("waits_until", sa.BigInteger(), nullable=True),
        sa.Column("missing", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "events_aside",
        "events",
        ["seq"],
        unique=False,
        sqlite_where=sa.text("state = 'aside'"),
        postgresql_where=sa.text("state = 'aside'"),
    )
    op.create_index("events_call", "events", ["call", "seq"], unique=False)
    op.create_index(
        "events_due",
        "events",
        ["waits_until"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "events_missing",
        "events",
        ["received_at"],
        unique=False,
        sqlite_where=sa.text("missing IS NOT NULL"),
        postgresql_where=sa.text("missing IS NOT NULL"),
    )
    op.create_index(
        "events_new",
        "events",
        ["seq"],
        unique=False,
        sqlite_where=sa.text("state = 'new'"),
        postgresql_where=sa.text("state = 'new'"),
    )
    op.create_index(
        "events_waiting",
        "events",
        ["waits_for"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "bodies",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("parsed", sa.LargeBinary(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "epochs",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "tombstones",
        sa.Column("call", TEXT, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("pruned_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("call"),
        sqlite_with_rowid=False,
    )
    op.create_index("tombstones_pruned", "tombstones", ["pruned_at"], unique=False)
    op.create_table(
        "attempts",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("destination", TEXT, nullable=False),
        sa.Column("call", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("code", TEXT, nullable=True),
        sa.Column("message", TEXT, nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("attempts_call", "attempts", ["call", "seq"], unique=False)
    op.create_table(
        "delivered_counts",
        sa.Column("destination", TEXT, nullable=False),
        sa.Column("quarter", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("destination", "quarter"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "actions",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("destination", TEXT, nullable=True),
        sa.Column("call", TEXT, nullable=True),
        sa.Column("entry", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("actions_call", "actions", ["call"], unique=False)
    op.create_index(
        "actions_destination",
        "actions",
        ["destination", "at"],
        unique=False,
        sqlite_where=sa.text("call IS NULL"),
        postgresql_where=sa.text("call IS NULL"),
    )
    op.create_index(
        "actions_entry",
        "actions",
        ["seq"],
        unique=False,
        sqlite_where=sa.text("entry IS NOT NULL"),
        postgresql_where=sa.text("entry IS NOT NULL"),
    )
    op.create_table(
        "relays",
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("schema_version", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("owner"),
    )
    op.create_table(
        "schema_compatibility",
        sa.Column("compatible_from", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("compatible_from"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "leases",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "dedup_keys",
        sa.Column("key", TEXT, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sqlite_with_rowid=False,
    )
    op.create_index("dedup_keys_seq", "dedup_keys", ["seq"], unique=False)
    op.create_table(
        "client_state",
        sa.Column("destination", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("destination", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "recordings",
        sa.Column("call", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("enqueued_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", TEXT, nullable=True),
        sa.Column("object", TEXT, nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("content_type", TEXT, nullable=True),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("call"),
    )
    op.create_index(
        "recordings_due",
        "recordings",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index("recordings_archived", "recordings", ["archived_at"], unique=False)
    op.create_table(
        "request_limits",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("sent", TEXT, nullable=False),
        sa.Column("blocked_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "history_cursors",
        sa.Column("since", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("progress", TEXT, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("since", "until"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "signed_out",
        sa.Column("session", TEXT, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "warnings",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("message", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    _create_forgotten()
    op.create_table(
        "quarantine",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("pointer", TEXT, nullable=False),
        sa.Column("content_type", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("query", TEXT, nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("unique_key", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("unique_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("quarantine_size", "quarantine", ["size"], unique=False)
    op.create_table(
        "counters",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _create_forgotten() -> None:
    op.create_index(
        "calls_merged",
        "calls",
        ["merged_into"],
        unique=False,
        sqlite_where=sa.text("merged_into IS NOT NULL"),
        postgresql_where=sa.text("merged_into IS NOT NULL"),
    )
    op.create_table(
        "forgotten",
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("forgotten_at", sa.BigInteger(), nullable=False),
        sa.Column("namespaces", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("hash"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "forgotten_key",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
