"""The results of audits, and the questions about calls that CloudTalk is asked."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "audits",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.Column("who", TEXT, nullable=False),
        sa.Column("result", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "audit_findings",
        sa.Column("audit", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("destination", TEXT, nullable=False),
        sa.Column("call", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("repaired", sa.Boolean(), nullable=False),
        sa.Column("details", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("audit", "number"),
        sqlite_with_rowid=False,
    )
    op.create_index("audit_findings_call", "audit_findings", ["call"], unique=False)
    op.create_table(
        "enrichments",
        sa.Column("call", TEXT, nullable=False),
        sa.Column("question", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("enqueued_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("announced", sa.Boolean(), nullable=False),
        sa.Column("reason", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("call", "question"),
        sqlite_with_rowid=False,
    )
    op.create_index("enrichments_enqueued", "enrichments", ["enqueued_at"], unique=False)
    op.create_index(
        "enrichments_due",
        "enrichments",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
